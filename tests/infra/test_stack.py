"""What `coffer up` says of a stack that a part has died of: what was lost, never in silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.local import cloud, ministack
from infra.local.processes import PartProcess
from infra.local.settings import STACK_NAME, StackSettings
from infra.local.stack import clear_stale
from infra.target import Target

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
LOST = (
    "the local cloud was gone, and with it the servers of 2 instances: "
    "they show ERROR, and can be deleted"
)
EMPTY = "the instances went with the state of AWS: the local cloud starts empty"


class Said:
    """What was said, steps left out."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def say(self, text: str) -> None:
        self.lines.append(text)


class Parts:
    """A stack of two processes that sleep; the tables of its AWS are moto's."""

    def __init__(self, state: Path) -> None:
        self.settings = StackSettings(state)
        self.aws = ministack.process(self.settings)
        self.cloud = cloud.process(self.settings)
        for part in (self.aws, self.cloud):
            part.start(SLEEPER, {}, state)

    def kill(self, part: PartProcess) -> str:
        """As the kernel does it; the words on it."""
        process = part.running()
        assert process is not None
        process.kill()
        process.wait()
        return f"{part.name}: process {process.pid} of the last run is gone: starting it again"

    def rows(self, *rows: dict[str, str]) -> None:
        """Rows of instances; what is deleted has no `index_tenant`."""
        table = boto3.resource("dynamodb", region_name=self.settings.target.region).create_table(
            TableName=f"{STACK_NAME}-instances",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for number, row in enumerate(rows):
            table.put_item(Item={"id": str(number), **row})

    def cleared(self) -> tuple[tuple[bool, bool], list[str]]:
        """What `up` finds, and what it says."""
        said = Said()
        return clear_stale(self.settings, said), said.lines


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    def client(self: Target, service: str) -> Any:
        return boto3.client(service, region_name=self.region)

    monkeypatch.setattr(Target, "client", client)
    made = Parts(tmp_path)
    with mock_aws():
        yield made
    for part in (made.aws, made.cloud):
        part.stop()


def test_instances_whose_cloud_was_killed_are_told(parts: Parts) -> None:
    parts.rows({"index_tenant": "a"}, {"index_tenant": "b"}, {"tenant_id": "deleted"})
    gone = parts.kill(parts.cloud)
    assert parts.cleared() == ((True, False), [gone, LOST])


def test_a_cloud_that_was_killed_without_instances_is_started_again(parts: Parts) -> None:
    parts.rows({"tenant_id": "deleted"})
    gone = parts.kill(parts.cloud)
    assert parts.cleared() == ((True, False), [gone])


def test_a_cloud_whose_aws_was_killed_starts_empty_and_says_so(parts: Parts) -> None:
    gone = parts.kill(parts.aws)
    assert parts.cleared() == ((False, False), [gone, EMPTY])
    assert parts.cloud.running() is None


def test_a_stack_that_is_up_loses_nothing(parts: Parts) -> None:
    parts.rows({"index_tenant": "a"})
    assert parts.cleared() == ((True, True), [])
    assert parts.cloud.running() is not None
