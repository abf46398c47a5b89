"""What functions may call: the policies of their roles, enforced on every call that they make.

Where a policy lacks a statement a handler works in every test and fails in the account, mostly on a
path that is seldom taken. Here each path that a run takes is one that the policies allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from simulator.aws.errors import client_error
from simulator.aws.functions import Container
from simulator.aws.policies import ACCOUNT, Policy, Right, allows, rights_of
from simulator.effects import Effect

REGION: Final = "us-east-1"
MOST_REMEMBERED: Final = 4096

Needed = tuple[str, str]
"""An action and the ARN of its resource."""


class Rights:
    """A hook: refuses what the policy of the calling function's role does not allow.

    `policies` are by the name of the function. `refused` has each refusal: a defect of a policy,
    for no handler counts on being refused. `used` has the rights that some call needed.
    """

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = policies
        self._may: Callable[[str, str, str], bool] = lru_cache(MOST_REMEMBERED)(self._allows)
        self.refused: dict[str, None] = {}
        self.used: set[tuple[str, Right]] = set()

    def before(self, effect: Effect) -> None:
        """Check a call of a function; guests have their own credentials, the cloud has no IAM."""
        owner = effect.owner
        if not isinstance(owner, Container):
            return
        function = owner.function.name
        for action, resource in needed(effect.service, effect.call, effect.what):
            if not self._may(function, action, resource):
                text = f"the role of {function} is not authorized to perform {action} on {resource}"
                self.refused[text] = None
                raise client_error("AccessDeniedException", effect.call, text)

    def after(self, effect: Effect) -> None:
        """What was allowed is done."""

    def _allows(self, function: str, action: str, resource: str) -> bool:
        policy = self._policies.get(function, ())
        for right in rights_of(policy):
            if right.fits(action, resource):
                self.used.add((function, right))
        return allows(policy, action, resource)


def needed(service: str, call: str, what: Mapping[str, Any]) -> Iterator[Needed]:
    """The rights that a call needs (service authorization reference of each service)."""
    match service:
        case "dynamodb":
            yield from _of_tables(call, what)
        case "sqs":
            queue = what.get("QueueUrl") or what["QueueName"]
            yield f"sqs:{call.removesuffix('Batch')}", _arn("sqs", queue.rpartition("/")[2])
            if what.get("tags"):  # of a queue that is made
                yield "sqs:TagQueue", _arn("sqs", queue)
        case "stepfunctions":
            yield f"states:{call}", _of_flows(what)
        case "sts":
            yield f"sts:{call}", what["RoleArn"]
        case "s3":
            yield from _of_objects(call, what.get("Params", what))
        case "kms":
            yield f"kms:{call}", _arn("kms", what["KeyId"])  # of the key that is called so
        case "ssm":
            yield f"ssm:{call}", _arn("ssm", f"parameter{what['Name']}")


def _of_tables(call: str, what: Mapping[str, Any]) -> Iterator[Needed]:
    """A transaction needs the right of each of its parts, a batch the batch's on each table."""
    if call in ("TransactWriteItems", "TransactGetItems"):
        for part in what["TransactItems"]:
            ((kind, request),) = part.items()
            action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            yield f"dynamodb:{action}", _table(request["TableName"])
    elif call in ("BatchGetItem", "BatchWriteItem"):
        for name in what["RequestItems"]:
            yield f"dynamodb:{call}", _table(name)
    else:
        index = f"/index/{what['IndexName']}" if what.get("IndexName") else ""
        yield f"dynamodb:{call}", _table(what["TableName"]) + index


def _of_objects(call: str, what: Mapping[str, Any]) -> Iterator[Needed]:
    """A listing needs its bucket's right, a head that of reading, and each delete its own."""
    bucket = f"arn:aws:s3:::{what['Bucket']}"
    match call:
        case "ListObjectsV2":
            yield "s3:ListBucket", bucket
        case "DeleteObjects":
            for each in what["Delete"]["Objects"]:
                yield "s3:DeleteObject", f"{bucket}/{each['Key']}"
        case "HeadObject":
            yield "s3:GetObject", f"{bucket}/{what['Key']}"
        case _:
            yield f"s3:{call}", f"{bucket}/{what['Key']}"


@lru_cache(256)
def _table(name: str) -> str:
    return _arn("dynamodb", f"table/{name}")


def _of_flows(what: Mapping[str, Any]) -> str:
    """A task token belongs to no resource; an execution is named below its machine."""
    if "taskToken" in what:
        return "*"
    kind = "execution" if "executionArn" in what else "stateMachine"
    given: str = what.get("executionArn") or what["stateMachineArn"]
    return _arn("states", kind + given.partition(f":{kind}")[2])


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"
