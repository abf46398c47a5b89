"""I18, broken on purpose, is told."""

from __future__ import annotations

import logging

from chalicelib.store import events
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, instance, replied, told_by


def nobody_asked(deployment: Deployment) -> None:
    row = instance(deployment)
    events.record(row.id, "delete_instance.accepted", "", row.tenant_id)


def no_audit_record(deployment: Deployment) -> None:
    reply = Reply(202, {"X-OpenStack-Request-Id": "req-1"}, b"")
    replied(deployment, "DELETE", f"/v1.0/{OTHER}/instances/{OTHER}", reply)


def somebody_else(deployment: Deployment) -> None:
    fields = {"audit": True, "user_id": "u", "tenant_id": OTHER}
    replied_with_line(deployment, 202, **fields)


def nobody(deployment: Deployment) -> None:
    replied_with_line(deployment, 202, audit=True)


def replied_with_line(deployment: Deployment, status: int, **fields: object) -> None:
    told = {"kind": "request", "action": "DELETE /", "request_id": "req-1", "status": status}
    logging.getLogger("chalicelib.api.frame").info("DELETE", extra=told | fields)
    reply = Reply(status, {"X-OpenStack-Request-Id": "req-1"}, b"{}")
    replied(deployment, "DELETE", "/v1.0/tenant-1/instances/1", reply)


test_a_broken_promise_is_told = told_by("I18", nobody_asked, no_audit_record, somebody_else, nobody)


def test_while_keystone_does_not_answer_nobody_is_known(deployment: Deployment) -> None:
    replied_with_line(deployment, 503, audit=True)
    assert not deployment.invariants.each["I18"].violations
