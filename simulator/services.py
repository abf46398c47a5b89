"""The services that a deployment stands on, and what it keeps there: tables, queues, secrets.

Whoever deploys takes the place of the real world in this process until it is closed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from chalicelib import aws, parameters
from chalicelib.bus import keyring
from chalicelib.bus.envelope import KEY_BYTES
from chalicelib.store.models import TABLES
from simulator import template
from simulator.aws.client import Client
from simulator.aws.dynamodb.account import Chances as DataChances
from simulator.aws.dynamodb.client import DynamoDBClient
from simulator.aws.dynamodb.service import DynamoDB
from simulator.aws.kms import Kms
from simulator.aws.s3 import S3
from simulator.aws.sqs.delivery import Chances as QueueChances
from simulator.aws.sqs.service import Sqs
from simulator.aws.ssm import Ssm
from simulator.aws.sts import Sts
from simulator.effects import Effects
from simulator.kernel import Kernel
from simulator.provider import SimProvider
from simulator.swift import Swift

GUEST_ROLE: Final = f"arn:aws:iam::123456789012:role/{template.PREFIX}-guest"
QUEUES: Final = "https://sqs.us-east-1.amazonaws.com/123456789012"
QUEUE_ARNS: Final = "arn:aws:sqs:us-east-1:123456789012:"
SECRETS_PATH: Final = "/coffer"
SERVICE_PASSWORD: Final = "service-password-of-the-simulation"  # noqa: S105 - guards nothing
SILENCED: Final = ("chalicelib", "functions")
"""Loggers: what handlers say of faults that were put in is of no use."""


class Services:
    """Tables, queues, parameters and credentials, behind the provider of this process."""

    def __init__(
        self,
        effects: Effects,
        *,
        network_id: str,
        options: Mapping[str, str] | None = None,
        data_chances: DataChances | None = None,
        queue_chances: QueueChances | None = None,
    ) -> None:
        """`options` are environment variables beside, or in place of, those of a deployment."""
        self.effects = effects
        kernel = self.kernel = effects.kernel
        self.dynamodb = DynamoDB(lambda: kernel.now, data_chances)
        self.sqs = Sqs(kernel, queue_chances)
        self.sts = Sts(lambda: kernel.now, {GUEST_ROLE: template.policy("guest")})
        self.ssm = Ssm(_secrets(kernel))
        chance = kernel.stream("kms").randbytes
        self.kms = Kms(template.KEY_ALIAS, template.DEPLOYMENT_ID, chance)
        self.s3 = S3(lambda: kernel.now)
        self.swift = Swift(effects)
        self.clients: dict[str, Any] = {
            "swift": self.swift,
            "dynamodb": DynamoDBClient(self.dynamodb, effects),
            "sqs": Client("sqs", self.sqs, effects),
            "sts": Client("sts", self.sts, effects),
            "ssm": Client("ssm", self.ssm, effects),
            "kms": Client("kms", self.kms, effects),
            "s3": Client("s3", self.s3, effects),
        }
        self.provider = SimProvider(kernel, self.clients, self._guest_client)
        self._environment = _environment(network_id) | dict(options or {})
        self._restore: dict[str, str | None] = {}
        self._previous: aws.Provider | None = None
        self._levels: dict[str, int] = {}

    def _guest_client(self, service: str, key: str, token: str) -> Client:
        """SQS or S3 with the credentials of a guest, whose client of S3 is its own."""
        guard = self.sts.guard(service, key, token)
        if service == "sqs":
            return Client(service, self.sqs, self.effects, guard)

        def guard_of_objects(operation: str, asked: Mapping[str, Any]) -> None:
            """That an object is missing S3 tells only who may list the bucket."""
            guard(operation, asked)
            if operation in ("GetObject", "HeadObject") and not self.s3.has(**asked):
                guard("ListObjectsV2", asked)

        return Client(service, self.s3, self.effects, guard_of_objects, retries=False)

    def deploy(self) -> None:
        """Take the place of the real world; make the tables and the queues."""
        for name, value in self._environment.items():
            self._restore[name] = os.environ.get(name)
            os.environ[name] = value
        self._previous = aws.install(self.provider)
        for name in SILENCED:
            self._levels[name] = logging.getLogger(name).level
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.dynamodb.create_tables(TABLES)
        for bucket in (template.PACKAGES_BUCKET, template.BACKUPS_BUCKET):
            self.s3.create_bucket(Bucket=bucket)
        for name, attributes in template.queues().items():
            self.sqs.create_queue(QueueName=name, Attributes=attributes)

    def close(self) -> None:
        """Give the real world its place back."""
        if self._previous is not None:
            aws.install(self._previous)
            self._previous = None
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        for name, value in self._restore.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def on_arrival(self, queue_name: str, callback: Callable[[], None]) -> None:
        """Have a callback whenever a message of the queue becomes visible; none if it is gone."""
        if queue_name in self.sqs.queues:
            self.sqs.on_arrival(queue_name, callback)


def _environment(network_id: str) -> dict[str, str]:
    states = "arn:aws:states:us-east-1:000000000000:stateMachine"
    return {
        "AWS_DEFAULT_REGION": "us-east-1",
        "COFFER_PREFIX": template.PREFIX,
        "COFFER_DEPLOYMENT_ID": template.DEPLOYMENT_ID,
        "COFFER_SECRETS_PATH": SECRETS_PATH,
        "COFFER_TASKMANAGER_QUEUE_URL": f"{QUEUES}/{template.name('taskmanager')}",
        "COFFER_CONDUCTOR_QUEUE_URL": f"{QUEUES}/{template.name('conductor')}",
        "COFFER_HEARTBEATS_QUEUE_URL": f"{QUEUES}/{template.name('heartbeats')}",
        "COFFER_DEAD_LETTERS_QUEUE_URL": f"{QUEUES}/{template.name('dead-letters')}",
        "COFFER_GUEST_ROLE_ARN": GUEST_ROLE,
        "COFFER_GUEST_QUEUE_ARN_PREFIX": f"{QUEUE_ARNS}{template.PREFIX}-guest-",
        "COFFER_STATE_MACHINE_ARN_PREFIX": f"{states}:{template.PREFIX}-",
        "COFFER_CONTROL_URL": "https://api",
        "COFFER_PACKAGES_BUCKET": template.PACKAGES_BUCKET,
        "COFFER_BACKUPS_BUCKET": template.BACKUPS_BUCKET,
        "COFFER_NETWORK_ID": network_id,
        # Less than the day that is usual, so that a run sees what ends at its bound.
        "COFFER_BACKUP_TIMEOUT_SECONDS": "5400",
        "COFFER_RESTORE_TIMEOUT_SECONDS": "5400",
        "COFFER_HEARTBEAT_SECONDS": "60",
        "COFFER_HEARTBEAT_EXPIRY_SECONDS": "180",
    }


def _secrets(kernel: Kernel) -> dict[str, str]:
    chance = kernel.stream("secrets")
    user = parameters.Credential("coffer", SERVICE_PASSWORD)
    contents = {
        parameters.GUEST_KEYS: keyring.first(chance.randbytes(KEY_BYTES), kernel.now),
        parameters.CONTROL_KEYS: keyring.first(chance.randbytes(KEY_BYTES), kernel.now),
        parameters.BACKUP_KEYS: keyring.first(chance.randbytes(KEY_BYTES), kernel.now),
        parameters.CONTAINER_KEYS: keyring.first(chance.randbytes(KEY_BYTES), kernel.now),
        parameters.CLOUD: user,
        parameters.IDENTITY: user,
    }
    return {
        f"{SECRETS_PATH}/{name}": msgspec.json.encode(each).decode()
        for name, each in contents.items()
    }
