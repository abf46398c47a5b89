"""Token validation against a Keystone on loopback: a real session, real HTTP."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest
import requests

from chalicelib import aws
from chalicelib.auth import connection, keystone
from chalicelib.auth.keystone import Keystone
from chalicelib.errors import Unauthorized, Unavailable
from chalicelib.parameters import LOOK_SECONDS, Credential
from chalicelib.settings import Settings
from simulator.region import API_TIMEOUT_SECONDS

LATER = "2999-01-01T00:00:00.000000Z"


class FakeKeystone:
    """Issues service tokens `service-<n>` and knows the tokens in `users`."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.issued = 0
        self.looks = 0
        self.password = self.parameter = "the-service-password"
        self.refuse_password = False
        self.revoke_service_tokens = False
        self.validations: list[str] = []
        self.broken: bytes | None = None
        self.application = False
        self.logins: list[Any] = []

    def get_parameter(self, **_: Any) -> dict[str, Any]:
        """The parameter with the password, as SSM answers."""
        self.looks += 1
        user = Credential("coffer-api", self.parameter, application=self.application)
        return {"Parameter": {"Value": msgspec.json.encode(user).decode()}}

    def issue(self, body: bytes) -> tuple[int, dict[str, str], Any]:
        if self.refuse_password or self.password.encode() not in body:
            return 401, {}, {"error": {"code": 401, "title": "Unauthorized", "message": "no"}}
        self.issued += 1
        self.logins.append(json.loads(body)["auth"])
        token = {"expires_at": LATER, "issued_at": LATER, "methods": ["password"], "catalog": []}
        return 201, {"X-Subject-Token": f"service-{self.issued}"}, {"token": token}

    def validate(self, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if self.revoke_service_tokens and headers["x-auth-token"] != f"service-{self.issued}":
            return 401, {}, {}
        if self.revoke_service_tokens and self.issued == 1:
            return 401, {}, {}
        subject = headers["x-subject-token"]
        self.validations.append(subject)
        if self.broken is not None:
            return 200, {}, self.broken
        known = self.users.get(subject)
        return (200, {}, {"token": known}) if known else (404, {}, {"error": {"code": 404}})


def of_user(roles: tuple[str, ...] = ("member",), **more: Any) -> dict[str, Any]:
    return {
        "expires_at": LATER,
        "user": {"id": "u1", "name": "ann", "domain": {"id": "default"}},
        "project": {"id": "p1", "name": "demo"},
        "roles": [{"id": f"r-{role}", "name": role} for role in roles],
        **more,
    }


@pytest.fixture
def server() -> Iterator[tuple[FakeKeystone, str]]:
    fake = FakeKeystone()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(*fake.issue(body))

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(*fake.validate(headers))

        def log_message(self, *_: object) -> None:
            """Nothing: the test's output stays clean."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield fake, f"http://127.0.0.1:{http.server_port}/identity"
    http.shutdown()
    thread.join()
    http.server_close()


class Clock(aws.Provider):
    offset_seconds = 0.0

    def clock(self) -> float:
        return super().clock() + self.offset_seconds


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    previous = aws.install(made)
    yield made
    aws.install(previous)


@pytest.fixture
def validate(
    server: tuple[FakeKeystone, str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Keystone]:
    chosen = Settings(os_auth_url=server[1], token_cache_seconds=20)
    for module in (keystone, connection):
        monkeypatch.setattr(module, "settings", lambda: chosen)
    monkeypatch.setattr(clock, "client", lambda _: server[0])
    made = Keystone()
    yield made
    made.close()


@pytest.fixture
def fake(server: tuple[FakeKeystone, str]) -> FakeKeystone:
    return server[0]


def test_a_good_token_tells_who_and_where(fake: FakeKeystone, validate: Keystone) -> None:
    fake.users["good"] = of_user(("member", "admin"))
    context = validate("good")
    assert (context.user_id, context.user_name, context.project_id) == ("u1", "ann", "p1")
    assert context.is_admin
    assert context.visible_tenant is None


def test_a_token_is_asked_for_once_in_its_cache_time(
    fake: FakeKeystone, validate: Keystone, clock: Clock
) -> None:
    fake.users["good"] = of_user()
    assert {validate("good").project_id for _ in range(3)} == {"p1"}
    assert fake.validations == ["good"]
    clock.offset_seconds += 21
    validate("good")
    assert fake.validations == ["good", "good"]
    assert fake.issued == 1


def test_a_revoked_token_is_refused_when_its_cache_time_is_over(
    fake: FakeKeystone, validate: Keystone, clock: Clock
) -> None:
    fake.users["good"] = of_user()
    validate("good")
    del fake.users["good"]
    validate("good")
    clock.offset_seconds += 21
    with pytest.raises(Unauthorized):
        validate("good")


def test_an_expired_token_is_never_served_from_the_cache(
    fake: FakeKeystone, validate: Keystone, clock: Clock
) -> None:
    soon = datetime.fromtimestamp(aws.clock() + 5, UTC)
    fake.users["short"] = of_user(expires_at=soon.isoformat())
    validate("short")
    clock.offset_seconds += 6
    with pytest.raises(Unauthorized, match="expired"):
        validate("short")


@pytest.mark.parametrize("token", ["", "unknown", "with space", "line\nbreak", "é", "x" * 9000])
def test_other_tokens_are_refused(validate: Keystone, token: str) -> None:
    with pytest.raises(Unauthorized):
        validate(token)


def test_a_token_without_a_project_is_refused(fake: FakeKeystone, validate: Keystone) -> None:
    fake.users["unscoped"] = of_user(project=None)
    with pytest.raises(Unauthorized, match="project"):
        validate("unscoped")


def test_the_service_renews_its_own_token_when_that_is_refused(
    fake: FakeKeystone, validate: Keystone
) -> None:
    fake.users["good"] = of_user()
    fake.revoke_service_tokens = True
    assert validate("good").project_id == "p1"
    assert fake.issued == 2


def test_an_application_credential_logs_in_by_its_id_and_names_no_project(
    fake: FakeKeystone, validate: Keystone
) -> None:
    fake.application = True
    fake.users["good"] = of_user()
    assert validate("good").user_id == "u1"
    (login,) = fake.logins
    given = {"id": "coffer-api", "secret": fake.password}
    assert login["identity"] == {
        "methods": ["application_credential"],
        "application_credential": given,
    }
    assert "scope" not in login


def test_refused_service_credentials_are_503_not_401(
    fake: FakeKeystone, validate: Keystone
) -> None:
    fake.refuse_password = True
    with pytest.raises(Unavailable):
        validate("good")


def test_a_changed_password_is_picked_up_by_a_warm_container(
    fake: FakeKeystone, validate: Keystone, clock: Clock
) -> None:
    fake.users |= {"first": of_user(), "second": of_user()}
    validate("first")
    clock.offset_seconds += LOOK_SECONDS
    fake.password = fake.parameter = "the-next-password"
    fake.revoke_service_tokens = True  # as Keystone does when a password changes
    fake.issued = 1
    assert validate("second").project_id == "p1"
    assert fake.looks == 2


def test_a_refused_password_is_looked_up_now_and_then_only(
    fake: FakeKeystone, validate: Keystone, clock: Clock
) -> None:
    fake.refuse_password = True
    clock.offset_seconds += LOOK_SECONDS
    for number in range(5):
        with pytest.raises(Unavailable):
            validate(f"token-{number}")
    assert fake.looks == 1
    clock.offset_seconds += LOOK_SECONDS
    with pytest.raises(Unavailable):
        validate("token-9")
    assert fake.looks == 2


def test_a_keystone_away_is_503(validate: Keystone, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Settings(os_auth_url="http://127.0.0.1:9/identity/v3")
    monkeypatch.setattr(connection, "settings", lambda: away)
    with pytest.raises(Unavailable):
        validate("good")


class Line:
    """The way to Keystone: what fails on it next, and how long each validation may take."""

    def __init__(self, validate: Keystone, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[Exception] = []
        self.timeouts: list[Any] = []
        http = validate._connection.session().session
        self._request = http.request
        monkeypatch.setattr(http, "request", self._asked)

    def _asked(self, method: str, url: str, **more: Any) -> Any:
        if method == "GET":
            self.timeouts.append(more["timeout"])
            if self.failures:
                raise self.failures.pop(0)
        return self._request(method, url, **more)


@pytest.fixture
def line(fake: FakeKeystone, validate: Keystone, monkeypatch: pytest.MonkeyPatch) -> Line:
    fake.users |= {"first": of_user(), "good": of_user()}
    validate("first")
    return Line(validate, monkeypatch)


def test_a_slow_keystone_has_all_the_time_that_a_request_leaves_it(
    validate: Keystone, line: Line
) -> None:
    assert validate("good").user_id == "u1"
    assert line.timeouts == [keystone.ANSWER_SECONDS]
    left = API_TIMEOUT_SECONDS - keystone.ANSWER_SECONDS - Settings().guest_call_seconds
    assert left >= 2, "for what the API does itself"


def test_a_keystone_that_does_not_answer_is_not_asked_again(validate: Keystone, line: Line) -> None:
    line.failures.append(requests.exceptions.ReadTimeout())
    with pytest.raises(Unavailable):
        validate("good")
    assert len(line.timeouts) == 1


def test_a_token_that_was_validated_just_now_needs_no_keystone(
    validate: Keystone, line: Line
) -> None:
    line.failures.append(requests.exceptions.ReadTimeout())
    assert validate("first").user_id == "u1"
    assert line.timeouts == []


@pytest.mark.parametrize("broken", [1, 2])
def test_a_connection_that_broke_is_made_anew_once(
    validate: Keystone, line: Line, broken: int
) -> None:
    line.failures += [requests.exceptions.ConnectionError() for _ in range(broken)]
    if broken == 1:
        assert validate("good").user_id == "u1"
    else:
        with pytest.raises(Unavailable):
            validate("good")
    assert len(line.timeouts) == 2


@pytest.mark.parametrize("broken", [b"<html/>", b"{}", b'{"token": {"user": 5}}'])
def test_an_answer_that_is_no_token_is_503(
    fake: FakeKeystone, validate: Keystone, broken: bytes
) -> None:
    fake.broken = broken
    with pytest.raises(Unavailable):
        validate("good")


def test_the_cache_is_bounded(
    fake: FakeKeystone, validate: Keystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystone, "CACHE_ENTRIES", 2)
    for name in ("a", "b", "c"):
        fake.users[name] = of_user()
        validate(name)
    validate("c")
    validate("a")
    assert fake.validations == ["a", "b", "c", "a"]


def test_no_secret_is_logged_or_kept(
    fake: FakeKeystone, validate: Keystone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.users["a-user-token"] = of_user()
    validate("a-user-token")
    for secret in ("a-user-token", "the-service-password", "service-1"):
        assert secret not in caplog.text
    assert b"a-user-token" not in repr(vars(validate)).encode()
