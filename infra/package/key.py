"""The deployment's key in KMS: who may use it for what follows from the functions' own policies.

A role that may read a secret may have it decrypted, that one and by the Parameter Store alone; a
role that uses tables may have them decrypted by DynamoDB; one that reads the ring of the backups
may have the keys of backups sealed and opened, each for a project. Decision 45 says what the key
is for.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from chalicelib.parameters import BACKUP_KEYS

Document = dict[str, Any]

LOGICAL_ID: Final = "Key"
READ_SECRET: Final = "ssm:GetParameter"  # noqa: S105 - the name of a right
OF_TABLES: Final = "dynamodb:"
TABLE_ACTIONS: Final = (
    *("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"),
    "kms:CreateGrant",
)
"""What DynamoDB does in the name of who uses a table (its developer guide, on such keys)."""

SEALING_ACTIONS: Final = ("kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt")
"""What is done with the keys of backups (`chalicelib/kms.py`)."""
LOG_ACTIONS: Final = (
    *("kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*"),
    "kms:Describe*",
)


def resources(roles: Iterable[tuple[str, Document]]) -> Document:
    """The key and its alias; `roles` are the logical ids of roles with their policies."""
    return {
        LOGICAL_ID: {
            "Type": "AWS::KMS::Key",
            # What it has encrypted outlives the stack, too.
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "Description": {"Fn::Sub": "Coffer ${Prefix}: secrets and what is kept"},
                "EnableKeyRotation": True,
                "PendingWindowInDays": 30,
                "KeyPolicy": {"Version": "2012-10-17", "Statement": [*_statements(list(roles))]},
            },
        },
        f"{LOGICAL_ID}Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {
                "AliasName": {"Fn::Sub": "alias/${Prefix}"},
                "TargetKeyId": {"Ref": LOGICAL_ID},
            },
        },
    }


def _statements(roles: list[tuple[str, Document]]) -> Iterator[Document]:
    # Without it nobody could change the key any more; what it opens is left to the account's IAM.
    owner = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    yield _allow("TheAccountAdministers", owner, ["kms:*"])
    for role, policy in roles:
        if secrets := resources_of(policy, READ_SECRET):
            yield _allow(
                f"{role}OpensItsSecrets",
                _roles(role),
                ["kms:Decrypt"],
                _via("ssm") | {"kms:EncryptionContext:PARAMETER_ARN": secrets},
            )
        if seals_backups(policy):
            yield _sealing(role)
    users = [role for role, policy in roles if resources_of(policy, OF_TABLES)]
    yield _allow("FunctionsUseTables", _roles(*users), [*TABLE_ACTIONS], _via("dynamodb"))
    yield {
        "Sid": "LogsAreKept",
        "Effect": "Allow",
        "Principal": {"Service": {"Fn::Sub": "logs.${AWS::Region}.amazonaws.com"}},
        "Action": list(LOG_ACTIONS),
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": _log_groups()}},
    }
    alarms = {"Service": "cloudwatch.amazonaws.com"}
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    actions = ["kms:Decrypt", "kms:GenerateDataKey*"]
    yield _allow("AlarmsReachTheirTopic", alarms, actions, account)


def resources_of(policy: Document, action: str) -> list[Any]:
    """The resources on which a policy allows the action, or those that begin so (`dynamodb:`)."""
    return [
        resource
        for statement in policy["Statement"]
        if any(each.startswith(action) for each in statement["Action"])
        for resource in statement["Resource"]
    ]


def seals_backups(policy: Document) -> bool:
    """Whether it is the policy of a role that seals and opens the keys of backups."""
    return any(BACKUP_KEYS in str(each) for each in resources_of(policy, READ_SECRET))


def _sealing(role: str) -> Document:
    """Of this deployment and of some project: nothing that the key encrypts for anybody else."""
    of_deployment = {"kms:EncryptionContext:deployment": {"Ref": "DeploymentId"}}
    statement = _allow(f"{role}SealsBackups", _roles(role), [*SEALING_ACTIONS], of_deployment)
    statement["Condition"]["StringLike"] = {"kms:EncryptionContext:project": "?*"}
    return statement


def _allow(
    sid: str, principal: Document, actions: list[str], equal: Document | None = None
) -> Document:
    condition = {"Condition": {"StringEquals": equal}} if equal else {}
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": actions}
    return statement | {"Resource": "*"} | condition


def _roles(*roles: str) -> Document:
    return {"AWS": [{"Fn::GetAtt": [role, "Arn"]} for role in roles]}


def _via(service: str) -> Document:
    return {"kms:ViaService": {"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"}}


def _log_groups() -> list[Document]:
    """This deployment's: `/aws/lambda/<prefix>-…`, and those of the API and the flows."""
    group = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
    kinds = ("/aws/lambda", "/aws/apigateway", "/aws/vendedlogs/states")
    return [{"Fn::Sub": f"{group}{kind}/${{Prefix}}-*"} for kind in kinds]
