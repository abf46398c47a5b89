"""Agents upgraded in place on a running stack, by the command: connections go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.shop import Shop, shop_on
from tests.acceptance.stack import Stack
from tests.support.agent_bundles import packed


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    with shop_on(stack) as made:
        yield made


def agent_of(shop: Shop) -> Any:
    shown = shop.stack.admin.request("GET", f"/mgmt/instances/{shop.id}").json()["instance"]
    return shown["guest_status"]["agent_version"]


def has_agent(shop: Shop, version: str) -> bool:
    return bool(agent_of(shop) == version)


def test_agents_are_upgraded_below_connections_that_go_on(
    stack: Stack, shop: Shop, tmp_path: Path
) -> None:
    database, before = shop.database(), shop.rows()
    assert database is not None
    assert agent_of(shop) is None, "it runs from the sources"
    for version, asked in (("1.0.1", [shop.id]), ("1.0.2", ["--all", "--batch", "2"])):
        file = tmp_path / f"{version}.tar.gz"
        file.write_bytes(packed(version))
        stack.coffer("upgrade-agents", *asked, "--bundle", str(file))
        shown = stack.demo.show(shop.id) or {}
        assert shown["status"] == "ACTIVE"
    assert database.is_running()
    assert shop.database() == database
    assert shop.rows() == before
