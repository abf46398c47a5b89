"""The guests' two routes only parse and hand over."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chalicelib.api import guests
from chalicelib.conductor.enrolment import Admission, Enrol, GuestQueues, Renew
from chalicelib.conductor.lending import Credentials
from chalicelib.errors import Gone
from tests.api.client import Api
from tests.support.lines import lines_of

RENEWAL: dict[str, Any] = {
    "instance_id": "i",
    "generation": 1,
    "issued_at_ms": 5,
    "start": True,
    "signature": "c2ln",
}
ADMISSION = Admission(
    instance_id="i",
    generation=1,
    epoch=1,
    key_version=1,
    keys={"to_guest": "a2V5", "to_control": "a2V5"},
    other_keys={},
    credentials=Credentials("id", "secret", "session", "2026-11-26T22:00:00Z"),
    queues=GuestQueues("https://guest", "https://conductor", "https://heartbeats"),
    heartbeat_seconds=150,
)


def test_bodies_reach_the_conductor_without_a_token(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def remember(body: Any, _: str | None = None) -> Admission:
        seen.append(body)
        return ADMISSION

    monkeypatch.setattr(guests, "enrol", remember)
    monkeypatch.setattr(guests, "renew", remember)
    no_token = {"X-Auth-Token": ""}
    enrolment: dict[str, Any] = {
        "token": "t",
        "public_key": "a2V5",
        "server_id": "s",
        "issued_at_ms": 5,
        "signature": "c2ln",
    }
    with lines_of("chalicelib.api.frame") as lines:
        first = api.raw("POST", "/guest/v1/enrol", enrolment, headers=no_token)
        second = api.raw("POST", "/guest/v1/renew", RENEWAL, headers=no_token)
    assert [line["instance_id"] for line in lines] == ["i", "i"]
    assert (first.status, first.body, second.status) == (
        200,
        msgspec.to_builtins(ADMISSION),
        200,
    )
    assert seen == [Enrol(**enrolment), Renew(**RENEWAL)]


def test_refusals_keep_their_status(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Renew) -> Admission:
        raise Gone("The instance is gone.")

    monkeypatch.setattr(guests, "renew", gone)
    answer = api.raw("POST", "/guest/v1/renew", RENEWAL)
    assert answer.body == {"gone": {"code": 410, "message": "The instance is gone."}}
    bad = api.raw("POST", "/guest/v1/renew", {**RENEWAL, "generation": "1"})
    assert bad.status == 400
