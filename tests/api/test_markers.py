"""Lists are read to their end by the clients' own code, whatever the names are."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from troveclient.v1 import databases, users

from chalicelib.bus import commands
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.arguments import Page
from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Make
from tests.api.test_later import Recorder

R = TypeVar("R")

DATABASES = {
    "numbered": [f"app#{n:02}" for n in range(25)],
    "with_all_that_trove_allows": sorted(f"a {c}?#@{n:02}" for c in "#@?" for n in range(12)),
    "made_by_root": sorted(["%", "a%23b", "a#b", "a&b", "a=b", "ü", "😀", "app%2523", "x y", "+"]),
}
USERS = {
    "patterns": [("ann", f"10.{n}.%") for n in range(25)],
    "signs": [
        (name, "%") for name in ("%41", "a#b", "a%23b", "a&b", "a@b", "e\u00e9", "+", "日本")
    ],
}


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """What the guest holds, answered in pages by the bytes of the names, as the real one does."""
    held: dict[str, list[dict[str, Any]]] = {}

    def key(item: dict[str, Any]) -> str:
        return f"{item['name']}@{item['host']}" if "host" in item else item["name"]

    def call(row: Instance, method: Method[Page, R], args: Page, *_: Any, **__: Any) -> R:
        kind = method.name.removeprefix("list_")
        rows = [each for each in held[kind] if args.marker is None or key(each) > args.marker]
        page = sorted(rows, key=key)[: args.limit]
        following = key(page[-1]) if len(rows) > len(page) else None
        return method.decode({kind: page, "next_marker": following})

    monkeypatch.setattr(commands, "call", call)
    return held


def pages(api: Api, path: str, kind: str) -> list[dict[str, Any]]:
    """Every item, by following the links as openstacksdk and gophercloud do."""
    found: list[dict[str, Any]] = []
    url = f"/v1.0/{api.project}{path}"
    for _ in range(100):
        answer = api.raw("GET", url)
        found += answer.body[kind]
        if "links" not in answer.body:
            return found
        parts = urlsplit(answer.body["links"][0]["href"])
        url = f"{parts.path.removeprefix('/api')}?{parts.query}"
    raise AssertionError("the list never ends")


def read_by_troves_client(manager: Any, instance_id: str, limit: int) -> list[Any]:
    """Every item, by python-troveclient's paging."""
    found: list[Any] = []
    marker = None
    for _ in range(100):
        page = manager.list(instance_id, limit=limit, marker=marker)
        found += page
        if page.next is None:
            return found
        marker = page.next
    raise AssertionError("the list never ends")


@pytest.mark.parametrize("names", DATABASES.values(), ids=DATABASES)
@pytest.mark.parametrize("limit", [1, 3, 20])
def test_databases(api: Api, make: Make, content: Any, names: list[str], limit: int) -> None:
    row = make()
    content["databases"] = [{"name": name} for name in names]
    by_links = pages(api, f"/instances/{row.id}/databases?limit={limit}", "databases")
    assert [item["name"] for item in by_links] == sorted(names)
    manager = databases.Databases(_client(api, row.id))
    assert [item.name for item in read_by_troves_client(manager, row.id, limit)] == sorted(names)


@pytest.mark.parametrize("accounts", USERS.values(), ids=USERS)
@pytest.mark.parametrize("limit", [1, 3, 20])
def test_users(
    api: Api, make: Make, content: Any, accounts: list[tuple[str, str]], limit: int
) -> None:
    row = make()
    content["users"] = [{"name": name, "host": host} for name, host in accounts]
    by_links = pages(api, f"/instances/{row.id}/users?limit={limit}", "users")
    expected = sorted(accounts, key="@".join)
    assert [(item["name"], item["host"]) for item in by_links] == expected
    read = read_by_troves_client(users.Users(_client(api, row.id)), row.id, limit)
    assert [(item.name, item.host) for item in read] == expected


def test_a_marker_may_be_a_plain_name(api: Api, make: Make, content: Any) -> None:
    row = make()
    content["databases"] = [{"name": name} for name in DATABASES["numbered"]]
    answer = api.get(f"/instances/{row.id}/databases?marker=app%2323")
    assert answer.body == {"databases": [{"name": "app#24"}]}


def _client(api: Api, instance_id: str) -> Any:
    return type("Client", (), {"client": Recorder(api, instance_id)})()
