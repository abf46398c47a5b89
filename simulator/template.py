"""What is deployed, read from the template's own sources: queues, mappings, schedules, flows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from infra.package import key, state_machines

INFRA: Final = Path(__file__).resolve().parent.parent / "infra"
PREFIX: Final = "coffer"
PACKAGES_BUCKET: Final = "coffer-packages-123456789012-us-east-1"
BACKUPS_BUCKET: Final = "coffer-backups-123456789012-us-east-1"
KEY_ALIAS: Final = f"alias/{PREFIX}"
KEY_ARN: Final = f"arn:aws:kms:us-east-1:123456789012:{KEY_ALIAS}"
"""Here a key is what its alias is; on AWS a right is one to a key."""
DEPLOYMENT_ID: Final = "deployment-of-the-simulation"

FUNCTION_NAMES: Final = {
    "Dispatcher": "dispatcher",
    "Conductor": "conductor",
    "Heartbeats": "heartbeats",
    "DeadLetters": "dead-letters",
    "Sweeper": "sweeper",
    "TaskManager": "taskmanager",
    "TaskManagerCloud": "taskmanager-cloud",
}


class MappedQueue(NamedTuple):
    """An event source mapping: a queue's name, its function, and how batches are made."""

    queue: str
    function: str
    batch_size: int
    window_seconds: float
    partial: bool


class Rule(NamedTuple):
    """A schedule: its expression, its function and the event it sends."""

    name: str
    expression: str
    function: str
    event: str | None


def name(short: str) -> str:
    """The name under which a function or a queue is deployed."""
    return f"{PREFIX}-{short}"


def policy(name: str, **more: str) -> dict[str, Any]:
    """A policy of `infra/policies` with its placeholders resolved; `more` are further ones."""
    text = (INFRA / "policies" / f"{name}.json").read_text()
    known = {
        "AWS::Partition": "aws",
        "AWS::Region": "us-east-1",
        "AWS::AccountId": "123456789012",
        "Prefix": PREFIX,
        "PackageBucket": PACKAGES_BUCKET,
        "BackupsBucket": BACKUPS_BUCKET,
        **more,
    }
    for placeholder, value in known.items():
        text = text.replace(f"${{{placeholder}}}", value)
    document: dict[str, Any] = json.loads(text)
    return document


def roles(**more: str) -> dict[str, dict[str, Any]]:
    """The policy of each function's role, by the function's name, with what the key's policy lets
    it do."""
    found = {}
    for name in ("api", *FUNCTION_NAMES.values()):
        document = found[f"{PREFIX}-{name}"] = policy(name, **more)
        if key.seals_backups(document):
            by_key = {"Effect": "Allow", "Action": [*key.SEALING_ACTIONS], "Resource": [KEY_ARN]}
            document["Statement"].append(by_key)
    return found


def flows() -> dict[str, str]:
    """The definitions of the flows, by the names of their state machines."""
    return {
        f"{PREFIX}-{flow.replace('_', '-')}": text
        for flow, text in state_machines.rendered().items()
    }


@cache
def resources() -> dict[str, dict[str, Any]]:
    """All resources of `infra/template`, by logical id."""
    found: dict[str, dict[str, Any]] = {}
    for part in sorted((INFRA / "template").glob("*.yaml")):
        found |= yaml.safe_load(part.read_text()).get("Resources", {})
    return found


@cache
def parameters() -> dict[str, Any]:
    """The template's parameters with their defaults."""
    return {name: each.get("Default") for name, each in declared_parameters().items()}


@cache
def declared_parameters() -> dict[str, dict[str, Any]]:
    """The template's parameters as they are declared, with their bounds."""
    document = yaml.safe_load((INFRA / "template" / "parameters.yaml").read_text())
    found: dict[str, dict[str, Any]] = document["Parameters"]
    return found


def queues() -> dict[str, dict[str, str]]:
    """The attributes of each queue by name, dead letters first, as SQS takes them."""
    found: dict[str, dict[str, str]] = {}
    for properties in _of_type("AWS::SQS::Queue").values():
        attributes: dict[str, str] = {}
        for name in ("VisibilityTimeout", "MessageRetentionPeriod"):
            if name in properties:
                attributes[name] = str(resolved(properties[name]))
        if redrive := properties.get("RedrivePolicy"):
            target = resolved(redrive["deadLetterTargetArn"])
            attributes["RedrivePolicy"] = json.dumps(
                {"deadLetterTargetArn": target, "maxReceiveCount": redrive["maxReceiveCount"]}
            )
        found[resolved(properties["QueueName"])] = attributes
    return dict(sorted(found.items(), key=lambda item: "RedrivePolicy" in item[1]))


def mapped_queues() -> list[MappedQueue]:
    """The event source mappings."""
    return [
        MappedQueue(
            queue=resolved(properties["EventSourceArn"]).rpartition(":")[2],
            function=_function(properties["FunctionName"]),
            batch_size=properties["BatchSize"],
            window_seconds=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
            partial="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ()),
        )
        for properties in _of_type("AWS::Lambda::EventSourceMapping").values()
    ]


def rules() -> list[Rule]:
    """The schedules."""
    return [
        Rule(
            name=resolved(properties["Name"]),
            expression=properties["ScheduleExpression"],
            function=_function(properties["Targets"][0]["Arn"]),
            event=properties["Targets"][0].get("Input"),
        )
        for properties in _of_type("AWS::Events::Rule").values()
    ]


def resolved(value: Any) -> Any:
    """A value with `Ref`, `Fn::Sub` and `Fn::GetAtt` of this template resolved."""
    if not isinstance(value, dict):
        return value
    ((function, argument),) = value.items()
    if function == "Ref":
        return parameters()[argument]
    if function == "Fn::Sub":
        return str(argument).replace("${Prefix}", PREFIX)
    if function == "Fn::GetAtt" and argument[0] in resources():
        name = resolved(resources()[argument[0]]["Properties"]["QueueName"])
        return f"arn:aws:sqs:us-east-1:123456789012:{name}"
    raise ValueError(f"the simulator does not resolve {function} of {argument}")


def _of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in resources().items()
        if resource.get("Type") == kind
    }


def _function(reference: dict[str, Any]) -> str:
    (argument,) = reference.values()
    logical = argument if isinstance(argument, str) else argument[0]
    return f"{PREFIX}-{FUNCTION_NAMES[logical]}"
