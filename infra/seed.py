"""Offers the datastores of `datastores.yaml` (`python -m infra.seed`, with the functions'
environment).

What is on offer stands in the tables, and operators change it by the API. The file is a proposal:
what it tells anew is offered, what nobody has changed since follows it, and what an operator has
changed or withdrawn stays so. Decision 55.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from chalicelib.engines import ENGINES
from chalicelib.store import datastores as store
from chalicelib.store import jobs
from chalicelib.store.base import races
from chalicelib.store.models import Datastore, DatastoreVersion
from infra.errors import UnusableInputError

DATASTORES: Final = Path(__file__).with_name("datastores.yaml")


class Proposal(NamedTuple):
    """A datastore of the file: attributes of its versions by their ids, and the default one."""

    name: str
    versions: dict[str, dict[str, Any]]
    default: str


def proposals(datastores: Mapping[str, Any]) -> Iterator[Proposal]:
    """The datastores of a file; `UnusableInputError` for a version that no known manager runs."""
    for name, datastore in datastores.items():
        versions = {}
        for version, about in datastore["versions"].items():
            if about["manager"] not in ENGINES:
                raise UnusableInputError(
                    f"{name} {version} has the manager {about['manager']!r}, which is not known.",
                    f"It is one of {', '.join(sorted(ENGINES))} (chalicelib/engines).",
                )
            versions[store.id_of(name, version)] = {
                "name": version,
                "version": about["version"],
                "manager": about["manager"],
                "image_id": None,
                "image_tags": about["image_tags"],
                "active": about.get("active", True),
            }
        yield Proposal(name, versions, store.id_of(name, datastore["default"]))


def seed(datastores: Mapping[str, Any]) -> None:
    """Offer what a file tells, where no operator has decided otherwise."""
    for proposal in list(proposals(datastores)):
        for _ in races():
            if _offer(proposal):
                break


def _offer(proposal: Proposal) -> bool:
    """One datastore; False when it was changed meanwhile.

    It is noted behind the write: whoever dies in between finds rows that are as proposed, and
    notes those.
    """
    before = jobs.proposed()
    found = store.offered(consistent=True)
    datastore = found.datastore(proposal.name) or store.new_datastore(proposal.name)
    present = {row.id: row for row in found.versions_of(datastore)}
    taken = {(row.name, row.version): row.id for row in present.values()}
    followed = {
        version_id: values
        for version_id, values in proposal.versions.items()
        if taken.get((values["name"], values["version"]), version_id) == version_id
        and _follows(present.get(version_id), values, before.get(version_id))
    }
    default = _default(datastore, proposal, before, {*present, *followed})
    written = {
        version_id: {**values, "datastore_id": datastore.id, "datastore_name": datastore.name}
        for version_id, values in followed.items()
        if version_id not in present or _told(present[version_id]) != values
    }
    if (written or default is not msgspec.UNSET) and not store.change(
        datastore, written, default=default
    ):
        return False
    noted = {**before, **followed}
    if datastore.default_version_id == proposal.default or default == proposal.default:
        noted[datastore.id] = proposal.default
    if noted != before:
        jobs.store_proposed(noted)
    return True


def _follows(row: DatastoreVersion | None, values: dict[str, Any], before: Any) -> bool:
    """Whether a version is to be as the file says: it is new, or is as the file said last."""
    if row is None:
        return before is None
    return _told(row) in (values, before)


def _default(
    datastore: Datastore, proposal: Proposal, before: dict[str, Any], there: set[str]
) -> str | msgspec.UnsetType:
    """The default version to name, if nobody has named another one since, or none."""
    now = datastore.default_version_id
    if now == proposal.default or proposal.default not in there:
        return msgspec.UNSET
    return proposal.default if now == before.get(datastore.id) else msgspec.UNSET


def _told(row: DatastoreVersion) -> dict[str, Any]:
    """What the file could say of a row."""
    return {
        "name": row.name,
        "version": row.version,
        "manager": row.manager,
        "image_id": row.image_id,
        "image_tags": list(row.image_tags),
        "active": row.active,
    }


if __name__ == "__main__":
    seed(yaml.safe_load(DATASTORES.read_text()))
