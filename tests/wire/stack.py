"""A stack on an endpoint: what it owns there, and what all of it should be."""

from __future__ import annotations

import threading
from functools import cache, partial
from typing import Any

import pytest
import requests
from localstack_client.session import Session

from infra.local.settings import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, STACK_NAME
from tests.acceptance.stack import TIMEOUT_SECONDS, Api, Stack

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
MAKING = threading.Lock()
CLOUD_KINDS = ("servers", "volumes", "ports", "security_groups")


@cache
def client(endpoint: str, service: str) -> Any:
    """A client of an endpoint, by localstack-client; making one is slow, so each is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        session = Session(
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            region_name=REGION,
        )
    with MAKING:
        return session.client(service)


def left_at(endpoint: str) -> dict[str, list[str]]:
    """What of Coffer an endpoint holds, by service."""
    aws = partial(client, endpoint)
    cloudformation, dynamodb, sqs = aws("cloudformation"), aws("dynamodb"), aws("sqs")
    # LocalStack tells of stacks that are gone, too.
    stacks = [
        stack
        for stack in cloudformation.describe_stacks()["Stacks"]
        if stack["StackStatus"] != "DELETE_COMPLETE"
    ]
    functions = aws("lambda").list_functions()["Functions"]
    machines = aws("stepfunctions").list_state_machines()["stateMachines"]
    return {
        "stacks": _ours(stack["StackName"] for stack in stacks),
        "tables": _ours(dynamodb.list_tables()["TableNames"]),
        "queues": _ours(
            url.rsplit("/", 1)[1]
            for url in sqs.list_queues(QueueNamePrefix=STACK_NAME).get("QueueUrls", [])
        ),
        "buckets": _ours(bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]),
        "functions": _ours(function["FunctionName"] for function in functions),
        "machines": _ours(machine["name"] for machine in machines),
    }


def _ours(names: Any) -> list[str]:
    return sorted(name for name in names if name.startswith(STACK_NAME))


class WireStack(Stack):
    """The stack under test, seen through clients of localstack-client."""

    def aws(self, service: str) -> Any:
        """A client of the endpoint."""
        return client(self.settings.aws_url, service)

    def tenant(self, name: str) -> Api:
        """The API as a tenant, with the token of this stack's session."""
        api: Api = getattr(self, name)
        return api

    def try_cloud(self, method: str, path: str) -> int:
        """The status that the local cloud's test controls answer."""
        return requests.request(
            method,
            f"{self.settings.cloud_url}/_simulator{path}",
            headers={"X-Auth-Token": self.admin.user.token},
            timeout=TIMEOUT_SECONDS,
        ).status_code

    def send(self, queue: str, body: str) -> None:
        """Put anything on one of Coffer's queues."""
        sqs = self.aws("sqs")
        url = sqs.get_queue_url(QueueName=f"{STACK_NAME}-{queue}")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=body)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every item of a table, as DynamoDB has it."""
        pages = (
            self.aws("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=f"{STACK_NAME}-{table}", ConsistentRead=True)
        )
        return [item for page in pages for item in page["Items"]]

    def live_operations(self) -> list[str]:
        """The operations that have not come to an end, with where they stand."""
        return [
            f"{row['action']['S']} {row['id']['S']} {row['status']['S']}"
            f" at {row.get('step', {}).get('S')}"
            for row in self.rows("operations")
            if row["status"]["S"] not in TERMINAL or "live" in row
        ]

    def guest_queues(self) -> list[str]:
        """The names of all guests' queues."""
        urls = self.aws("sqs").list_queues(QueueNamePrefix=f"{STACK_NAME}-guest-")
        return sorted(url.rsplit("/", 1)[1] for url in urls.get("QueueUrls", []))

    def owned(self) -> dict[str, dict[str, int]]:
        """How many things of each kind carry the name of which instance."""
        inventory = self.cloud("GET", "/inventory")
        known = [row["id"]["S"] for row in self.rows("instances")]
        owned: dict[str, dict[str, int]] = {}

        def count(kind: str, text: str) -> None:
            owner = next((instance_id for instance_id in known if instance_id in text), text)
            kinds = owned.setdefault(owner, {})
            kinds[kind] = kinds.get(kind, 0) + 1

        for kind in CLOUD_KINDS:
            for thing in inventory[kind]:
                if thing["name"] != "default":
                    count(kind, str(thing["name"]))
        for queue in self.guest_queues():
            count("queues", queue)
        for row in self.rows("guests"):
            count("keys", row["instance_id"]["S"])
        return owned
