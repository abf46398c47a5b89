"""Takes a deployed stack away, with what CloudFormation leaves of it.

Tables with what nothing could make again outlive their stack on purpose, and with them backups and
the rings of keys that open both: all of it goes only when that is asked for.
"""

import contextlib
from typing import Any, Final, NamedTuple

import yaml

from chalicelib import parameters
from infra import backups_bucket, packages_bucket
from infra.buckets import Bucket
from infra.deploy import describe, wait_until_still
from infra.errors import DeployError
from infra.keyrings import RINGS
from infra.package.sources import PROJECT_ROOT
from infra.package.template import Document
from infra.target import Target

TEMPLATE: Final = PROJECT_ROOT / "infra" / "template" / "tables.yaml"
KEY_DAYS: Final = 30
"""KMS keeps a key so long that is to be destroyed: time to find out that it was needed."""


class Removed(NamedTuple):
    """Whether there was a stack; the tables and the bucket of backups that are still there."""

    found: bool
    left: list[str]
    backups: str | None


def remove(target: Target, stack: str, secrets_path: str, *, tables: bool) -> Removed:
    """Remove the stack, guests' queues, packages and secrets; with `tables`, all of it.

    An operator's own bucket of backups stays in any case.
    """
    cloudformation = target.client("cloudformation")
    described = describe(cloudformation, stack)
    found = described is not None
    backups = _bucket_of(target, stack, described or {})
    key = _key_of(target, stack) if tables else None
    if found:
        cloudformation.delete_stack(StackName=stack)
        halted = wait_until_still(cloudformation, stack)
        if halted is not None:
            raise DeployError(
                f"The stack {stack} ended in {halted['StackStatus']}.",
                "Look at its events in CloudFormation, then run the command again.",
            )
    if tables:
        _remove_tables(target.client("dynamodb"), table_names(stack))
    _remove_guest_queues(target.client("sqs"), stack)
    packages_bucket.remove(target, stack)
    if tables and backups == backups_bucket.name_of(target, stack):
        Bucket(target, backups).remove()
    ssm = target.client("ssm")
    for name in parameters.NAMES if tables else set(parameters.NAMES) - set(RINGS):
        with contextlib.suppress(ssm.exceptions.ParameterNotFound):
            ssm.delete_parameter(Name=f"{secrets_path}/{name}")
    if key is not None:
        kms = target.client("kms")
        # LocalStack keeps no key that its stack made: it is pending already.
        with contextlib.suppress(kms.exceptions.KMSInvalidStateException):
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_DAYS)
    left = backups if Bucket(target, backups).is_there() else None
    return Removed(found, tables_there(target, stack), left)


def _bucket_of(target: Target, stack: str, described: Document) -> str:
    """Where the stack's backups lie: what it has been told, else what it would be."""
    for each in described.get("Parameters", []):
        if each["ParameterKey"] == backups_bucket.PARAMETER:
            return str(each["ParameterValue"])
    return backups_bucket.name_of(target, stack)


def table_names(stack: str) -> list[str]:
    """The tables of a stack by their names in the template."""
    resources = yaml.safe_load(TEMPLATE.read_text())["Resources"].values()
    return [
        resource["Properties"]["TableName"]["Fn::Sub"].replace("${Prefix}", stack)
        for resource in resources
    ]


def tables_there(target: Target, stack: str) -> list[str]:
    """Those of them that exist."""
    pages = target.client("dynamodb").get_paginator("list_tables").paginate()
    return sorted(set(table_names(stack)) & {name for page in pages for name in page["TableNames"]})


def instances(target: Target, stack: str) -> int:
    """How many instances the tables know, those that are deleted left out."""
    dynamodb = target.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=f"{stack}-instances",
        FilterExpression="attribute_exists(index_tenant)",
        Select="COUNT",
    )
    try:
        return sum(page["Count"] for page in pages)
    except dynamodb.exceptions.ResourceNotFoundException:
        return 0


def _key_of(target: Target, stack: str) -> str | None:
    """The id of the deployment's key in KMS: nothing names it once the stack has gone."""
    kms = target.client("kms")
    try:
        found = kms.describe_key(KeyId=f"alias/{stack}")["KeyMetadata"]
    except kms.exceptions.NotFoundException:
        return None
    return str(found["KeyId"])


def _remove_tables(dynamodb: Any, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(dynamodb.exceptions.ResourceNotFoundException):
            table = dynamodb.describe_table(TableName=name)["Table"]
            if table.get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
                dynamodb.get_waiter("table_exists").wait(TableName=name)
            dynamodb.delete_table(TableName=name)


def _remove_guest_queues(sqs: Any, stack: str) -> None:
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{stack}-guest-")
    for url in [url for page in pages for url in page.get("QueueUrls", [])]:
        with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=url)
