"""What tenants do: lives of instances as data, a model of what each should hold, and their run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests
from hypothesis import strategies as st

from tests.acceptance.stack import Api, eventually
from tests.wire.stack import WireStack

NAMES = ("apple", "birch", "cedar")
WITHIN_SECONDS = 120.0
PASSWORD = "a pass word 1"
STUMBLES = (
    ("volume", "create_volume", "unavailable"),
    ("volume", "create_volume", "timeout_after"),
    ("network", "create_port", "timeout_after"),
    ("compute", "create_server", "unavailable"),
    ("compute", "create_server", "timeout_after"),
    ("compute", "delete_server", "timeout_after"),
)
"""Calls of the cloud that fail once, before or after their effect; every flow gets over them."""


@dataclass(frozen=True)
class Life:
    """What a tenant does with one instance, in this order.

    `impatient` asks for a delete while it is built; `deletes` come at once, and none keeps it.
    """

    tenant: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    impatient: bool
    deletes: int


@dataclass(frozen=True)
class Workload:
    """Lives side by side, and what goes wrong meanwhile."""

    lives: tuple[Life, ...]
    stumbles: tuple[tuple[str, str, str], ...]


@dataclass
class Expected:
    """What an instance's database should hold."""

    instance_id: str
    tenant: str
    databases: set[str]
    users: dict[str, set[str]]
    root: bool = False
    kept: bool = True


VERBS = (
    *("make_database", "drop_database", "make_user", "make_user_twice", "drop_user", "grant"),
    *("root_on", "root_off", "restart", "kill_agent", "poison"),
)
names = st.sampled_from(NAMES)
some_names = st.lists(names, max_size=2, unique=True).map(tuple)
lives = st.builds(
    Life,
    tenant=st.sampled_from(["demo", "demo2"]),
    databases=some_names,
    users=some_names,
    steps=st.lists(st.tuples(st.sampled_from(VERBS), names), min_size=2, max_size=6).map(tuple),
    impatient=st.booleans(),
    deletes=st.integers(0, 2),
)
workloads = st.builds(
    Workload,
    lives=st.lists(lives, min_size=2, max_size=3).map(tuple),
    stumbles=st.lists(st.sampled_from(STUMBLES), max_size=2, unique=True).map(tuple),
)


def run(stack: WireStack, workload: Workload) -> list[Expected]:
    """Live all lives at the same time; what each instance should be in the end."""
    for service, call, mode in workload.stumbles:
        fault = {"service": service, "call": call, "mode": mode, "match": "", "count": 1}
        stack.cloud("POST", "/faults", fault)
    try:
        with ThreadPoolExecutor(len(workload.lives)) as pool:
            return list(pool.map(lambda life: Living(stack, life).live(), workload.lives))
    finally:
        stack.try_cloud("DELETE", "/faults")


class Living:
    """One life as it is lived."""

    def __init__(self, stack: WireStack, life: Life) -> None:
        self.stack = stack
        self.life = life
        self.api: Api = stack.tenant(life.tenant)
        self.killed = False
        grants = [{"name": name} for name in life.databases[:1]]
        instance_id = self.api.created(
            "wire",
            databases=[{"name": name} for name in life.databases],
            users=[
                {"name": name, "password": PASSWORD, "databases": grants} for name in life.users
            ],
        )
        self.expected = Expected(
            instance_id,
            life.tenant,
            set(life.databases),
            {name: set(life.databases[:1]) for name in life.users},
        )
        self.path = f"/instances/{instance_id}"

    def live(self) -> Expected:
        """All steps, each checked against the model, then the deletes."""
        if self.life.impatient:
            assert self.api.delete(self.expected.instance_id).status_code == 422
        self.api.healthy(self.expected.instance_id, WITHIN_SECONDS)
        for verb, name in self.life.steps:
            getattr(self, f"_{verb}")(name)
        if self.life.deletes:
            self.delete()
        return self.expected

    def delete(self) -> None:
        """As many deletes at once as it says: one is enough, none is an error."""
        instance_id = self.expected.instance_id
        with ThreadPoolExecutor(self.life.deletes or 1) as pool:
            asked = [pool.submit(self.api.delete, instance_id) for _ in range(self.life.deletes)]
        codes = {answer.result().status_code for answer in asked}
        assert 202 in codes
        assert codes <= {202, 404}
        self.api.wait(instance_id, "GONE", within=WITHIN_SECONDS)
        self.expected.kept = False

    def _make_database(self, name: str) -> None:
        body = {"databases": [{"name": name}]}
        self._ask("POST", "/databases", body, allowed=name not in self.expected.databases)
        self.expected.databases.add(name)

    def _drop_database(self, name: str) -> None:
        allowed = name in self.expected.databases
        self._ask("DELETE", f"/databases/{name}", allowed=allowed)
        self.expected.databases.discard(name)

    def _make_user(self, name: str) -> None:
        self._ask("POST", "/users", _user(name), allowed=name not in self.expected.users)
        self.expected.users.setdefault(name, set())

    def _make_user_twice(self, name: str) -> None:
        """Two requests at the same time make one user."""
        wins = int(name not in self.expected.users)
        with ThreadPoolExecutor(2) as pool:
            asked = [
                pool.submit(self.api.request, "POST", f"{self.path}/users", _user(name))
                for _ in range(2)
            ]
        codes = sorted(answer.result().status_code for answer in asked)
        assert codes == [202] * wins + [400] * (2 - wins), codes
        self.expected.users.setdefault(name, set())

    def _drop_user(self, name: str) -> None:
        self._ask("DELETE", f"/users/{name}", allowed=name in self.expected.users)
        self.expected.users.pop(name, None)

    def _grant(self, name: str) -> None:
        """Access of the user to the database of the same name."""
        allowed = name in self.expected.users and name in self.expected.databases
        body = {"databases": [{"name": name}]}
        self._ask("PUT", f"/users/{name}/databases", body, allowed=allowed)
        if allowed:
            self.expected.users[name].add(name)

    def _root_on(self, _: str) -> None:
        self._ask("POST", "/root", allowed=True)
        self.expected.root = True

    def _root_off(self, _: str) -> None:
        answer = self.api.request("DELETE", f"{self.path}/root")
        assert answer.status_code in ((204,) if self.expected.root else (204, 404)), answer.text
        self.expected.root = False

    def _restart(self, _: str) -> None:
        self._ask("POST", "/action", {"restart": {}}, allowed=True)
        self.api.healthy(self.expected.instance_id, WITHIN_SECONDS)

    def _kill_agent(self, _: str) -> None:
        """The agent dies, once in a life, and is started again.

        Its open receive lives on at the endpoint and takes the next message with it for 20 s; that
        is rubbish here, so that nobody has to wait for a command to come back.
        """
        if self.killed:
            return
        self.killed = True
        servers = self.stack.things_of(self.expected.instance_id, "servers")
        assert self.stack.try_cloud("POST", f"/servers/{servers[0]['id']}/kill_agent") == 202
        self.stack.send(f"guest-{self.expected.instance_id}-1", "rubbish")
        eventually(
            lambda: self.api.request("GET", f"{self.path}/databases").ok,
            WITHIN_SECONDS,
            "the guest answers again",
        )

    def _poison(self, name: str) -> None:
        """Anybody with a guest's credentials may write this to the conductor."""
        self.stack.send("conductor", name)

    def _ask(
        self, method: str, path: str, body: object = None, *, allowed: bool
    ) -> requests.Response:
        answer = self.api.request(method, f"{self.path}{path}", body)
        right = answer.ok if allowed else answer.status_code in (400, 404)
        assert right, f"{method} {path} of {self.expected}: {answer.status_code} {answer.text}"
        return answer


def _user(name: str) -> dict[str, object]:
    return {"users": [{"name": name, "password": PASSWORD, "databases": []}]}


def remove(stack: WireStack, made: list[Expected]) -> None:
    """Delete what a workload has kept, and wait until it is gone."""
    kept = [each for each in made if each.kept]
    for each in kept:
        assert stack.tenant(each.tenant).delete(each.instance_id).status_code == 202
    for each in kept:
        stack.tenant(each.tenant).wait(each.instance_id, "GONE", within=WITHIN_SECONDS)
        each.kept = False


def settle(stack: WireStack) -> None:
    """Wait until every operation has come to an end."""
    eventually(
        lambda: not stack.live_operations(),
        WITHIN_SECONDS,
        f"every operation is terminal: {stack.live_operations()}",
    )
