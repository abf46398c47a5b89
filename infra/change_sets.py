"""CloudFormation's change sets: what an update would do, and the update."""

import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError, WaiterError

from infra.errors import DeployError

CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
TIMEOUT_SECONDS: Final = 120
NO_CHANGES: Final = ("didn't contain changes", "No updates")
ADVICE: Final = "The template is built from infra/; its last build is in the cache folder."


class Change(NamedTuple):
    """What happens to one resource; `replaced` when it is made anew (True, False, Conditional)."""

    action: str
    logical_id: str
    kind: str
    replaced: str


def create(
    cloudformation: Any,
    stack: str,
    kind: str,
    template_url: str,
    parameters: dict[str, str],
) -> str | None:
    """Create a change set (`kind` is CREATE or UPDATE) and return its name; None without a change.

    Raises DeployError with CloudFormation's reason.
    """
    name = f"coffer-{time.time_ns()}"
    try:
        cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateURL=template_url,
            Capabilities=CAPABILITIES,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        )
        cloudformation.get_waiter("change_set_create_complete").wait(
            StackName=stack,
            ChangeSetName=name,
            WaiterConfig={"Delay": 1, "MaxAttempts": TIMEOUT_SECONDS},
        )
    except WaiterError as error:
        reason = str(error.last_response.get("StatusReason", ""))
        if any(words in reason for words in NO_CHANGES):
            cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
            return None
        raise DeployError(
            f"CloudFormation refused the change set: {reason or error}", ADVICE
        ) from error
    except ClientError as error:
        raise DeployError(
            f"CloudFormation refused the template: {error.response['Error']['Message']}", ADVICE
        ) from error
    return name


def changes(cloudformation: Any, stack: str, name: str) -> Iterator[Change]:
    """What a change set would do, page by page."""
    pages = cloudformation.get_paginator("describe_change_set").paginate(
        StackName=stack, ChangeSetName=name
    )
    for page in pages:
        for each in page["Changes"]:
            change = each["ResourceChange"]
            yield Change(
                change["Action"],
                change["LogicalResourceId"],
                change["ResourceType"],
                change.get("Replacement", "False"),
            )
