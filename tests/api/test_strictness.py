"""What is asked for and not known is refused, by its name and its place in the body."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Guest, Make

USER = {"name": "ann", "password": "secret-of-ann"}
STRICT = [
    ("PUT", "", {"instance": {"flavorRef": "2"}}, "instance Additional"),
    ("PATCH", "", {"instance": {"volume": {"size": 2}}}, "('volume' was unexpected)"),
    ("PUT", "", {"instance": {"status": "ACTIVE"}}, "('status' was unexpected)"),
    ("PUT", "", {"instance": {"nmae": "x"}}, "('nmae' was unexpected)"),
    ("PUT", "", {"instance": {"name": "x"}, "volume": {}}, "('volume' was unexpected)"),
    ("POST", "/databases", {"databases": [{"name": "a", "charset": "utf8"}]}, "databases[0]"),
    ("POST", "/users", {"users": [USER, {**USER, "hots": "%"}]}, "users[1] Additional"),
    ("POST", "/users", {"users": [USER, USER, {"name": "x"}]}, "users[2] 'password'"),
    ("POST", "/users", {"users": [{**USER, "databases": ["web"]}]}, "users[0]['databases'][0]"),
    ("PUT", "/users", {"users": [{**USER, "grants": []}]}, "('grants' was unexpected)"),
    ("POST", "/users", {"users": [{**USER, "databases": [{"name": "a", "x": 1}]}]}, "('x' was"),
    ("PUT", "/users/ann", {"user": {"passwd": "p"}}, "('passwd' was unexpected)"),
    ("PUT", "/users/ann/databases", {"databases": [{"name": "a", "x": 1}]}, "databases[0]"),
    ("POST", "/root", {"passwd": "p"}, "('passwd' was unexpected)"),
    ("POST", "/action", {"restart": {"force": True}}, "('force' was unexpected)"),
    ("POST", "/action", {"force_delete": {"x": 1}}, "('x' was unexpected)"),
    ("POST", "/databases", {"databases": [{"name": "a", "character_set": ""}]}, "character_set"),
    ("POST", "/databases", {"databases": [{"name": "a", "collate": ""}]}, "collate"),
    ("POST", "/users", {"users": [{**USER, "host": ""}]}, "host"),
]


@pytest.mark.parametrize(("method", "path", "body", "words"), STRICT)
def test_what_is_not_known_is_refused_and_nothing_happens(
    api: Api, make: Make, guest: Guest, method: str, path: str, body: Any, words: str
) -> None:
    row = make()
    answer = api.ask(method, f"/instances/{row.id}{path}", body)
    assert answer.status == 400
    assert words in answer.fault()
    assert "secret-of-ann" not in answer.fault()
    assert guest.calls == []
    assert Instance.get(row.id).name == "shop"


MADE = {"name": "web", "character_set": "latin1", "collate": "latin1_bin"}
"""A database as it was made or is shown: gophercloud sends it so with a user, too."""


@pytest.mark.parametrize(
    ("method", "path", "body", "called"),
    [
        (
            "POST",
            "/users",
            {"users": [{**USER, "databases": [MADE]}]},
            {"users": [{**USER, "host": "%", "databases": [{"name": "web"}]}]},
        ),
        (
            "PUT",
            "/users",
            {"users": [{**USER, "databases": [MADE]}]},
            {"users": [{**USER, "host": "%"}]},
        ),
        (
            "PUT",
            "/users/ann/databases",
            {"databases": [MADE]},
            {"username": "ann", "hostname": "%", "databases": ["web"]},
        ),
    ],
)
def test_what_troves_schemas_name_is_known_and_what_it_leaves_unread_is_left_so(
    api: Api, make: Make, guest: Guest, method: str, path: str, body: Any, called: Any
) -> None:
    assert api.ask(method, f"/instances/{make().id}{path}", body).status == 202
    assert [args for _, args in guest.calls] == [called]


@pytest.mark.parametrize(
    "body",
    [
        {"instance": {}},
        {"instance": {"name": "new"}},
        {"instance": {"configuration": None}},  # detach: of python-troveclient, with none attached
    ],
)
def test_what_clients_send_for_an_update_is_accepted(api: Api, make: Make, body: Any) -> None:
    assert api.put(f"/instances/{make().id}", body).status == 202


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"ram": "]"}, "quotas['ram'] Expected int"),
        ({"instances": 1, "ram": -2}, "quotas['ram'] Expected int"),
        ({"ram": True}, "quotas['ram'] Expected int"),
        ({"ram": 2**31}, "quotas['ram'] Expected int"),
        ({"ram": None}, "quotas['ram'] Expected int"),
    ],
)
def test_a_quota_that_is_none_is_named(admin: Api, limits: Any, words: str) -> None:
    answer = admin.put("/mgmt/quotas/somebody", {"quotas": limits})
    assert answer.status == 400
    assert words in answer.fault()
