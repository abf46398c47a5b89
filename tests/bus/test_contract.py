"""The contract holds together, and a full page fits what it takes."""

from __future__ import annotations

import inspect
from itertools import product
from typing import Any, Final

import msgspec
import pytest

from chalicelib import engines
from chalicelib.bus import contract
from chalicelib.bus.contract import METHODS, Method, values
from chalicelib.bus.envelope import MAX_BODY_BYTES
from chalicelib.domain.flows import FLOWS, Flow, Step, Waits
from chalicelib.engines.engine import Part
from chalicelib.settings import Settings
from guest_agent.datastores.mariadb.manager import MariaDBManager
from guest_agent.datastores.mysql.manager import MySQLManager
from guest_agent.datastores.postgresql.manager import PostgreSQLManager
from guest_agent.datastores.redis.manager import RedisManager
from guest_agent.manager import PARTS
from simulator.fleet.managers import SimMariaDB, SimMySQL, SimPostgreSQL, SimRedis

EVERY = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
STEPS: Final = [(flow, each) for flow in FLOWS.values() for each in (*flow.steps, *flow.undo)]
RELEASED: Final = frozenset(
    {
        *("prepare", "restart", "stop_db", "list_databases", "create_database"),
        *("delete_database", "list_users", "get_user", "create_user", "delete_user"),
        *("change_passwords", "update_attributes", "list_access", "grant_access"),
        *("revoke_access", "is_root_enabled", "enable_root", "disable_root"),
    }
)
"""The methods of the last release, whose guests do not tell theirs."""


@EVERY
def test_every_method_is_one_of_the_managers(method: Method[Any, Any]) -> None:
    declared = inspect.signature(getattr(PARTS[method.part], method.name), eval_str=True)
    assert declared.parameters["request"].annotation is method.arguments
    assert declared.return_annotation is method.answer
    assert ("progress" in declared.parameters) == method.reports


@EVERY
def test_a_method_that_the_last_release_had_not_is_of_a_later_one(method: Method[Any, Any]) -> None:
    assert (method.since == contract.FIRST_RELEASE) == (method.name in RELEASED)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *product((MariaDBManager, SimMariaDB), ("mariadb", "mysql")),
        *product((MySQLManager, SimMySQL), ("mysqld",)),
        *product((PostgreSQLManager, SimPostgreSQL), ("postgresql",)),
        *product((RedisManager, SimRedis), ("redis",)),
    ],
)
def test_a_manager_answers_what_is_declared_of_its_datastore(kind: type, name: str) -> None:
    assert {part for part in Part if issubclass(kind, PARTS[part])} == {
        part for part in Part if engines.can(name, part)
    }


@EVERY
def test_the_bound_of_every_method_is_a_setting(method: Method[Any, Any]) -> None:
    assert method.timeout in {field.name for field in msgspec.structs.fields(Settings)}


@pytest.mark.parametrize(("flow", "step"), STEPS, ids=lambda each: getattr(each, "name", None))
def test_a_step_that_waits_for_a_guest_waits_no_longer_than_its_method_is_given(
    flow: Flow, step: Step
) -> None:
    assert not step.asks or METHODS[step.asks].repeatable, "a step may run again"
    if step.waits is Waits.GUEST:
        method, defaults = METHODS[step.asks], Settings()
        waits = getattr(defaults, step.timeout or flow.timeout)
        assert waits <= getattr(defaults, method.timeout)
        assert method.long, "a guest goes on reporting meanwhile"


def test_what_has_its_default_is_not_sent() -> None:
    assert msgspec.to_builtins(contract.arguments.Page(limit=5)) == {"limit": 5}


def test_a_full_page_of_the_longest_names_is_taken() -> None:
    databases = [{"name": "x" * 64, "character_set": "utf8mb4", "collate": "c" * 32}]
    page = {"databases": databases * values.MOST_ROWS, "next_marker": "x" * 64}
    assert len(contract.LIST_DATABASES.decode(page).databases) == values.MOST_ROWS
    assert len(msgspec.json.encode(page)) < MAX_BODY_BYTES < values.MOST_RESULT_BYTES
