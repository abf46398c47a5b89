"""The API in one process: tables in memory, tokens that name their owner, a fake guest."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest

from chalicelib import aws
from chalicelib.api import create_app
from chalicelib.api.application import Application
from chalicelib.api.frame import ANSWER_SECONDS
from chalicelib.auth.context import Context
from chalicelib.bus import commands, queues
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.values import Value
from chalicelib.errors import CofferError, Unauthorized
from chalicelib.lifecycle import Status
from chalicelib.store.models import (
    Datastore,
    DatastoreVersion,
    Flavor,
    Instance,
    Operation,
    ServiceStatusRow,
)
from chalicelib.store.models import Guest as GuestRow
from simulator.services import SILENCED
from tests.api.client import Api
from tests.support.bare import World, fresh

R = TypeVar("R")

_projects = itertools.count(1)

PUBLIC_KEY = "BP9WZ5oOnF+JRBR9hF3kzhhnPvT6DZDZmSdAWdY6BOI="
"""Of a guest that never signs anything here."""


class Guest:
    """Stands for every guest: answers calls from a table and remembers them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.commands: list[str | None] = []
        self.answers: dict[str, dict[str, Any] | CofferError] = {}

    def call(
        self,
        instance: Instance,
        method: Method[Any, R],
        args: Value,
        command_id: str | None = None,
        *,
        until: float,
    ) -> R:
        assert aws.clock() <= until <= aws.clock() + ANSWER_SECONDS
        self.calls.append((method.name, msgspec.to_builtins(args)))
        self.commands.append(command_id)
        answer = self.answers.get(method.name, {})
        if isinstance(answer, CofferError):
            raise answer
        row = commands.new_command("a-command", instance, method.name, deadline=aws.clock())
        row.answered, row.result = aws.clock(), answer
        if (error := commands.error_of(row)) is not None:
            raise error
        return method.decode(answer)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Tables in memory, secrets and the catalog's rows, for one module of tests; a call takes 1 ms.

    That the tables behave as DynamoDB's is said by `tests/simulator/aws` and `tests/store`.
    """
    with fresh(latency_seconds=0.001) as made:
        for name in SILENCED:  # tests look at what is said
            logging.getLogger(name).setLevel(logging.NOTSET)
        _fill_catalog()
        yield made


def _fill_catalog() -> None:
    Datastore("ds-mariadb", name="mariadb", default_version_id="v-1011").save()
    Datastore("ds-old", name="old").save()
    version(id="v-1011", name="10.11", version="10.11.6")
    version(id="v-off", name="10.6", version="10.6.1", active=False)
    version(id="v-twin-a", name="twin", version="1")
    version(id="v-twin-b", name="twin", version="2")
    version(id="v-old", name="1", version="1", datastore=("ds-old", "old"), active=False)
    Flavor("1", name="db.tiny", ram=512, vcpus=1, disk=5).save()
    Flavor("big-one", name="db.big", ram=4096, vcpus=4, disk=40).save()


def version(
    *,
    id: str,  # noqa: A002 - the column's name
    name: str,
    version: str,
    active: bool = True,
    datastore: tuple[str, str] = ("ds-mariadb", "mariadb"),
) -> None:
    DatastoreVersion(
        id,
        datastore_id=datastore[0],
        datastore_name=datastore[1],
        name=name,
        version=version,
        manager="mariadb",
        image_tags=["coffer"],
        active=active,
    ).save()


def authenticate(token: str) -> Context:
    """Tokens here read `token-<project>-<role>`."""
    kind, _, rest = token.partition("-")
    project, _, role = rest.rpartition("-")
    if kind != "token" or not project:
        raise Unauthorized("The token is not valid.")
    return Context(
        user_id=f"user-of-{project}",
        user_name="somebody",
        project_id=project,
        roles=frozenset({role}),
    )


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    made = Guest()
    monkeypatch.setattr(commands, "call", made.call)
    return made


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the operations that the task manager was told of."""
    sent: list[str] = []
    monkeypatch.setattr(queues, "notify_task_manager", sent.append)
    return sent


@pytest.fixture
def app(world: World, guest: Guest, hints: list[str]) -> Application:
    return create_app(authenticate)


@pytest.fixture
def api(app: Application) -> Api:
    """A member of a project that no other test knows."""
    return Api(app, f"project{next(_projects)}")


@pytest.fixture
def other(app: Application) -> Api:
    """A member of yet another project."""
    return Api(app, f"project{next(_projects)}")


@pytest.fixture
def admin(app: Application, api: Api) -> Api:
    """An administrator whose token is for the same project as `api`'s."""
    return Api(app, api.project, "admin")


Make = Callable[..., Instance]


@pytest.fixture
def make(world: World, api: Api) -> Make:
    """Makes an instance row of `api`'s project, ACTIVE and HEALTHY unless told otherwise."""

    def made(status: str = Status.ACTIVE, service: str | None = "healthy", **more: Any) -> Instance:
        now = aws.clock()
        fields: dict[str, Any] = {
            "id": aws.new_id(),
            "tenant_id": api.project,
            "index_tenant": api.project,
            "name": "shop",
            "status": status,
            "created": now,
            "updated": now,
            "datastore_version_id": "v-1011",
            "datastore_name": "mariadb",
            "datastore_version": "10.11",
            "datastore_version_number": "10.11.6",
            "manager": "mariadb",
            "flavor_id": "1",
            "flavor_ram": 512,
            "flavor_vcpus": 1,
            "volume_size": 1,
            "region": "RegionOne",
            **more,
        }
        row = Instance(**fields)
        row.save()
        if server_id := row.resources.get("server_id"):
            key = PUBLIC_KEY
            GuestRow(row.id, row.generation, public_key=key, server_id=server_id, enrolled=0).save()
        if service is not None:
            report(row, service)
        return row

    return made


def report(row: Instance, service: str, **more: Any) -> None:
    """What the guest of an instance reported last."""
    ServiceStatusRow(row.id, generation=1, status=service, updated=aws.clock(), **more).save()


def operations(row_id: str) -> list[Operation]:
    """The operations of an instance, oldest first."""
    return list(Operation.subject_index.query(row_id))
