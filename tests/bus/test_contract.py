"""The contract holds together, and a full page fits what it takes."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest

from chalicelib.bus import contract
from chalicelib.bus.contract import METHODS, Method, values
from chalicelib.bus.envelope import MAX_BODY_BYTES
from chalicelib.settings import Settings
from guest_agent.manager import Manager

EVERY = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


@EVERY
def test_every_method_is_one_of_the_managers(method: Method[Any, Any]) -> None:
    declared = inspect.signature(getattr(Manager, method.name), eval_str=True)
    assert declared.parameters["request"].annotation is method.arguments
    assert declared.return_annotation is method.answer
    assert ("progress" in declared.parameters) == method.reports


@EVERY
def test_the_bound_of_every_method_is_a_setting(method: Method[Any, Any]) -> None:
    assert method.timeout in {field.name for field in msgspec.structs.fields(Settings)}


def test_what_has_its_default_is_not_sent() -> None:
    assert msgspec.to_builtins(contract.arguments.Page(limit=5)) == {"limit": 5}


def test_a_full_page_of_the_longest_names_is_taken() -> None:
    databases = [{"name": "x" * 64, "character_set": "utf8mb4", "collate": "c" * 32}]
    page = {"databases": databases * values.MOST_ROWS, "next_marker": "x" * 64}
    assert len(contract.LIST_DATABASES.decode(page).databases) == values.MOST_ROWS
    assert len(msgspec.json.encode(page)) < MAX_BODY_BYTES < values.MOST_RESULT_BYTES
