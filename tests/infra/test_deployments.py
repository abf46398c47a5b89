"""Each operator's command works on a deployment of `coffer deploy`, by its name."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from chalicelib.bus import keyring
from chalicelib.bus.envelope import KEY_BYTES
from chalicelib.bus.keyring import KeyRing
from infra import deploy
from infra.cli import (
    adopt,
    deployments,
    expel,
    logs,
    openrc,
    rollout,
    rotate_key,
    status,
    trace,
    upgrade_agents,
)
from infra.cli.trove import Api
from infra.deploy import Stack
from infra.deployment.openstack import Cloud
from infra.errors import StackError, UnusableInputError
from infra.keyrings import RINGS
from infra.target import Target

REGION = "us-east-1"
INSTANCE = "0ef5a1e2-6a0f-4c0c-9d3c-1a2b3c4d5e6f"
ROOT = "https://dbs.example"
PATH = "/elsewhere"
DBS = Stack(
    "CREATE_COMPLETE",
    {"Prefix": "dbs", "PublicEndpoint": ROOT, "SecretsPath": PATH},
    {"TaskManagerCloudName": "dbs-taskmanager-cloud"},
)
LINE = {"message": f"request {INSTANCE}", "time": "2026-11-27T00:00:00Z", "request": INSTANCE}


class Operator:
    """An administrator whose OpenStack is at their hand, and what the API was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    def cloud(self, *_: object) -> Any:
        session = SimpleNamespace(auth_token="token")
        access = SimpleNamespace(project_id="p1")
        cloud = Cloud(session)
        vars(cloud)["access"] = access
        return cloud

    def call(self, api: Api, method: str, path: str, **options: Any) -> dict[str, Any]:
        self.asked.append((method, f"{api.url}{path}", options.get("json")))
        if path.startswith("/mgmt/rollouts"):
            ended = {"id": "r1", "status": "COMPLETED", "under_way": []}
            return {"rollout": {**ended, "rebuilt": 1, "failed": 0, "skipped": 0}}
        return {"instance": {"guest_status": {"generation": 2}}}


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """The one stack of the account is `dbs`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    made = Operator()
    present = {"dbs": DBS}
    monkeypatch.setattr(deploy, "stack_of", lambda _, name: present.get(name))
    monkeypatch.setattr(Cloud, "configured", made.cloud)
    monkeypatch.setattr(Api, "call", lambda api, *words, **more: made.call(api, *words, **more))
    with mock_aws():
        yield made


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def test_an_expelled_guest_is_one_of_that_deployment(operator: Operator) -> None:
    client("iam").create_role(RoleName="dbs-guest", AssumeRolePolicyDocument="{}")
    expel.command([INSTANCE], stack="dbs", region=REGION)
    where = f"{ROOT}/v1.0/p1/mgmt/instances/{INSTANCE}"
    assert operator.asked == [
        ("POST", f"{where}/action", {"expel": {}}),
        ("GET", where, None),
    ]
    (denial,) = client("iam").list_role_policies(RoleName="dbs-guest")["PolicyNames"]
    assert INSTANCE in denial


def test_a_rollout_goes_to_its_api(operator: Operator) -> None:
    rollout.command("image", "10.11", stack="dbs", region=REGION, at_once=1, tolerate=0)
    assert {url for _, url, _ in operator.asked} == {
        f"{ROOT}/v1.0/p1/mgmt/rollouts",
        f"{ROOT}/v1.0/p1/mgmt/rollouts/r1",
    }


def test_its_tables_are_put_right_by_its_own_function(monkeypatch: pytest.MonkeyPatch) -> None:
    invoked: list[str] = []

    def invoke(FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        invoked.append(FunctionName)
        return {"Payload": io.BytesIO(json.dumps({"told": [], "next": None}).encode())}

    monkeypatch.setattr(Target, "client", lambda *_: SimpleNamespace(invoke=invoke))
    adopt.command(check=True, stack="dbs", region=REGION)
    assert invoked == ["dbs-taskmanager-cloud"] * len(adopt.JOBS)


def test_its_keys_are_rotated_where_it_keeps_them() -> None:
    for name in RINGS:
        ring = msgspec.json.encode(keyring.first(b"k" * KEY_BYTES, 0.0)).decode()
        client("ssm").put_parameter(Name=f"{PATH}/{name}", Value=ring, Type="SecureString")
    rotate_key.command(stack="dbs", region=REGION, no_wait=True)
    for name in RINGS:
        stored = client("ssm").get_parameter(Name=f"{PATH}/{name}", WithDecryption=True)
        assert len(msgspec.json.decode(stored["Parameter"]["Value"], type=KeyRing).keys) == 2


def test_its_functions_logs_and_the_copies_of_its_guests_are_what_is_followed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    looked: list[str] = []

    def filtered(**asked: Any) -> dict[str, Any]:
        looked.append(asked["logGroupName"])
        return {"events": []}

    monkeypatch.setattr(Target, "client", lambda *_: SimpleNamespace(filter_log_events=filtered))
    copy = tmp_path / "guest-agent.log"
    copy.write_text("")
    with pytest.raises(StackError, match=INSTANCE):
        trace.command(INSTANCE, guest_log=[copy], stack="dbs", region=REGION)
    assert {name.rpartition("/")[2].partition("-")[0] for name in looked} == {"dbs"}


def test_a_log_is_that_of_its_function(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = "/aws/lambda/dbs-api"
    client("logs").create_log_group(logGroupName=group)
    client("logs").create_log_stream(logGroupName=group, logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "it was here"}
    client("logs").put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
    logs.command("api", stack="dbs", region=REGION, lines=9)
    assert "it was here" in capsys.readouterr().out
    with pytest.raises(StackError, match="no part named front") as told:
        logs.command("front", stack="dbs", region=REGION, lines=9)
    assert "front" not in told.value.advice


COMMANDS: dict[str, Callable[..., None]] = {
    "adopt": adopt.command,
    "expel": lambda **where: expel.command([INSTANCE], **where),
    "logs": lambda **where: logs.command("api", **where),
    "openrc": openrc.command,
    "rollout": lambda **where: rollout.command("image", "10.11", **where),
    "rotate-key": rotate_key.command,
    "status": status.command,
    "upgrade-agents": lambda **where: upgrade_agents.command([INSTANCE], **where),
    "trace": lambda **where: trace.command(INSTANCE, **where),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_deployment_that_is_not_there_is_told(name: str, operator: Operator) -> None:
    with pytest.raises(StackError, match=f"no stack nowhere in {REGION}") as told:
        COMMANDS[name](stack="nowhere", region=REGION)
    assert "coffer deploy" in told.value.advice
    assert operator.asked == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_region_without_a_deployment_is_not_taken_for_the_local_stack(name: str) -> None:
    with pytest.raises(UnusableInputError, match="--region without --stack"):
        COMMANDS[name](region=REGION)


def test_the_deployments_are_chosen_from_one_place() -> None:
    assert deployments.chosen("dbs", None, REGION, None).secrets_path == PATH
