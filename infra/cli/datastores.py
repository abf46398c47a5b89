"""`coffer datastores`: what is on offer, beside what this release proposes."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from infra.cli import deployments, options
from infra.cli.console import out
from infra.seed import DATASTORES, Proposal, proposals

COLUMNS: Final = ("datastore", "version", "number", "manager", "image", "on offer", "proposed")
FIELDS: Final = {
    "manager": "datastore_manager",
    "image_id": "image",
    "image_tags": "image_tags",
    "active": "active",
}
"""What a proposal says of a version, by the API's names for it."""
AS_PROPOSED: Final = "the same"
OWN: Final = "made here"
WITHDRAWN: Final = "not on offer"


def command(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Show the datastore versions on offer, and where operators have changed what was proposed.

    A deployment proposes what infra/datastores.yaml says: it offers what is new there, and changes
    what no operator has changed since. What an operator has changed or withdrawn stays so.

    To change a version: openstack datastore version set, create and delete. To take a proposal up
    again: set the version to what is shown here under "proposed".
    """
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    versions = deployment.log_in().call("GET", "/mgmt/datastore-versions")["versions"]
    rows = list(compared(versions, list(proposals(yaml.safe_load(DATASTORES.read_text())))))
    if as_json:
        out.print_json(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column)
    for row in rows:
        table.add_row(*(escape(row[column]) for column in COLUMNS))
    out.print(table)


def compared(versions: list[dict[str, Any]], proposed: list[Proposal]) -> Iterator[dict[str, str]]:
    """A row for each version on offer, and for each that is proposed and is not."""
    said = {
        (proposal.name, values["name"], values["version"]): (values, version_id == proposal.default)
        for proposal in proposed
        for version_id, values in proposal.versions.items()
    }
    for version in versions:
        place = (version["datastore_name"], version["name"], version["version"])
        wanted = said.pop(place, None)
        yield _row(place, version, _difference(version, *wanted) if wanted else OWN)
    for place, (values, default) in said.items():
        version = {api: values[name] for name, api in FIELDS.items()}
        yield _row(place, {**version, "default": default}, WITHDRAWN)


def _row(place: tuple[str, str, str], version: Mapping[str, Any], proposed: str) -> dict[str, str]:
    state = "active" if version["active"] else "not active"
    image = version["image"] or ", ".join(version["image_tags"])
    known = (*place, version["datastore_manager"], image)
    offered = (
        "no" if proposed == WITHDRAWN else f"{state}, default" if version["default"] else state
    )
    return dict(zip(COLUMNS, (*known, offered, proposed), strict=True))


def _difference(version: Mapping[str, Any], values: Mapping[str, Any], default: bool) -> str:
    """What is proposed otherwise."""
    wanted = {FIELDS[name]: values[name] for name in FIELDS} | {"default": default}
    other = [
        f"{name} {json.dumps(value)}"
        for name, value in wanted.items()
        if (version[name] or None) != (value or None)
    ]
    return ", ".join(other) or AS_PROPOSED
