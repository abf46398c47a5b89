"""Every call of a function is one that the policy of its role allows."""

from __future__ import annotations

from typing import Any

import pytest

from simulator import template
from simulator.aws.policies import parsed
from simulator.aws.rights import Rights, needed
from simulator.plan import Plan, Workload
from simulator.run import Run

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/coffer-"
FLOW = "arn:aws:states:us-east-1:000000000000"
CALLS: tuple[tuple[str, str, dict[str, Any], list[tuple[str, str]]], ...] = (
    (
        "dynamodb",
        "GetItem",
        {"TableName": "coffer-guests", "Key": {}},
        [("dynamodb:GetItem", f"{TABLE}guests")],
    ),
    (
        "dynamodb",
        "Query",
        {"TableName": "coffer-operations", "IndexName": "live-index"},
        [("dynamodb:Query", f"{TABLE}operations/index/live-index")],
    ),
    (
        "dynamodb",
        "BatchGetItem",
        {"RequestItems": {"coffer-guests": {}, "coffer-quotas": {}}},
        [("dynamodb:BatchGetItem", f"{TABLE}guests"), ("dynamodb:BatchGetItem", f"{TABLE}quotas")],
    ),
    (
        "dynamodb",
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": "coffer-events"}},
                {"ConditionCheck": {"TableName": "coffer-quotas"}},
            ]
        },
        [("dynamodb:PutItem", f"{TABLE}events"), ("dynamodb:ConditionCheckItem", f"{TABLE}quotas")],
    ),
    (
        "sqs",
        "SendMessageBatch",
        {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/coffer-conductor"},
        [("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:coffer-conductor")],
    ),
    (
        "sqs",
        "CreateQueue",
        {"QueueName": "coffer-guest-1"},
        [("sqs:CreateQueue", "arn:aws:sqs:us-east-1:123456789012:coffer-guest-1")],
    ),
    (
        "sqs",
        "CreateQueue",
        {"QueueName": "coffer-guest-1", "tags": {"a": "b"}},
        [
            ("sqs:CreateQueue", "arn:aws:sqs:us-east-1:123456789012:coffer-guest-1"),
            ("sqs:TagQueue", "arn:aws:sqs:us-east-1:123456789012:coffer-guest-1"),
        ],
    ),
    (
        "stepfunctions",
        "StopExecution",
        {"executionArn": f"{FLOW}:execution:coffer-create-instance:1"},
        [
            (
                "states:StopExecution",
                "arn:aws:states:us-east-1:123456789012:execution:coffer-create-instance:1",
            )
        ],
    ),
    ("stepfunctions", "SendTaskSuccess", {"taskToken": "t"}, [("states:SendTaskSuccess", "*")]),
    (
        "kms",
        "Decrypt",
        {"KeyId": "alias/coffer", "CiphertextBlob": b""},
        [("kms:Decrypt", template.KEY_ARN)],
    ),
    (
        "ssm",
        "GetParameter",
        {"Name": "/coffer/cloud"},
        [("ssm:GetParameter", "arn:aws:ssm:us-east-1:123456789012:parameter/coffer/cloud")],
    ),
    (
        "s3",
        "ListObjectsV2",
        {"Bucket": "backups", "Prefix": "a/"},
        [("s3:ListBucket", "arn:aws:s3:::backups")],
    ),
    (
        "s3",
        "DeleteObjects",
        {"Bucket": "backups", "Delete": {"Objects": [{"Key": "a/1"}, {"Key": "a/2"}]}},
        [
            ("s3:DeleteObject", "arn:aws:s3:::backups/a/1"),
            ("s3:DeleteObject", "arn:aws:s3:::backups/a/2"),
        ],
    ),
    (
        "s3",
        "HeadObject",
        {"Bucket": "backups", "Key": "a/1"},
        [("s3:GetObject", "arn:aws:s3:::backups/a/1")],
    ),
    (
        "s3",
        "GetObject",
        {"Params": {"Bucket": "packages", "Key": "agents/1"}},
        [("s3:GetObject", "arn:aws:s3:::packages/agents/1")],
    ),
    ("openstack", "servers.create", {}, []),
)


@pytest.mark.parametrize(
    ("service", "call", "what", "rights"), CALLS, ids=lambda each: str(each)[:30]
)
def test_a_call_needs_the_rights_of_its_parts(
    service: str, call: str, what: dict[str, Any], rights: list[tuple[str, str]]
) -> None:
    assert list(needed(service, call, what)) == rights


@pytest.mark.parametrize("name", sorted(template.roles(SecretsPath="/coffer")))
def test_no_placeholder_of_a_policy_is_left(name: str) -> None:
    document = template.roles(SecretsPath="/coffer")[name]
    assert "${" not in str(document)
    assert parsed(document)


def test_a_policy_that_lacks_a_statement_is_an_error_of_the_run() -> None:
    busy = Workload(operations_per_guest_hour=60.0, mix={"delete": 1.0})
    run = Run(Plan(guests=2, hours=0.05, workload=busy, settle_seconds=60.0, empty_at_end=False))
    policies = {
        name: parsed(document) for name, document in template.roles(SecretsPath="/coffer").items()
    }
    del policies["coffer-dispatcher"]
    run.world.region.effects.hooks.remove(run.world.region.rights)
    run.world.region.rights = Rights(policies)
    run.world.region.effects.hooks.append(run.world.region.rights)
    result = run.execute()
    assert {each.who for each in result.errors} == {"a function"}
    assert "coffer-dispatcher is not authorized to perform dynamodb:GetItem" in str(result.errors)
