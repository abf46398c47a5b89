"""Databases, users, access and root: what the guest is asked, and what is refused before."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from troveclient.common import quote_user_host

from chalicelib.engines.mariadb import RESERVED_USERS
from chalicelib.errors import BadRequest, GuestTimeout, NotFound
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store.models import Instance
from tests.api.client import Answer, Api
from tests.api.conftest import Guest, Make
from tests.support.bare import World

ANN = {"name": "ann", "host": "%", "databases": [{"name": "web"}]}
HERE = {"username": "ann", "hostname": "%"}


class Inside:
    """Requests below one instance."""

    def __init__(self, api: Api, row: Instance) -> None:
        self.api, self.row = api, row

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        return self.api.ask(method, f"/instances/{self.row.id}{path}", body, **options)


@pytest.fixture
def inside(api: Api, make: Make) -> Inside:
    return Inside(api, make())


def test_databases_are_listed(inside: Inside, guest: Guest) -> None:
    guest.answers["list_databases"] = {
        "databases": [{"name": "web", "character_set": "utf8mb4", "collate": None}],
        "next_marker": None,
    }
    answer = inside.ask("GET", "/databases?limit=5&marker=a")
    assert answer.body == {"databases": [{"name": "web", "character_set": "utf8mb4"}]}
    page = {"limit": 5, "marker": "a"}
    assert guest.calls == [("list_databases", page)]


def test_databases_are_created_and_deleted(inside: Inside, guest: Guest) -> None:
    body = {"databases": [{"name": "web"}, {"name": "b", "collate": "utf8mb4_bin"}]}
    assert inside.ask("POST", "/databases", body).status == 202
    assert inside.ask("DELETE", "/databases/web%2Dshop").status == 202
    assert guest.calls == [
        ("create_database", {"databases": [{"name": "web"}, body["databases"][1]]}),
        ("delete_database", {"database": {"name": "web-shop"}}),
    ]


def test_one_database_is_not_shown(inside: Inside) -> None:
    answer = inside.ask("GET", "/databases/web")
    assert answer.status == 501
    assert "notImplemented" in answer.body


@pytest.mark.parametrize("name", ["mysql", "SYS", "information_schema", "lost%2Bfound"])
def test_a_reserved_database_is_400(inside: Inside, guest: Guest, name: str) -> None:
    assert inside.ask("DELETE", f"/databases/{name}").status == 400
    body = {"databases": [{"name": unquote(name)}]}
    assert inside.ask("POST", "/databases", body).status == 400
    assert guest.calls == []


def test_users_are_listed_page_by_page_as_troves_client_does(inside: Inside, guest: Guest) -> None:
    last = "o'hara@10.%"
    guest.answers["list_users"] = {"users": [{**ANN, "password": "x"}], "next_marker": last}
    answer = inside.ask("GET", "/users?limit=1")
    assert answer.body["users"] == [ANN]
    (link,) = answer.body["links"]
    guest.answers["list_users"] = {"users": [], "next_marker": None}
    # A client that follows the link, and Trove's, which takes the marker out and sends it as it is.
    inside.ask("GET", "/users?" + urlsplit(link["href"]).query)
    marker = dict(parse_qsl(urlsplit(link["href"]).query))["marker"]
    answer = inside.ask("GET", f"/users?limit=1&marker={marker}")
    assert "links" not in answer.body
    assert [args.get("marker") for _, args in guest.calls] == [None, last, last]


@pytest.mark.parametrize(
    ("identifier", "name", "host"),
    [
        ("ann", "ann", "%"),
        ("ann%40%25", "ann", "%"),
        ("ann@10.0.0.1", "ann", "10.0.0.1"),
        ("a%2Enn%4010%2E0%2E0%2E%25", "a.nn", "10.0.0.%"),
        ("a%40b%40localhost", "a@b", "localhost"),
        ("ann@", "ann", "%"),
        ("a%252Fb", "a%2Fb", "%"),
        ("%C3%A9va", "éva", "%"),
        ("foo.json", "foo.json", "%"),
    ],
)
def test_a_user_in_a_path_is_name_and_host_decoded_once(
    inside: Inside, guest: Guest, identifier: str, name: str, host: str
) -> None:
    guest.answers["get_user"] = {"user": ANN}
    assert inside.ask("GET", f"/users/{identifier}").body == {"user": ANN}
    assert guest.calls == [("get_user", {"username": name, "hostname": host})]


def test_a_user_is_created_changed_and_deleted(inside: Inside, guest: Guest) -> None:
    user = {"name": "ann", "password": "pw", "databases": [{"name": "web"}]}
    assert inside.ask("POST", "/users", {"users": [user]}).status == 202
    changes = {"users": [{"name": "ann", "password": "new"}]}
    assert inside.ask("PUT", "/users", changes).status == 202
    assert inside.ask("PUT", "/users/ann", {"user": {"host": "10.%"}}).status == 202
    assert inside.ask("DELETE", "/users/ann").status == 202
    assert guest.calls == [
        ("create_user", {"users": [{**ANN, "password": "pw"}]}),
        ("change_passwords", {"users": [{"name": "ann", "host": "%", "password": "new"}]}),
        ("update_attributes", {**HERE, "user_attrs": {"host": "10.%"}}),
        ("delete_user", {"user": {"name": "ann", "host": "%"}}),
    ]


LONE = {"name": "ann", "password": "p"}
TWICE = [{"name": "web"}, {"name": "web"}]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"users": [{"name": "root", "password": "p"}]}),
        ("POST", "/users", {"users": [{"name": "OS_Admin", "password": "p"}]}),
        ("POST", "/users", {"users": [{"name": "", "password": "p"}]}),
        ("POST", "/users", {"users": [{"name": "x" * 33, "password": "p"}]}),
        ("POST", "/users", {"users": [{"name": "ann", "password": ""}]}),
        ("POST", "/users", {"users": [{"name": "ann", "password": "p", "host": "a b"}]}),
        ("POST", "/users", {"users": [{"name": "ann", "password": "p", "host": "localhost"}]}),
        ("POST", "/users", {"users": [{**LONE, "databases": TWICE}]}),
        ("POST", "/users", {"users": [LONE, LONE]}),
        ("POST", "/users", {"users": [{**LONE, "databases": [{"name": "_" * 33}]}]}),
        ("POST", "/databases", {"databases": TWICE}),
        ("POST", "/databases", {"databases": [{"name": "a", "collate": "utf8mb4_0900_ai_ci"}]}),
        ("PUT", "/users", {"users": [LONE, LONE]}),
        ("PUT", "/users/ann", {"user": {"host": "10.0.0.0/8"}}),
        ("PUT", "/users/ann/databases", {"databases": TWICE}),
        ("PUT", "/users/ann/databases", {"databases": [{"name": "_" * 33}]}),
        ("POST", "/users", {"users": {"name": "ann", "password": "p"}}),
        ("PUT", "/users", {"users": [{"name": "ann"}]}),
        ("PUT", "/users/ann", {"user": {}}),
        ("PUT", "/users/ann", {"user": {"name": "mysql"}}),
        ("PUT", "/users/root", {"user": {"password": "p"}}),
        ("DELETE", "/users/os_admin", None),
        ("DELETE", "/users/mariadb%2Esys%40localhost", None),
        ("PUT", "/users/ann/databases", {"databases": []}),
        ("PUT", "/users/ann/databases", {"databases": [{"name": "mysql"}]}),
        ("PUT", "/users/root/databases", {"databases": [{"name": "web"}]}),
        ("DELETE", "/users/ann/databases/mysql", None),
        ("POST", "/root", {"password": ""}),
        ("POST", "/root", {"password": 5}),
        ("GET", "/users?limit=x", None),
        ("GET", "/users/%FF", None),
    ],
)
def test_what_breaks_a_rule_never_reaches_the_guest(
    inside: Inside, guest: Guest, method: str, path: str, body: Any
) -> None:
    answer = inside.ask(method, path, body)
    assert answer.status == 400
    answer.fault()
    assert guest.calls == []


NAMED = [{"name": f"n{number}"} for number in range(65)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/databases", {"databases": NAMED}),
        ("POST", "/users", {"users": [{**each, "password": "p"} for each in NAMED]}),
        ("POST", "/users", {"users": [{**LONE, "databases": NAMED}]}),
        ("PUT", "/users", {"users": [{**each, "password": "p"} for each in NAMED]}),
        ("PUT", "/users/ann/databases", {"databases": NAMED}),
    ],
)
def test_every_list_has_a_bound(
    inside: Inside, guest: Guest, method: str, path: str, body: Any
) -> None:
    answer = inside.ask(method, path, body)
    assert (answer.status, "length <= 64" in answer.fault()) == (400, True)
    assert guest.calls == []


NAMES = st.text(
    st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_categories=["Cc", "Cs", "Z"]),
    min_size=1,
    max_size=32,
).filter(lambda name: not set(name) & set("'\";`,/\\") and name.lower() not in RESERVED_USERS)
HOSTS = st.sampled_from(["%", "10.0.%", "127.0.0.1", "%.5", "%0.0%"])


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(NAMES, HOSTS)
def test_who_can_be_made_can_be_shown_changed_and_deleted(
    inside: Inside, guest: Guest, name: str, host: str
) -> None:
    """Each route finds the account by the path that Trove's client makes for it."""
    account = {"username": name, "hostname": host}
    guest.answers = {"get_user": {"user": ANN}, "list_access": {"databases": []}}
    guest.calls.clear()
    made = {"users": [{"name": name, "password": "p", "host": host}]}
    assert inside.ask("POST", "/users", made).status == 202
    path = f"/users/{quote_user_host(name, host)}"
    assert inside.ask("GET", path).status == 200
    assert inside.ask("GET", f"{path}/databases").status == 200
    assert inside.ask("PUT", path, {"user": {"password": "q"}}).status == 202
    assert inside.ask("PUT", f"{path}/databases", {"databases": [{"name": "a"}]}).status == 202
    assert inside.ask("DELETE", f"{path}/databases/a").status == 202
    assert inside.ask("DELETE", path).status == 202
    addressed = [args for _, args in guest.calls[1:-1]]
    assert [account | args for args in addressed] == addressed
    assert guest.calls[-1] == ("delete_user", {"user": {"name": name, "host": host}})


def test_access_is_listed_granted_and_revoked(inside: Inside, guest: Guest) -> None:
    guest.answers["list_access"] = {"databases": [{"name": "web"}]}
    path = f"/users/{quote('ann@%', safe='')}/databases"
    assert inside.ask("GET", path).body == {"databases": [{"name": "web"}]}
    body = {"databases": [{"name": "web"}, {"name": "b"}]}
    assert inside.ask("PUT", path, body).status == 202
    assert inside.ask("DELETE", f"{path}/b").status == 202
    assert guest.calls == [
        ("list_access", HERE),
        ("grant_access", {**HERE, "databases": ["web", "b"]}),
        ("revoke_access", {**HERE, "database": "b"}),
    ]


def test_root_is_enabled_with_a_password_shown_once(
    inside: Inside, guest: Guest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    guest.answers["is_root_enabled"] = {"enabled": False}
    assert inside.ask("GET", "/root").body == {"rootEnabled": False}
    assert inside.ask("DELETE", "/root").status == 404
    answers = [inside.ask("POST", "/root", body) for body in (None, {}, {"password": None})]
    passwords = {answer.body["user"]["password"] for answer in answers}
    assert {len(password) for password in passwords} == {32}
    assert len(passwords) == 3
    chosen = inside.ask("POST", "/root", {"password": "my-own"})
    assert chosen.body == {"user": {"name": "root", "password": "my-own"}}
    assert guest.calls[-1] == ("enable_root", {"root_password": "my-own"})
    inside.row.refresh()
    assert inside.row.root_enabled_by == f"user-of-{inside.api.project}"
    disabled = inside.ask("DELETE", "/root")
    assert (disabled.status, disabled.body) == (204, None)
    assert guest.calls[-1] == ("disable_root", {})
    assert not any(password in caplog.text for password in {*passwords, "my-own"})


CALLS = [
    ("GET", "/databases", None),
    ("POST", "/databases", {"databases": [{"name": "web"}]}),
    ("DELETE", "/databases/web", None),
    ("GET", "/users", None),
    ("POST", "/users", {"users": [{"name": "ann", "password": "p"}]}),
    ("PUT", "/users", {"users": [{"name": "ann", "password": "p"}]}),
    ("GET", "/users/ann", None),
    ("PUT", "/users/ann", {"user": {"password": "p"}}),
    ("DELETE", "/users/ann", None),
    ("GET", "/users/ann/databases", None),
    ("PUT", "/users/ann/databases", {"databases": [{"name": "web"}]}),
    ("DELETE", "/users/ann/databases/web", None),
    ("GET", "/root", None),
    ("POST", "/root", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize(
    ("status", "service", "shown"),
    [
        (Status.BUILD, "building", "BUILD"),
        (Status.SHUTDOWN, "healthy", "SHUTDOWN"),
        (Status.ACTIVE, "crashed", "SHUTDOWN"),
        (Status.ACTIVE, None, "NEW"),
    ],
)
def test_an_instance_that_is_not_ready_is_422(
    api: Api,
    make: Make,
    guest: Guest,
    method: str,
    path: str,
    body: Any,
    status: Status,
    service: str | None,
    shown: str,
) -> None:
    row = make(status, service)
    answer = Inside(api, row).ask(method, path, body)
    assert answer.status == 422
    assert answer.fault() == f"Instance {row.id} is not ready, status: {shown}."
    assert guest.calls == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("User ann@% cannot be found."), 404),
        (BadRequest("User ann@% exists already."), 400),
        (GuestTimeout("The guest agent did not answer."), 503),
    ],
)
@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_the_guests_refusal_is_the_answer(
    inside: Inside,
    guest: Guest,
    method: str,
    path: str,
    body: Any,
    error: Exception,
    status: int,
) -> None:
    class Refusing(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            return error

    guest.answers = Refusing()
    answer = inside.ask(method, path, body)
    assert answer.status == status
    assert answer.fault() == str(error)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users", None),
        ("POST", "/root", None),
        ("DELETE", "/databases/web", None),
        ("POST", "/action", {"restart": {}}),
    ],
)
def test_a_guest_that_was_not_heard_of_for_too_long_is_not_called(
    inside: Inside, guest: Guest, world: World, method: str, path: str, body: Any
) -> None:
    world.run(settings().heartbeat_expiry_seconds)
    answer = inside.ask(method, path, body)
    assert (answer.status, guest.calls) == (422, [])
    assert "ERROR" in answer.fault()
