"""The merge template for `chalice package`: YAML parts, policies and the flows as one.

What is the same for every function (name, role, log group, concurrency) is written here once.
"""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from infra.package import state_machines

Document = dict[str, Any]


class Function(NamedTuple):
    """A Lambda function: its logical id in the template and its name behind the prefix.

    `reserved` executions are its own, whatever the API's callers do with the rest of the account's.
    """

    logical_id: str
    name: str
    from_chalice: bool = True
    reserved: int = 0

    @property
    def role(self) -> str:
        return f"{self.logical_id}Role"


FUNCTIONS: Final = (
    Function("APIHandler", "api"),
    Function("Dispatcher", "dispatcher", reserved=10),
    Function("Conductor", "conductor", reserved=50),
    Function("Heartbeats", "heartbeats", reserved=20),
    Function("DeadLetters", "dead-letters"),
    Function("Sweeper", "sweeper"),
    Function("TaskManager", "taskmanager", from_chalice=False, reserved=50),
    Function("TaskManagerCloud", "taskmanager-cloud", from_chalice=False, reserved=50),
)


def compose(root: Path, architecture: str) -> Document:
    """Everything that Chalice does not write itself, read from `root`/infra."""
    infra = root / "infra"
    template: Document = {}
    for part in sorted((infra / "template").glob("*.yaml")):
        merge(template, yaml.safe_load(part.read_text()))
    for function in FUNCTIONS:
        merge(template, _around(function, architecture, infra / "policies"))
    merge(template, {"Resources": _guest_role(infra / "policies")})
    merge(template, {"Resources": _state_machines(infra)})
    return template


def merge(into: Document, other: Document) -> None:
    """Merge `other` into `into`; a mapping meets a mapping, anything else replaces."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def _around(function: Function, architecture: str, policies: Path) -> Document:
    """Name, role, log group and reserved concurrency of one function."""
    concurrency = f"{function.logical_id}Concurrency"
    limited = f"{concurrency}IsReserved"
    name = _sub(f"${{Prefix}}-{function.name}")
    properties: Document = {
        "FunctionName": name,
        "Role": {"Fn::GetAtt": [function.role, "Arn"]},
        "Architectures": [architecture],
        "ReservedConcurrentExecutions": {
            "Fn::If": [limited, {"Ref": concurrency}, {"Ref": "AWS::NoValue"}]
        },
    }
    return {
        "Parameters": {
            concurrency: {
                "Type": "Number",
                "Default": function.reserved,
                "MinValue": 0,
                "Description": f"Reserved concurrency of {function.name}; 0 reserves none",
            }
        },
        "Conditions": {limited: {"Fn::Not": [{"Fn::Equals": [{"Ref": concurrency}, "0"]}]}},
        "Resources": {
            function.logical_id: {
                "DependsOn": [f"{function.logical_id}Logs"],
                "Properties": properties,
            },
            function.role: _role(
                function.name, policy(policies, function.name, logs=True), "lambda.amazonaws.com"
            ),
            f"{function.logical_id}Logs": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {
                    "LogGroupName": _sub(f"/aws/lambda/${{Prefix}}-{function.name}"),
                    "RetentionInDays": {"Ref": "LogRetentionDays"},
                },
            },
        },
    }


def policy(policies: Path, name: str, *, logs: bool = False) -> Document:
    """The policy document of `name`; with `logs`, plus the right to write its own log group."""
    document: Document = json.loads((policies / f"{name}.json").read_text())
    if logs:
        document["Statement"].append(
            {
                "Sid": "WriteLogs",
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [
                    "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
                    f":log-group:/aws/lambda/${{Prefix}}-{name}:*"
                ],
            }
        )
    substituted: Document = _substitute(document)
    return substituted


def _guest_role(policies: Path) -> Document:
    """The role that enrolment lends to a guest, narrowed by a session policy to its own queue."""
    lender = {"AWS": {"Fn::GetAtt": ["APIHandlerRole", "Arn"]}}
    return {"GuestRole": _role("guest", policy(policies, "guest"), lender)}


def _state_machines(infra: Path) -> Document:
    """A state machine for each flow; that of `create_instance` is `<Prefix>-create-instance`."""
    resources: Document = {
        "FlowsRole": _role("flows", policy(infra / "policies", "flows"), "states.amazonaws.com")
    }
    for flow, definition in state_machines.rendered().items():
        resources["".join(word.title() for word in flow.split("_"))] = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": _sub(f"${{Prefix}}-{flow.replace('_', '-')}"),
                "StateMachineType": "STANDARD",
                "RoleArn": {"Fn::GetAtt": ["FlowsRole", "Arn"]},
                "DefinitionString": definition,
                "DefinitionSubstitutions": {
                    "TaskManagerArn": {"Fn::GetAtt": ["TaskManager", "Arn"]},
                    "TaskManagerCloudArn": {"Fn::GetAtt": ["TaskManagerCloud", "Arn"]},
                },
            },
        }
    return resources


def _role(name: str, document: Document, principal: str | Document) -> Document:
    trusted = {"Service": principal} if isinstance(principal, str) else principal
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": _sub(f"${{Prefix}}-{name}"),
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
                ],
            },
            "Policies": [{"PolicyName": name, "PolicyDocument": document}],
        },
    }


def _sub(text: str) -> Document:
    return {"Fn::Sub": text}


def _substitute(value: Any) -> Any:
    """Every string with a `${…}` becomes a substitution."""
    if isinstance(value, dict):
        return {key: _substitute(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item) for item in value]
    return _sub(value) if isinstance(value, str) and "${" in value else value
