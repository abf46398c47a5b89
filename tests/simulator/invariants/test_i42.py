"""I42, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Instance
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, replied, told_by


def answered(
    deployment: Deployment, status: int, *, gone: bool = False, after: float = 200
) -> None:
    """A tenant asks for its instance, so long after its row has changed."""
    row = instance(deployment)
    if gone:
        row.update(actions=[Instance.status.set("DELETED")])
    deployment.run(after)
    path = f"/v1.0/{row.tenant_id}/instances/{row.id}"
    replied(deployment, "GET", path, Reply(status, {}, f'"{row.id}"'.encode()))


def not_found(deployment: Deployment) -> None:
    answered(deployment, 404)


def found_all_the_same(deployment: Deployment) -> None:
    answered(deployment, 200, gone=True)


test_a_broken_promise_is_told = told_by("I42", not_found, found_all_the_same)


def test_who_has_just_gone_may_be_found_as_it_was(deployment: Deployment) -> None:
    answered(deployment, 200, gone=True, after=1)
    assert not deployment.invariants.each["I42"].violations


def test_who_is_there_is_found(deployment: Deployment) -> None:
    answered(deployment, 200)
    assert deployment.invariants.results()["I42"].verdict == "holds"
