"""The merge template for `chalice package`: YAML parts, policies and the flows as one.

What is the same for every function (name, role, log group, concurrency) is written here once.
"""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from infra.package import alarms, dashboard, key, methods, state_machines

Document = dict[str, Any]


class Function(NamedTuple):
    """A Lambda function: its logical id in the template and its name behind the prefix.

    `reserved` executions are its own, whatever the API's callers do with the rest of the account's.
    One that calls the cloud is where the cloud can be reached from: in a VPC, if parameters say so.
    """

    logical_id: str
    name: str
    from_chalice: bool = True
    reserved: int = 0
    calls_cloud: bool = False

    @property
    def role(self) -> str:
        return f"{self.logical_id}Role"


FUNCTIONS: Final = (
    Function("APIHandler", "api", calls_cloud=True),
    Function("Dispatcher", "dispatcher", reserved=10),
    Function("Conductor", "conductor", reserved=50),
    Function("Heartbeats", "heartbeats", reserved=20),
    Function("DeadLetters", "dead-letters"),
    Function("Sweeper", "sweeper"),
    Function("TaskManager", "taskmanager", from_chalice=False, reserved=50),
    Function(
        "TaskManagerCloud", "taskmanager-cloud", from_chalice=False, reserved=50, calls_cloud=True
    ),
)

TAGS: Final = {"coffer:deployment": {"Ref": "DeploymentId"}, "coffer:prefix": {"Ref": "Prefix"}}
UNTAGGED: Final = frozenset(
    {
        *("AWS::ApiGateway::Account", "AWS::ApiGateway::BasePathMapping", "AWS::KMS::Alias"),
        *("AWS::Lambda::Permission", "AWS::Logs::MetricFilter", "AWS::SNS::Subscription"),
        *("AWS::SNS::TopicPolicy", "AWS::WAFv2::WebACLAssociation"),
    }
)
"""Types that AWS has no tags for."""
NONE: Final[Document] = {"Ref": "AWS::NoValue"}
NETWORK_ACTIONS: Final = (
    *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses"),
    "ec2:UnassignPrivateIpAddresses",
)
"""What Lambda does with a function's role to bring it into a VPC; none names its resource."""
LOG_DELIVERY_ACTIONS: Final = (
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery"),
    *("logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy"),
    *("logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
)
"""What Step Functions does with a machine's role to set up its log; none names its resource."""


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
    merge(template, {"Resources": _key(infra / "policies")})
    names = [(function.logical_id, function.name) for function in FUNCTIONS]
    merge(template, {"Resources": alarms.resources(names) | dashboard.resources(names)})
    merge(template, {"Resources": methods.resources()})
    _tag(template)
    return template


def merge(into: Document, other: Document) -> None:
    """Merge `other` into `into`; a mapping meets a mapping, anything else replaces."""
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


def _around(function: Function, architecture: str, policies: Path) -> Document:
    """Name, role, log group and reserved concurrency of one function."""
    concurrency = f"{function.logical_id}Concurrency"
    limited = f"{concurrency}IsReserved"
    name = _sub(f"${{Prefix}}-{function.name}")
    properties: Document = {
        "FunctionName": name,
        "Role": {"Fn::GetAtt": [function.role, "Arn"]},
        "Architectures": [architecture],
        "ReservedConcurrentExecutions": _if(limited, {"Ref": concurrency}),
    }
    return {
        "Parameters": {
            concurrency: {
                "Type": "Number",
                "Default": str(function.reserved),  # as it is compared, see parameters.yaml
                "MinValue": 0,
                "Description": f"Reserved concurrency of {function.name}; 0 reserves none",
            }
        },
        "Conditions": {limited: {"Fn::Not": [{"Fn::Equals": [{"Ref": concurrency}, "0"]}]}},
        "Resources": {
            function.logical_id: {
                "Metadata": {"checkov": {"skip": _exceptions(function)}},
                "DependsOn": [f"{function.logical_id}Logs"],
                "Properties": properties | (_in_vpc() if function.calls_cloud else {}),
            },
            function.role: _function_role(function, policies),
            f"{function.logical_id}Logs": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {
                    "LogGroupName": _sub(f"/aws/lambda/${{Prefix}}-{function.name}"),
                    "RetentionInDays": {"Ref": "LogRetentionDays"},
                    "KmsKeyId": _if("KeyEncryptsAll", {"Fn::GetAtt": [key.LOGICAL_ID, "Arn"]}),
                },
            },
        },
    }


def _exceptions(function: Function) -> list[Document]:
    """What checkov asks of a function and this one is right not to have."""
    reasons = {
        "CKV_AWS_116": "Events come again: from a queue with dead letters, or by the next minute",
        "CKV_AWS_173": "No variable is a secret: those are parameters that the key encrypts",
    }
    if function.calls_cloud:
        reasons["CKV_AWS_117"] = "The parameter SubnetIds; by default the cloud is a public one"
    else:
        reasons["CKV_AWS_117"] = "It calls AWS alone, whose endpoints are outside of any VPC"
    if not function.reserved:
        reasons["CKV_AWS_115"] = f"The parameter {function.logical_id}Concurrency; others go first"
    return [{"id": check, "comment": reason} for check, reason in reasons.items()]


def _in_vpc() -> Document:
    place = {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
    return {"VpcConfig": _if("InVpc", place)}


def _function_role(function: Function, policies: Path) -> Document:
    """The role with the function's policy; in a VPC also what Lambda, and not its code, may do."""
    document = policy(policies, function.name, logs=True)
    role = _role(function.name, document, "lambda.amazonaws.com")
    if function.calls_cloud:
        itself = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
        by_its_code = {"lambda:SourceFunctionArn": _sub(f"{itself}${{Prefix}}-{function.name}")}
        of_network: Document = {"Action": list(NETWORK_ACTIONS), "Resource": ["*"]}
        interfaces = {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "LambdaMakesInterfaces", "Effect": "Allow", **of_network},
                {
                    "Sid": "TheCodeDoesNot",
                    "Effect": "Deny",
                    **of_network,
                    "Condition": {"ArnEquals": by_its_code},
                },
            ],
        }
        inline = {"PolicyName": "vpc", "PolicyDocument": interfaces}
        role["Properties"]["Policies"].append(_if("InVpc", inline))
    return role


def _key(policies: Path) -> Document:
    """The key of the deployment, for the functions' roles."""
    return key.resources((function.role, policy(policies, function.name)) for function in FUNCTIONS)


def _tag(template: Document) -> None:
    """Put the deployment's tags on everything that takes some.

    Functions have them by the globals, and what SAM makes of the API takes the API's.
    """
    merge(template, {"Globals": {"Function": {"Tags": TAGS}}})
    merge(template, {"Resources": {"RestAPI": {"Properties": {"Tags": TAGS}}}})
    pairs = [{"Key": name, "Value": value} for name, value in TAGS.items()]
    for resource in template["Resources"].values():
        kind = resource.get("Type", "")
        if kind and kind not in UNTAGGED and not kind.startswith("AWS::Serverless::"):
            resource["Properties"]["Tags"] = pairs


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
    role = _role("flows", policy(infra / "policies", "flows"), "states.amazonaws.com")
    delivery = {"Effect": "Allow", "Action": list(LOG_DELIVERY_ACTIONS), "Resource": ["*"]}
    logs = {"Version": "2012-10-17", "Statement": [{"Sid": "SetUpTheLog", **delivery}]}
    inline = {"PolicyName": "logs", "PolicyDocument": logs}
    role["Properties"]["Policies"].append(_if("OnAws", inline))
    resources: Document = {"FlowsRole": role}
    log_group = {"LogGroupArn": {"Fn::GetAtt": ["FlowLogs", "Arn"]}}
    logging = {
        "Level": "ERROR",
        "IncludeExecutionData": False,
        "Destinations": [{"CloudWatchLogsLogGroup": log_group}],
    }
    for flow, definition in state_machines.rendered().items():
        resources["".join(word.title() for word in flow.split("_"))] = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": _sub(f"${{Prefix}}-{flow.replace('_', '-')}"),
                "StateMachineType": "STANDARD",
                "RoleArn": {"Fn::GetAtt": ["FlowsRole", "Arn"]},
                "LoggingConfiguration": _if("OnAws", logging),
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
            "PermissionsBoundary": _if("HasBoundary", {"Ref": "PermissionsBoundaryArn"}),
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
                ],
            },
            "Policies": [{"PolicyName": name, "PolicyDocument": document}],
        },
    }


def _if(condition: str, value: Document) -> Document:
    """The value where the condition holds, else nothing at all."""
    return {"Fn::If": [condition, value, NONE]}


def _sub(text: str) -> Document:
    return {"Fn::Sub": text}


def _substitute(value: Any) -> Any:
    """Every string with a `${…}` becomes a substitution."""
    if isinstance(value, dict):
        return {key: _substitute(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item) for item in value]
    return _sub(value) if isinstance(value, str) and "${" in value else value
