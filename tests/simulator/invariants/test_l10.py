"""L10, broken on purpose, is told."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, instance, replied, told_by


def function_erred(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    deployment.region.lambda_.functions["coffer-sweeper"].errors["KeyError"] += 1


def answered_503(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    content = b'{"serviceUnavailable": {"code": 503, "message": "try again"}}'
    replied(deployment, "GET", f"/v1.0/{OTHER}/instances", Reply(503, {}, content))


def guest_call_answered_503_at_once(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=1.0, at_work=True)


def guest_with_time_that_does_not_answer(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=20.5)


def refused(deployment: Deployment, generation: int) -> None:
    deployment.invariants.hub.calm = True
    told = {"kind": "report", "outcome": "refused", "instance_id": instance(deployment).id}
    log = logging.getLogger("chalicelib.conductor.reports")
    log.info(
        "report: refused",
        extra={**told, "error": "Superseded", "generation": generation, "trace_id": "1" * 32},
    )


def a_report_refused(deployment: Deployment) -> None:
    refused(deployment, 1)


def answer_of_a_guest(deployment: Deployment, status: int, waited: float, **state: bool) -> None:
    """A reply to a call of a guest that is in some state, after so many seconds."""
    guest = SimpleNamespace(
        **({"stuck": False, "power": True, "up": True, "at_work": False} | state)
    )
    hub = deployment.invariants.hub
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.fleet, "of_instance", lambda _: [guest])
        hub._begun[deployment.kernel.current] = deployment.kernel.now - waited
        content = b'{"serviceUnavailable": {"code": 503, "message": "no answer"}}'
        path = f"/v1.0/{OTHER}/instances/{OTHER}/users"
        replied(deployment, "GET", path, Reply(status, {}, content))


test_a_broken_promise_is_told = told_by(
    "L10",
    a_report_refused,
    function_erred,
    answered_503,
    guest_call_answered_503_at_once,
    guest_with_time_that_does_not_answer,
)


@pytest.mark.parametrize(
    "state",
    [{"at_work": True}, {"power": False}, {"stuck": True}],
    ids=lambda each: next(iter(each)),
)
def test_a_guest_that_has_no_time_may_be_waited_for_in_vain(
    deployment: Deployment, state: dict[str, bool]
) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=20.5, **state)
    assert deployment.invariants.violations == []
    answer_of_a_guest(deployment, 500, waited=20.5, **state)
    assert "L10" in {each.invariant for each in deployment.invariants.violations}


def test_a_guest_whose_database_is_dead_says_so_at_once(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=0.1, up=False)
    assert deployment.invariants.violations == []


def test_a_guest_that_was_replaced_is_refused(deployment: Deployment) -> None:
    refused(deployment, 0)
    assert not deployment.invariants.each["L10"].violations
