"""I10, broken on purpose, is told."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.errors import CofferError, OverLimit, Unavailable
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import operation, replied, told_by


def two_replies(deployment: Deployment) -> None:
    for content in (b'{"instance": {"id": "one"}}', b'{"instance": {"id": "two"}}'):
        replied_with_key(deployment, Reply(200, {}, content))


def accepted_with_another_body(deployment: Deployment) -> None:
    for body in (b"{}", b'{"other": 1}'):
        replied_with_key(deployment, Reply(202, {}, b""), body)


def refused_afterwards(deployment: Deployment) -> None:
    fault = b'{"itemNotFound": {"code": 404, "message": "gone"}}'
    for reply in (Reply(202, {}, b""), Reply(404, {}, fault)):
        replied_with_key(deployment, reply)
        deployment.run(1)


def done_twice(deployment: Deployment) -> None:
    row = operation(deployment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.invariants.hub, "api_key", lambda: "k")
        patch.setattr(deployment.invariants.hub, "api_caller", lambda: (row.tenant_id, False))
        for row.id in ("1", "2"):
            row.save()


def replied_with_key(deployment: Deployment, reply: Reply, body: bytes = b"") -> None:
    path = "/v1.0/tenant-1/instances/1/users"
    replied(deployment, "POST", path, reply, body, {"Idempotency-Key": "k"})


test_a_broken_promise_is_told = told_by(
    "I10", two_replies, accepted_with_another_body, refused_afterwards, done_twice
)


def test_a_key_may_be_asked_again_later(deployment: Deployment) -> None:
    refusals: tuple[CofferError, ...] = (OverLimit("m"), Unavailable("m"))
    for reply in (
        Reply(202, {}, b""),
        *(Reply(each.status, {}, msgspec.json.encode(each.body())) for each in refusals),
        Reply(202, {}, b""),
    ):
        replied_with_key(deployment, reply)
        deployment.run(1)
    assert deployment.invariants.violations == []
    assert deployment.invariants.results()["I10"].verdict == "holds"
