"""Takes a deployed stack away, with everything that CloudFormation leaves: for emulators only.

On AWS the tables with the instances outlive their stack on purpose; a cloud on this machine has no
instance left by the time this is called.
"""

import contextlib
from typing import Any, Final

import yaml
from botocore.exceptions import ClientError

from chalicelib import parameters
from infra.deploy import Target, describe, packages_bucket, wait_until_still
from infra.errors import DeployError
from infra.package.sources import PROJECT_ROOT

TEMPLATE: Final = PROJECT_ROOT / "infra" / "template" / "tables.yaml"


def remove(target: Target, stack: str, secrets_path: str) -> bool:
    """Remove the stack, its tables, guests' queues, packages and secrets; False without a stack."""
    cloudformation = target.client("cloudformation")
    found = describe(cloudformation, stack) is not None
    if found:
        cloudformation.delete_stack(StackName=stack)
        left = wait_until_still(cloudformation, stack)
        if left is not None:
            raise DeployError(
                f"The stack {stack} ended in {left['StackStatus']}.",
                "Look at its events in CloudFormation, then run the command again.",
            )
    _remove_tables(target.client("dynamodb"), _tables(stack))
    _remove_guest_queues(target.client("sqs"), stack)
    _remove_packages(target.client("s3"), packages_bucket(target, stack))
    ssm = target.client("ssm")
    for name in parameters.NAMES:
        with contextlib.suppress(ssm.exceptions.ParameterNotFound):
            ssm.delete_parameter(Name=f"{secrets_path}/{name}")
    return found


def _tables(stack: str) -> list[str]:
    """The tables by their names in the template: those that are left when the stack has gone."""
    resources = yaml.safe_load(TEMPLATE.read_text())["Resources"].values()
    return [
        resource["Properties"]["TableName"]["Fn::Sub"].replace("${Prefix}", stack)
        for resource in resources
    ]


def _remove_tables(dynamodb: Any, names: list[str]) -> None:
    for name in names:
        try:
            dynamodb.delete_table(TableName=name)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue


def _remove_guest_queues(sqs: Any, stack: str) -> None:
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{stack}-guest-")
    for url in [url for page in pages for url in page.get("QueueUrls", [])]:
        try:
            sqs.delete_queue(QueueUrl=url)
        except sqs.exceptions.QueueDoesNotExist:
            continue


def _remove_packages(s3: Any, bucket: str) -> None:
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for page in pages:
            for item in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
        s3.delete_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise
