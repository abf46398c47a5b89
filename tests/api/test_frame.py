"""What surrounds every route: tokens, projects, media types, faults, request ids."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.api import later
from chalicelib.api.application import ROUTES, Application
from chalicelib.api.frame import Route
from chalicelib.auth.context import Context
from chalicelib.errors import Unavailable
from chalicelib.store import lists
from tests.api.client import Answer, Api, gateway_event
from tests.api.conftest import Guest, Make

PRIVATE = [route for route in ROUTES if not route.public]
OF_AN_INSTANCE = [
    route for route in PRIVATE if "{instance}" in route.path and "/mgmt/" not in route.path
]
READS_A_BODY = [
    route
    for route in ROUTES
    if route not in later.ROUTES
    and route.method in ("POST", "PUT", "PATCH")
    and not route.path.endswith("/root")
]
_PLACE = re.compile(r"\{(\w+)\}")


def names(routes: list[Route]) -> list[str]:
    return [f"{route.method} {route.path}" for route in routes]


def ask(api: Api, route: Route, body: Any = None, **options: Any) -> Answer:
    """A request to a route, with something plausible in each place of its path."""
    values = {
        **dict.fromkeys(_PLACE.findall(route.path), "some"),
        "project": api.project,
        "instance": aws.new_id(),
        "tenant": api.project,
        "datastore": "mariadb",
        "version": "10.11",
        "flavor": "1",
        "user": "ann",
        "database": "web",
        **options.pop("values", {}),
    }
    return api.raw(route.method, route.path.format(**values), body, **options)


@pytest.mark.parametrize("route", PRIVATE, ids=names(PRIVATE))
def test_no_token_or_an_unknown_one_is_401(api: Api, route: Route) -> None:
    for token in ("", "unknown"):
        answer = ask(api, route, headers={"X-Auth-Token": token})
        assert answer.status == 401
        assert "unauthorized" in answer.body
        answer.fault()


@pytest.mark.parametrize("route", PRIVATE, ids=names(PRIVATE))
def test_another_project_in_the_path_is_403_even_for_administrators(
    api: Api, admin: Api, route: Route
) -> None:
    for caller in (api, admin):
        answer = ask(caller, route, values={"project": "foreign"})
        assert answer.status == 403
        assert "forbidden" in answer.body


@pytest.mark.parametrize("route", OF_AN_INSTANCE, ids=names(OF_AN_INSTANCE))
def test_an_instance_of_another_tenant_is_404(
    other: Api, make: Make, guest: Guest, route: Route
) -> None:
    wanted = {
        "action": {"restart": {}},
        "databases": {"databases": [{"name": "web"}]},
        "users": {"users": [{"name": "ann", "password": "p"}]},
        "{user}": {"user": {"password": "p"}},
        "{instance}": {"instance": {"name": "new"}},
    }
    body = wanted.get(route.path.rpartition("/")[2], {})
    answer = ask(other, route, body, values={"instance": make().id})
    assert answer.status == 404
    assert "itemNotFound" in answer.body
    assert guest.calls == []


@pytest.mark.parametrize("route", READS_A_BODY, ids=names(READS_A_BODY))
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 60_000, b'"text"', b"[]", b"null"])
def test_a_body_that_cannot_be_read_is_400(api: Api, admin: Api, route: Route, body: bytes) -> None:
    assert ask(admin, route, body).status == 400


@pytest.mark.parametrize("route", READS_A_BODY, ids=names(READS_A_BODY))
def test_another_media_type_is_415(admin: Api, route: Route) -> None:
    answer = ask(admin, route, b"<a/>", headers={"Content-Type": "text/xml"})
    assert answer.status == 415
    assert "badMediaType" in answer.body


def test_troves_own_media_type_is_json(api: Api) -> None:
    media = {"Content-Type": "application/vnd.openstack.trove+json; charset=utf-8"}
    answer = api.post("/instances", {"instance": {"name": 1}}, headers=media)
    assert answer.status == 400
    assert "instance['name']" in answer.fault()


def test_a_huge_body_is_413(api: Api) -> None:
    answer = api.post("/instances", {"instance": {"name": "x" * 70_000}})
    assert answer.status == 413
    assert "overLimit" in answer.body


def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    ids = {api.get("/flavors").headers["X-OpenStack-Request-Id"] for _ in range(3)}
    ids.add(api.get("/flavors/none").headers["X-OpenStack-Request-Id"])
    assert len(ids) == 4
    assert all(text.startswith("req-") for text in ids)


def test_an_unexpected_error_is_a_500_that_shows_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("internal detail")

    monkeypatch.setattr(lists, "of_tenant", broken)
    answer = api.get("/instances")
    assert answer.status == 500
    assert answer.headers["X-OpenStack-Request-Id"] in answer.fault()
    assert "internal detail" not in str(answer.body)
    assert "internal detail" in caplog.text


def test_keystone_away_is_503(api: Api, world: object) -> None:
    from chalicelib.api import create_app

    def away(_: str) -> Context:
        raise Unavailable("The identity service is not available at the moment.")

    answer = Api(create_app(away), api.project).get("/instances")
    assert answer.status == 503
    assert "serviceUnavailable" in answer.body


def test_a_log_holds_no_token_and_no_body(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="chalicelib")
    api.post("/instances", {"instance": {"name": "shop", "users": "very-secret"}})
    assert "request: refused" in caplog.text
    assert api.token not in caplog.text
    assert "very-secret" not in caplog.text


def test_an_unknown_path_or_method_gets_troves_fault(app: Application, api: Api) -> None:
    event = gateway_event(app, "GET", f"/v1.0/{api.project}/instances", {}, None)
    assert event is not None
    event["requestContext"]["resourcePath"] = "/nowhere"
    assert app(event, None)["statusCode"] == 404
    event["requestContext"] |= {
        "resourcePath": "/v1.0/{project}/instances",
        "httpMethod": "HEAD",
    }
    answer = app(event, None)
    assert answer["statusCode"] == 405
    assert answer["headers"]["Allow"] == ", ".join(app.routes[event["resource"]])
    assert app({}, None)["statusCode"] == 404


def test_two_apps_share_nothing_that_a_request_changes(app: Application) -> None:
    from chalicelib.api import create_app

    second = create_app(lambda token: Context("u", "n", token, frozenset()))
    assert (
        Api(second, "p").raw("GET", "/v1.0/t/flavors", headers={"X-Auth-Token": "t"}).status == 200
    )
    assert not hasattr(app, "current_request")


def test_an_id_may_end_in_json(api: Api, make: Make) -> None:
    row = make()
    assert api.get(f"/instances/{row.id}.json").body["instance"]["id"] == row.id
    assert api.get("/flavors/1.json").body["flavor"]["str_id"] == "1"
