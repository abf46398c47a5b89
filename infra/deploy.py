"""Deploys a build to AWS or to an emulator: upload, change set, outputs.

The same calls everywhere. What an emulator leaves out is made up for by looking first: on AWS those
looks find nothing to do.
"""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from infra import change_sets, gateway, packages_bucket
from infra.errors import DeployError
from infra.package.build import Build
from infra.package.template import Document
from infra.target import Target

STACK_TIMEOUT_SECONDS: Final = 900
POLL_SECONDS: Final = 0.2
BUCKET, KEY, BEFORE = "PackageBucket", "PackageKey", "ReleaseBefore"
"""The parameters that say which release a stack runs, and which it ran before."""

# A stack in one of these never gets better by itself: it holds nothing and has to go first.
FAILED_BEFORE_ANYTHING: Final = frozenset(
    {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}
)
DEPLOYED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
STANDING: Final = DEPLOYED | {"UPDATE_ROLLBACK_COMPLETE"}
"""Of a stack that works, though its last update may have failed."""

Say = Callable[[str], None]


class Stack(NamedTuple):
    """What CloudFormation says about a stack."""

    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]

    @property
    def release(self) -> str | None:
        """The digest of what it runs: its folder in the bucket. None when no coffer made it."""
        return self.parameters.get(KEY, "").partition("/")[0] or None

    @property
    def release_before(self) -> str | None:
        """What it ran before, and a rollback deploys."""
        return self.parameters.get(BEFORE) or None

    @property
    def is_whole(self) -> bool:
        """Whether its last update has come to its end."""
        return self.status in DEPLOYED


def stack_of(target: Target, name: str) -> Stack | None:
    """The stack of that name, or None."""
    found = describe(target.client("cloudformation"), name)
    if found is None:
        return None
    return Stack(
        found["StackStatus"],
        {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])},
        {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
    )


def is_whole(target: Target, stack: str) -> bool:
    """Whether the stack is there, and not half-finished."""
    found = stack_of(target, stack)
    return found is not None and found.is_whole


def outputs(target: Target, stack: str) -> dict[str, str]:
    """The outputs of a deployed stack; raises DeployError when there is none."""
    found = stack_of(target, stack)
    if found is None:
        raise DeployError(
            f"There is no stack {stack}.", "Run: coffer deploy, on one machine coffer up"
        )
    return found.outputs


def deploy(
    target: Target,
    stack: str,
    build: Build,
    parameters: dict[str, str],
    say: Say = lambda _: None,
) -> dict[str, str]:
    """Create or update the stack from a build and return its outputs.

    Raises DeployError with the first reason.
    """
    packages_bucket.upload(target, stack, build, say)
    return release(target, stack, build.digest, parameters, say)


def release(
    target: Target,
    stack: str,
    digest: str,
    parameters: dict[str, str],
    say: Say = lambda _: None,
) -> dict[str, str]:
    """Create or update the stack from a release that lies in its bucket; returns its outputs.

    Parameters of the stack remember the release and the one before it; older ones go from the
    bucket.
    """
    cloudformation = target.client("cloudformation")
    bucket = packages_bucket.name_of(target, stack)
    template = packages_bucket.template_of(target, bucket, stack, digest)
    present = stack_of(target, stack)
    kind = _clear_the_way(cloudformation, stack, say)
    given = arguments(template, parameters, bucket, digest, present)
    place = packages_bucket.template_url(target, bucket, digest)
    name = change_sets.create(cloudformation, stack, kind, place, given)
    if name is not None:
        cloudformation.execute_change_set(StackName=stack, ChangeSetName=name)
        say(f"stack {stack}: {kind.lower()}")
        _wait_for_stack(cloudformation, stack)
    result = outputs(target, stack)
    gateway.ensure(target, result["ApiId"], template)
    packages_bucket.prune(target, stack, {digest, given.get(BEFORE, "")}, say)
    return result


def arguments(
    template: Document, parameters: dict[str, str], bucket: str, digest: str, present: Stack | None
) -> dict[str, str]:
    """The parameters that the template knows, with where the release's packages are.

    A change of parameters alone leaves the release before as it is.
    """
    before = present.release if present is not None else None
    if present is not None and before == digest:
        before = present.release_before
    package = {BUCKET: bucket, KEY: f"{digest}/functions.zip", BEFORE: before or ""}
    known = template["Parameters"]
    return {key: value for key, value in {**parameters, **package}.items() if key in known}


def describe(cloudformation: Any, stack: str) -> Document | None:
    """What CloudFormation says about the stack; None when there is none (any more)."""
    try:
        found: Document = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _clear_the_way(cloudformation: Any, stack: str, say: Say) -> str:
    """Return CREATE or UPDATE; a half-finished stack is waited for or removed first."""
    description = describe(cloudformation, stack)
    if description is not None and _moves(description["StackStatus"]):
        say(f"stack {stack} is {description['StackStatus']}: waiting for it")
        description = wait_until_still(cloudformation, stack)
    if description is None:
        return "CREATE"
    status = description["StackStatus"]
    if status in FAILED_BEFORE_ANYTHING:
        say(f"stack {stack} was left in {status}: removing it")
        cloudformation.delete_stack(StackName=stack)
        wait_until_still(cloudformation, stack)
        return "CREATE"
    if status == "UPDATE_ROLLBACK_FAILED":
        say(f"stack {stack} was left in {status}: finishing its rollback")
        cloudformation.continue_update_rollback(StackName=stack)
        wait_until_still(cloudformation, stack)
    return "UPDATE"


def _moves(status: str) -> bool:
    """Whether the status changes by itself; a stack in review waits for a change set."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def wait_until_still(cloudformation: Any, stack: str) -> Document | None:
    """The stack once nothing moves in it; raises DeployError past the bound."""
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        description = describe(cloudformation, stack)
        if description is None or not _moves(description["StackStatus"]):
            return description
        time.sleep(POLL_SECONDS if cloudformation.meta.endpoint_url.startswith("http:") else 5)
    raise DeployError(
        f"The stack {stack} was still changing after {STACK_TIMEOUT_SECONDS} s.",
        "Look at its events in CloudFormation, then run the command again.",
    )


def _wait_for_stack(cloudformation: Any, stack: str) -> None:
    description = wait_until_still(cloudformation, stack)
    status = description["StackStatus"] if description else "gone"
    if status in DEPLOYED:
        return
    reason = _first_failure(cloudformation, stack)
    raise DeployError(
        f"The stack {stack} ended in {status}: {reason}",
        "Mend the cause and run the command again: it removes or updates the half-finished stack.",
    )


def _first_failure(cloudformation: Any, stack: str) -> str:
    """The oldest event of the last attempt that failed by itself."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failures = [
        f"{event['LogicalResourceId']} ({event.get('ResourceStatusReason', 'no reason given')})"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
        and "cancelled" not in event.get("ResourceStatusReason", "")
    ]
    return failures[-1] if failures else "no event says why"
