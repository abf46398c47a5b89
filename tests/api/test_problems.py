"""Errors as problem documents (RFC 9457) for whoever asks, as Trove's faults for everybody else."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import problems
from chalicelib.api.application import Application
from chalicelib.api.rates import Rates
from chalicelib.errors import OverLimit
from chalicelib.store import lists
from tests.api.client import Answer, Api, gateway_event
from tests.api.conftest import Make

ASKED = {"Accept": "application/problem+json, application/json;q=0.5"}


def problem(answer: Answer, status: int, title: str, fault: str) -> str:
    """The detail of a problem, checked to be one of the RFC's form."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["instance"] == answer.headers["X-OpenStack-Request-Id"]
    told = {name: answer.body[name] for name in ("type", "title", "status", "fault")}
    assert told == {"type": "about:blank", "title": title, "status": status, "fault": fault}
    return str(answer.body["detail"])


def test_each_error_is_a_problem_for_who_asks_for_one(api: Api, make: Make) -> None:
    row = make("BUILD", "new")
    path = f"/instances/{row.id}"
    problem(api.get("/instances/none", headers=ASKED), 404, "Not Found", "itemNotFound")
    problem(api.post("/instances", {}, headers=ASKED), 400, "Bad Request", "badRequest")
    problem(
        api.post(f"{path}/action", {"restart": {}}, headers=ASKED),
        422,
        "Unprocessable Entity",
        "unprocessableEntity",
    )
    problem(api.get("/modules", headers=ASKED), 501, "Not Implemented", "notImplemented")
    problem(api.get("/mgmt/instances", headers=ASKED), 401, "Unauthorized", "unauthorized")


def test_other_clients_read_faults(api: Api) -> None:
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "text/html"}):
        answer = api.get("/instances/none", headers=accept)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.fault()


def test_what_is_no_error_is_json_all_the_same(api: Api) -> None:
    answer = api.get("/instances", headers=ASKED)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_a_throttle_says_when_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OverLimit("This request was rate-limited.", details="why", retry_after_seconds=7)

    monkeypatch.setattr(Rates, "require", refuse)
    answer = api.get("/flavors", headers=ASKED)
    problem(answer, 413, "Request Entity Too Large", "overLimit")
    assert (answer.body["details"], answer.body["retry_after"]) == ("why", 7)
    assert answer.headers["Retry-After"] == "7"


def test_a_mistake_of_ours_is_one_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("internal detail")

    monkeypatch.setattr(lists, "of_tenant", broken)
    answer = api.get("/instances", headers=ASKED)
    assert "internal" not in problem(answer, 500, "Internal Server Error", "instanceFault")


@pytest.mark.parametrize(("method", "path"), [("GET", "/none"), ("PUT", "/v1.0")])
def test_what_has_no_route_is_one_too(app: Application, method: str, path: str) -> None:
    event = gateway_event(app, "GET", "/v1.0", ASKED, None)
    assert event is not None
    event["requestContext"] |= {"httpMethod": method, "resourcePath": path}
    answered = app(event, None)
    assert answered["headers"]["Content-Type"] == "application/problem+json"
    assert answered["statusCode"] == {"GET": 404, "PUT": 405}[method]


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        ("application/problem+json", True),
        ("Application/Problem+JSON; q=0.2", True),
        ("text/html, application/problem+json;charset=utf-8", True),
        ("application/problem+json;q=0", False),
        ("application/problem+json; Q=0.000", False),
        ("application/problem+jsonx", False),
        ("application/problem+xml", False),
        ("*/*", False),
        ("", False),
        (",;,=;q", False),
    ],
)
def test_a_header_asks_for_problems_by_their_name(accept: str, asked: bool) -> None:
    assert problems.asked_for(accept) is asked
