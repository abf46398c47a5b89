"""What a datastore has no part for, and what a guest is too old for: 501, and nothing is done."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from chalicelib import engines
from chalicelib.api.application import ROUTES
from chalicelib.bus.contract import FIRST_RELEASE, METHODS, RELEASE, RESIZE_FS
from chalicelib.engines.engine import Engine, Part
from chalicelib.engines.mariadb import MariaDBRules
from chalicelib.store.models import TABLES, Datastore, DatastoreVersion, Instance
from tests.api.client import Api
from tests.api.conftest import Guest, Make, operations, report
from tests.support.bare import World

USER: Final = {"name": "ann", "password": "pw-of-ann"}
WEB: Final = {"databases": [{"name": "web"}]}
CALLS: Final = (
    ("GET", "/databases", None, "list_databases"),
    ("POST", "/databases", WEB, "create_database"),
    ("DELETE", "/databases/web", None, "delete_database"),
    ("GET", "/users", None, "list_users"),
    ("POST", "/users", {"users": [USER]}, "create_user"),
    ("PUT", "/users", {"users": [USER]}, "change_passwords"),
    ("GET", "/users/ann", None, "get_user"),
    ("PUT", "/users/ann", {"user": {"password": "another"}}, "update_attributes"),
    ("DELETE", "/users/ann", None, "delete_user"),
    ("GET", "/users/ann/databases", None, "list_access"),
    ("PUT", "/users/ann/databases", WEB, "grant_access"),
    ("DELETE", "/users/ann/databases/web", None, "revoke_access"),
    ("GET", "/root", None, "is_root_enabled"),
    ("POST", "/root", {"password": "pw-of-root"}, "enable_root"),
    ("DELETE", "/root", None, "disable_root"),
    ("PATCH", "", {"instance": {"datastore_version": "2"}}, "upgrade"),
)
"""Every route that asks the guest, with the name of what it asks for."""
CASES: Final = pytest.mark.parametrize(
    ("method", "path", "body", "name"), CALLS, ids=[each[3] for each in CALLS]
)


@pytest.fixture(autouse=True)
def declared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three that nobody offers: one of keys with a superuser, one of users alone, and one bare."""
    bare = Engine("Bare", (1,), "/data", frozenset(), MariaDBRules, lambda ram: {})
    keys = replace(bare, parts=frozenset({Part.ROOT}), superuser="default")
    flat = replace(bare, parts=frozenset({Part.USERS}))
    more = {"keys": keys, "bare": bare, "flat": flat}
    monkeypatch.setattr(engines, "ENGINES", {**engines.ENGINES, **more})
    for name in more:
        Datastore(f"ds-{name}", name=name, default_version_id=f"v-{name}").save()
        DatastoreVersion(
            f"v-{name}",
            datastore_id=f"ds-{name}",
            datastore_name=name,
            name="1",
            version="1",
            manager=name,
        ).save()


def rows() -> list[list[dict[str, Any]]]:
    return [sorted(map(row_of, table.scan()), key=str) for table in TABLES]


def row_of(row: Any) -> dict[str, Any]:
    return dict(row.to_simple_dict())


def of(make: Make, manager: str, **more: Any) -> Instance:
    return make(manager=manager, datastore_name=manager, **more)


def said(name: str, datastore: str) -> str:
    return f"The '{name}' operation is not supported for the '{datastore}' datastore."


def test_every_method_of_a_part_has_its_route_here() -> None:
    without = (Part.SERVER, Part.CONFIGURATION, Part.BACKUPS, Part.LOG)
    parts = {name for name, each in METHODS.items() if each.part not in without}
    assert {name for *_, name in CALLS} == parts
    asked = {(route.method, route.path.partition("{instance}")[2]) for route in ROUTES}
    for method, path, _, _ in CALLS:
        template = path.replace("ann", "{user}").replace("/web", "/{database}")
        assert (method, template) in asked


@CASES
def test_a_datastore_without_the_part_is_501_and_nothing_is_done(
    api: Api, make: Make, guest: Guest, method: str, path: str, body: Any, name: str
) -> None:
    row = of(make, "bare")
    before = rows()
    answer = api.ask(method, f"/instances/{row.id}{path}", body)
    assert (answer.status, answer.fault()) == (501, said(name, "bare"))
    assert guest.calls == []
    assert rows() == before


@CASES
def test_it_is_501_however_the_database_is(
    api: Api, make: Make, method: str, path: str, body: Any, name: str
) -> None:
    row = of(make, "bare", status="BUILD", service="crashed")
    assert api.ask(method, f"/instances/{row.id}{path}", body).fault() == said(name, "bare")


def test_a_body_is_not_judged_by_the_rules_of_another_datastore(api: Api, make: Make) -> None:
    body = {"users": [{"name": "os_admin", "password": "", "host": "a-name"}]}
    assert api.post(f"/instances/{of(make, 'keys').id}/users", body).status == 501


@CASES
def test_another_ones_instance_is_not_found_whatever_it_can(
    other: Api, make: Make, method: str, path: str, body: Any, name: str
) -> None:
    answer = other.ask(method, f"/instances/{of(make, 'bare').id}{path}", body)
    assert answer.status == 404


def test_what_a_datastore_has_is_asked_of_its_guest(api: Api, make: Make, guest: Guest) -> None:
    row = of(make, "keys")
    guest.answers["is_root_enabled"] = {"enabled": False}
    assert api.get(f"/instances/{row.id}/root").body == {"rootEnabled": False}
    enabled = api.post(f"/instances/{row.id}/root", {"password": "pw-of-root"})
    assert enabled.body == {"user": {"name": "default", "password": "pw-of-root"}}
    assert api.get(f"/instances/{row.id}/users").status == 501


@pytest.mark.parametrize(
    ("contents", "name"), [(WEB, "create_database"), ({"users": [USER]}, "create_user")]
)
def test_a_create_with_contents_that_it_cannot_have_holds_nothing(
    api: Api, hints: list[str], contents: dict[str, Any], name: str
) -> None:
    wanted = {"name": "n", "flavorRef": "1", "volume": {"size": 1}, "datastore": {"type": "keys"}}
    before = rows()
    answer = api.post("/instances", {"instance": wanted | contents})
    assert (answer.status, answer.fault()) == (501, said(name, "keys"))
    assert (rows(), hints) == (before, [])
    assert api.post("/instances", {"instance": wanted}).status == 200


def test_users_who_are_let_into_no_databases(api: Api, make: Make, guest: Guest) -> None:
    row = of(make, "flat")
    let_in = {"users": [USER | WEB]}
    answer = api.post(f"/instances/{row.id}/users", let_in)
    assert (answer.status, answer.fault()) == (501, said("grant_access", "flat"))
    assert guest.calls == []
    assert api.post(f"/instances/{row.id}/users", {"users": [USER]}).status == 202
    wanted = {"name": "n", "flavorRef": "1", "volume": {"size": 1}, "datastore": {"type": "flat"}}
    answer = api.post("/instances", {"instance": wanted | let_in})
    assert (answer.status, answer.fault()) == (501, said("grant_access", "flat"))
    assert api.post("/instances", {"instance": wanted | {"users": [USER]}}).status == 200


def test_a_version_tells_what_its_instances_can_do(api: Api) -> None:
    for name, parts in (("keys", ["root"]), ("flat", ["users"]), ("bare", [])):
        shown = api.get(f"/datastores/{name}/versions/1").body["version"]
        assert shown["capabilities"] == parts


ACTIONS: Final = ({"resize": {"volume": {"size": 5}}}, {"resize": {"flavorRef": "big-one"}})


@pytest.mark.parametrize("body", ACTIONS, ids=["volume", "flavor"])
@pytest.mark.parametrize("release", [{}, {"agent_release": FIRST_RELEASE}], ids=["unsaid", "first"])
def test_a_guest_of_an_older_release_is_told_as_one_before_anything_is_held(
    api: Api, make: Make, hints: list[str], release: dict[str, int], body: Any
) -> None:
    row = make(service=None)
    report(row, "healthy", epoch=3, **release)
    before = rows()
    answer = api.post(f"/instances/{row.id}/action", body)
    assert answer.status == 501
    assert answer.fault().startswith(
        f"The guest agent of instance {row.id} is of an older release, which has no '"
    )
    assert (rows(), hints, operations(row.id)) == (before, [], [])
    assert api.post(f"/instances/{row.id}/action", {"restart": {}}).status == 202


@pytest.mark.parametrize("body", ACTIONS, ids=["volume", "flavor"])
@pytest.mark.parametrize(
    "heard",
    [{"epoch": 1, "agent_release": RELEASE}, {"epoch": 0}],
    ids=["today's", "not heard yet"],
)
def test_a_guest_of_today_and_one_that_was_not_heard_yet_are_asked(
    api: Api, make: Make, heard: dict[str, int], body: Any
) -> None:
    row = make(service=None)
    report(row, "healthy", **heard)
    assert api.post(f"/instances/{row.id}/action", body).status == 202
    assert RESIZE_FS.since > FIRST_RELEASE
