"""`coffer status`: which parts of the local stack are up."""

import json
from typing import Annotated, Final

import psutil
import typer
from rich.table import Table

from infra import deploy
from infra.cli import deployments, options
from infra.cli.console import out
from infra.deployment.state import Part, parts
from infra.deployment.survey import Survey
from infra.local import cloud, endpoint, front, ministack
from infra.local.processes import PartProcess, leftovers
from infra.local.settings import STACK_NAME, StackSettings, resolve

COLUMNS: Final = ("part", "state", "address", "pid", "memory")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Show each part of the stack: its process, its address, and whether it answers.

    With --stack: of a deployment in an account or on an emulator, by the environment's credentials.
    The exit code is 0 when every part is up, 1 otherwise.
    """
    if (found := deployments.named(stack, profile, region, os_cloud)) is not None:
        _of_a_deployment(found, as_json=as_json)
        return
    settings = resolve()
    rows = _rows(settings)
    if as_json:
        out.print_json(json.dumps({"state": str(settings.state), "parts": rows}))
    else:
        table = Table(box=None, pad_edge=False)
        for column in COLUMNS:
            table.add_column(column)
        for row in rows:
            table.add_row(*(row[column] for column in COLUMNS))
        out.print(f"State folder  {settings.state}")
        out.print(table)
        if lost := leftovers_unowned(settings):
            out.print(f"{lost} processes have lost their owner; `coffer down` stops them.")
    if any(row["state"] != "up" for row in rows):
        raise typer.Exit(1)


def _of_a_deployment(survey: Survey, *, as_json: bool) -> None:
    found = list(parts(survey))
    if as_json:
        rows = [each._asdict() for each in found]
        out.print_json(json.dumps({"stack": survey.wanted.stack, "parts": rows}))
    else:
        table = Table(box=None, pad_edge=False)
        for column in Part._fields:
            table.add_column(column)
        for each in found:
            table.add_row(*each)
        out.print(table)
    if any(each.state != "up" for each in found):
        raise typer.Exit(1)


def _rows(settings: StackSettings) -> list[dict[str, str]]:
    rows = [
        _aws_row(settings),
        _process_row(cloud.process(settings), settings.auth_url, cloud.answers(settings)),
        _process_row(front.process(settings), settings.api_url, front.answers(settings)),
    ]
    address = settings.recorded().get("endpoint") or ""
    deployed = rows[0]["state"] == "up" and deploy.is_whole(settings.target, STACK_NAME)
    rows.append(
        {
            "part": "Coffer",
            "state": "up" if deployed and address else "not deployed",
            "address": str(address),
            "pid": "",
            "memory": "",
        }
    )
    return rows


def _aws_row(settings: StackSettings) -> dict[str, str]:
    if settings.aws_endpoint is None:
        part = ministack.process(settings)
        return _process_row(part, settings.aws_url, ministack.answers(settings))
    state = "up" if endpoint.answers(settings) else "not answering"
    return {
        "part": "AWS endpoint",
        "state": state,
        "address": settings.aws_url,
        "pid": "",
        "memory": "",
    }


def _process_row(part: PartProcess, address: str, answers: bool) -> dict[str, str]:
    process = part.running()
    state = "down" if process is None else "up" if answers else "not answering"
    return {
        "part": part.name,
        "state": state,
        "address": address,
        "pid": str(process.pid) if process else "",
        "memory": f"{_memory(process) / 2**20:.0f} MiB" if process else "",
    }


def _memory(process: psutil.Process) -> int:
    """Resident bytes of the process and all that it started."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def leftovers_unowned(settings: StackSettings) -> int:
    """How many processes of this stack belong to no running part."""
    owned = set()
    for part in (module.process(settings) for module in (ministack, cloud, front)):
        if process := part.running():
            owned |= {process.pid, *(child.pid for child in process.children(recursive=True))}
    # A database server is detached from its agent on purpose: its cloud still knows it.
    if cloud.process(settings).running():
        return sum(
            1
            for process in leftovers(settings.state)
            if process.pid not in owned and "COFFER_SERVER_ID" not in process.environ()
        )
    return sum(1 for process in leftovers(settings.state) if process.pid not in owned)
