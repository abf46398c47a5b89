"""Deploying over whatever state a stack was left in."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import deploy
from infra.deploy import Stack
from infra.deployment import run
from infra.deployment.survey import Wanted
from infra.errors import DeployError


class Stacks:
    """CloudFormation with one stack that goes through the given statuses, one at each look."""

    def __init__(self, *statuses: str | None, events: list[dict[str, Any]] | None = None) -> None:
        self._statuses = list(statuses)
        self._events = events or []
        self.calls: list[str] = []
        self.meta = type("Meta", (), {"endpoint_url": "http://127.0.0.1"})

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        if status is None:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError(
                {"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks"
            )
        return {"Stacks": [{"StackStatus": status}]}

    def delete_stack(self, StackName: str) -> None:  # noqa: N803 - boto3's name
        self.calls.append(f"delete {StackName}")

    def continue_update_rollback(self, StackName: str) -> None:  # noqa: N803 - boto3's name
        self.calls.append(f"continue {StackName}")

    def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"StackEvents": self._events}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "POLL_SECONDS", 0)


@pytest.mark.parametrize(
    ("statuses", "kind", "calls"),
    [
        ([None], "CREATE", []),
        (["DELETE_COMPLETE"], "CREATE", []),
        (["CREATE_COMPLETE"], "UPDATE", []),
        (["UPDATE_ROLLBACK_COMPLETE"], "UPDATE", []),
        (["ROLLBACK_COMPLETE", None], "CREATE", ["delete coffer"]),
        (["CREATE_FAILED", "DELETE_IN_PROGRESS", None], "CREATE", ["delete coffer"]),
        (["REVIEW_IN_PROGRESS", None], "CREATE", ["delete coffer"]),
        (["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"], "UPDATE", []),
        (["ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE", None], "CREATE", ["delete coffer"]),
        (["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE"], "UPDATE", ["continue coffer"]),
    ],
)
def test_a_half_finished_stack_is_cleared_away(
    statuses: list[str | None], kind: str, calls: list[str]
) -> None:
    stacks = Stacks(*statuses)
    said: list[str] = []
    assert deploy._clear_the_way(stacks, "coffer", said.append) == kind
    assert stacks.calls == calls
    if calls:
        assert "was left in" in said[-1]


def test_a_failed_stack_is_told_with_the_first_reason() -> None:
    events = [
        {"LogicalResourceId": "Late", "ResourceStatus": "CREATE_FAILED"},
        {
            "LogicalResourceId": "Neighbour",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "Resource creation cancelled",
        },
        {
            "LogicalResourceId": "Queue",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": "already exists",
        },
        {"LogicalResourceId": "Table", "ResourceStatus": "CREATE_COMPLETE"},
    ]
    stacks = Stacks("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE", events=events)
    with pytest.raises(DeployError, match=r"ROLLBACK_COMPLETE: Queue \(already exists\)"):
        deploy._wait_for_stack(stacks, "coffer")


FIRST = Stack("CREATE_COMPLETE", {deploy.KEY: "one/functions.zip", "Kept": "5"}, {})
SECOND = FIRST._replace(parameters={deploy.KEY: "two/functions.zip", deploy.BEFORE: "one"})
KNOWN = (deploy.BUCKET, deploy.KEY, deploy.BEFORE, "Kept")
TEMPLATE: dict[str, Any] = {"Parameters": {name: {"Type": "String"} for name in KNOWN}}


@pytest.mark.parametrize(
    ("present", "digest", "before"),
    [
        (None, "one", ""),
        (FIRST, "two", "one"),
        (FIRST, "one", ""),
        (SECOND, "two", "one"),
        (SECOND, "one", "two"),
    ],
    ids=["new", "update", "parameters alone", "later parameters", "rollback"],
)
def test_the_stack_remembers_the_release_before(
    present: Stack | None, digest: str, before: str
) -> None:
    wanted = {"Kept": "5", "Unknown": "6"}
    assert deploy.arguments(TEMPLATE, wanted, "bucket", digest, present) == {
        deploy.BUCKET: "bucket",
        deploy.KEY: f"{digest}/functions.zip",
        deploy.BEFORE: before,
        "Kept": "5",
    }


@pytest.mark.parametrize(
    ("present", "release", "wanted", "deployed"),
    [
        (FIRST, "one", {"Kept": "5"}, True),
        (FIRST, "one", {"Kept": "5", "OfNoTemplate": "1"}, True),
        (FIRST, "one", {"Kept": "6"}, False),
        (FIRST, "two", {"Kept": "5"}, False),
        (FIRST._replace(status="UPDATE_ROLLBACK_COMPLETE"), "one", {"Kept": "5"}, False),
        (None, "one", {}, False),
    ],
    ids=["same", "unknown to it", "parameter", "release", "failed update", "new"],
)
def test_a_deployment_that_is_as_wanted_is_left_alone(
    present: Stack | None, release: str, wanted: dict[str, str], *, deployed: bool
) -> None:
    assert run.is_deployed(present, release, wanted) is deployed


@pytest.mark.parametrize(
    ("present", "said"),
    [(None, "There is no stack coffer"), (FIRST, "has had one release only")],
    ids=["no stack", "one release"],
)
def test_without_a_release_before_there_is_no_way_back(present: Stack | None, said: str) -> None:
    survey: Any = SimpleNamespace(present=present, wanted=Wanted())
    progress: Any = SimpleNamespace()
    with pytest.raises(DeployError, match=said):
        run.roll_back(survey, progress)
