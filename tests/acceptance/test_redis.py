"""A Redis of a tenant, by unmodified clients: `openstack database …` and redis-cli."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.acceptance.groups import applied, change, delete_group, hold, new_group
from tests.acceptance.operating import offer
from tests.acceptance.stack import Stack, eventually
from tests.acceptance.test_clients import run

WITHIN = 120
OWN = "a password of one's own"
REFUSED = (
    *("CONFIG GET dir", "CONFIG SET dir /tmp", "DEBUG SLEEP 1", "MODULE LIST", "SHUTDOWN"),
    *("REPLICAOF 127.0.0.1 1", "ACL LIST", "ACL SETUSER x on nopass", "SAVE", "MONITOR"),
)


class RedisCli:
    """The client of Redis itself, as root."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.password = ""

    def __call__(self, *words: str, password: str | None = None) -> str:
        done = subprocess.run(
            ["redis-cli", "-h", self.address, *words],
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": password or self.password},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return (done.stderr + done.stdout).strip()

    def evicts(self, policy: str) -> Callable[[], bool]:
        """Whether it makes room by that policy, as it tells of itself."""
        return lambda: f"maxmemory_policy:{policy}" in self("INFO", "memory").split()

    def keeps(self) -> bool:
        """Whether it has what was written."""
        return self("GET", "kept") == "1"


@pytest.fixture(scope="module")
def instance(stack: Stack) -> Iterator[str]:
    run(
        stack, "database", "instance", "create", "cache", "--flavor", "1", "--size", "1",
        "--datastore", "redis", "--datastore-version", "7.0",
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (instance_id,) = (each["ID"] for each in listed if each["Name"] == "cache")
    yield str(instance_id)
    run(stack, "database", "instance", "delete", instance_id)
    stack.demo.wait(instance_id, "GONE")
    stack.assert_owns_nothing(stack.demo, instance_id)


@pytest.fixture(scope="module")
def redis(stack: Stack, instance: str) -> RedisCli:
    made = RedisCli(stack.demo.healthy(instance)["addresses"][0]["address"])
    assert "NOAUTH" in made("PING"), "nobody is let in before root is enabled"
    root = stack.demo.request("POST", f"/instances/{instance}/root").json()["user"]
    assert root["name"] == "default"
    made.password = root["password"]
    assert made("SET", "kept", "1") == "OK"
    return made


def test_root_does_everything_with_data_and_nothing_to_the_server(redis: RedisCli) -> None:
    assert redis("HSET", "h", "a", "1") == "1"
    assert redis("-n", "15", "SET", "k", "v") == "OK"
    assert redis("-n", "15", "FLUSHDB") == "OK"
    for words in REFUSED:
        said = redis(*words.split())
        assert any(each in said for each in ("NOPERM", "not allowed")), f"{words}: {said}"
    assert redis.keeps()


def test_root_is_put_out_and_let_in_by_a_password_of_ones_own(
    stack: Stack, instance: str, redis: RedisCli
) -> None:
    former = redis.password
    run(stack, "database", "root", "disable", instance)
    assert "NOAUTH" in redis("PING")
    run(stack, "database", "root", "enable", instance, "--root_password", OWN)
    assert run(stack, "database", "root", "show", instance)["is_root_enabled"]
    assert "NOAUTH" in redis("PING", password=former)
    redis.password = OWN
    assert redis.keeps()


def test_what_redis_has_not_is_refused_in_a_sentence(stack: Stack, instance: str) -> None:
    path = f"/instances/{instance}"
    for method, rest, body in (
        ("GET", "databases", None),
        ("POST", "databases", {"databases": [{"name": "d"}]}),
        ("GET", "users", None),
        ("POST", "users", {"users": [{"name": "u", "password": "p"}]}),
        ("GET", "users/u/databases", None),
    ):
        said = stack.demo.request(method, f"{path}/{rest}", body)
        assert said.status_code == 501
        told = said.json()["notImplemented"]["message"]
        assert "operation is not supported for the 'redis' datastore" in told
    said = stack.demo.create(
        "c",
        datastore={"type": "redis", "version": "7.0"},
        users=[{"name": "u", "password": "p", "databases": []}],
    )
    assert said.status_code == 501


def test_data_and_values_outlive_what_is_done_to_an_instance(
    stack: Stack, instance: str, redis: RedisCli
) -> None:
    words = ("database", "instance")
    values = {"maxmemory-policy": "allkeys-lru", "databases": 20}
    group = new_group(stack, "redis", "7.0", **values)
    hold(stack, instance, group)
    eventually(redis.evicts("allkeys-lru"), WITHIN, "a live value is held")
    change(stack, group, **{"maxmemory-policy": "allkeys-lfu"})
    eventually(redis.evicts("allkeys-lfu"), WITHIN, "its change is held")
    stack.demo.wait(instance, "RESTART_REQUIRED", within=WITHIN)
    assert "out of range" in redis("-n", "19", "PING")
    applied(stack, group)
    run(stack, *words, "restart", instance)
    stack.demo.healthy(instance)
    assert redis.keeps()
    assert redis("-n", "19", "PING") == "PONG"
    run(stack, *words, "resize", "volume", instance, "2")
    stack.demo.wait(instance, "ACTIVE")
    run(stack, *words, "resize", "flavor", instance, "4")
    stack.demo.healthy(instance)
    assert redis.keeps()
    assert redis.evicts("allkeys-lfu")()
    hold(stack, instance, None)
    eventually(redis.evicts("noeviction"), WITHIN, "the template's is back")
    delete_group(stack, group)
    offer(stack, "of a patch", "7.0", datastore="redis")
    run(stack, *words, "upgrade", instance, "of a patch")
    stack.demo.healthy(instance)
    eventually(redis.keeps, WITHIN, "the data are there after an upgrade")
    assert (stack.demo.show(instance) or {})["datastore"]["version"] == "of a patch"
    assert "out of range" in redis("-n", "19", "PING")


def test_a_dead_server_is_started_again(stack: Stack, instance: str, redis: RedisCli) -> None:
    (server,) = stack.things_of(instance, "servers")
    (process,) = (
        each
        for each in psutil.process_iter(["name", "cmdline"])
        if each.info["name"] == "redis-server" and server["id"] in str(each.info["cmdline"])
    )
    process.send_signal(signal.SIGKILL)
    eventually(redis.keeps, WITHIN, "the data are there after a kill")
    events = stack.demo.request("GET", f"/instances/{instance}/events").json()["events"]
    assert "guest.crashed" in {each["kind"] for each in events}
