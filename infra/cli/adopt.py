"""`coffer adopt`: put the tables right after one of them was restored to an earlier moment."""

import json
from typing import Annotated, Any, Final

import typer

from infra.cli import deployments, options
from infra.cli.console import out
from infra.deploy import outputs
from infra.errors import StackError
from infra.target import Target

JOBS: Final = {
    "restore_rows": "Rows and the operations since the restore",
    "adopt": "Instances and snapshots that are in the cloud and have no row",
    "restore_groups": "Configuration groups and who has them",
    "recount_quotas": "Quotas and what the rows hold",
    "tell_lost": "Backups that are lost, which is told whenever this is run",
}
"""In this order: the later ones build on what the earlier ones have put right."""


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what there is to do; change nothing.")
    ] = False,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
) -> None:
    """Make rows again, or put them right, after a table was restored to an earlier moment.

    Close the entrances first: docs/operations.md, "Restoring tables".
    """
    deployment = deployments.chosen(stack, profile, region, os_cloud)
    target = deployment.target
    function = outputs(target, deployment.name)["TaskManagerCloudName"]
    for job, title in JOBS.items():
        out.print(f"{title}:", style="bold")
        told = run(target, function, job, check=check)
        for line in told or ["nothing to do"]:
            out.print(f"  {line}", markup=False, highlight=False)


def run(target: Target, function: str, job: str, *, check: bool) -> list[str]:
    """Run a job page by page to its end; answers what it told, each line once."""
    client = target.client("lambda")
    told: dict[str, None] = {}
    following: dict[str, Any] | None = {}
    while following is not None:
        event = {"step": job, "check": check, **following}
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        document = json.loads(answer["Payload"].read())
        if answer.get("FunctionError") or "failed" in document:
            raise StackError(
                f"{job} stopped: {document.get('failed') or document.get('errorMessage')}",
                "Run it again when the cause is cured: what is done stays done.",
            )
        told |= dict.fromkeys(document["told"])
        following = document["next"]
    return list(told)
