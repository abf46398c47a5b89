"""Servers that are switched off and on: what a failure leaves, and the way out of each."""

from __future__ import annotations

import pytest

from chalicelib import aws
from chalicelib.cloud import servers
from chalicelib.cloud.errors import CloudAway
from chalicelib.conductor import generations, heartbeats
from chalicelib.domain.flows import DELETE, REBOOT, START, STOP, Flow
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.settings import settings
from chalicelib.store import instances, operations
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance, ServiceStatusRow
from functions import power
from functions.outcomes import Wait
from tests.support.scripted import Script
from tests.support.simulated import Stack

AWAY = CloudAway("The cloud could not stop the server: it answered 503")


def active(stack: Stack) -> tuple[str, Script]:
    instance, _ = stack.create()
    stack.settle()
    (guest,) = stack.guests.values()
    return instance.id, guest


def after(stack: Stack, instance_id: str, *flows: Flow) -> Instance:
    for flow in flows:
        stack.accept(instance_id, flow)
        stack.settle()
    found = instances.find_instance(instance_id)
    assert found is not None
    return found


def test_a_start_is_the_way_out_of_a_stop_that_failed(stack: Stack) -> None:
    instance_id, _ = active(stack)
    stack.refusals["servers.stop"] = AWAY
    failed = after(stack, instance_id, STOP)
    assert failed.status == Status.ERROR
    assert " Start the instance. " in str(failed.fault_message)
    assert str(failed.fault_message).endswith("it answered 503"), "why it could not be undone"
    stack.refusals.clear()
    started = after(stack, instance_id, START)
    assert (started.status, started.fault_message) == (Status.ACTIVE, None)
    stack.check()


def test_what_cannot_be_started_is_stopped_for_another_try(stack: Stack) -> None:
    instance_id, guest = active(stack)
    after(stack, instance_id, STOP)
    stack.interruptions["servers.start"] = guest.cut_off
    assert after(stack, instance_id, START).status == Status.STOPPED
    stack.check()
    guest.mend()
    assert after(stack, instance_id, START).status == Status.ACTIVE
    stack.check()


@pytest.mark.parametrize("status", ["crashed", "restarting", "failed", "shutdown"])
@pytest.mark.parametrize("flows", [(STOP, START), (REBOOT,)], ids=["start", "reboot"])
def test_a_database_that_does_not_answer_is_told_by_its_guest(
    stack: Stack, flows: tuple[Flow, ...], status: str
) -> None:
    """A full volume can only grow below a server that runs; a long recovery has to go on."""
    instance_id, guest = active(stack)
    guest.status = ServiceStatus(status)
    begun = stack.kernel.now
    assert after(stack, instance_id, *flows).status == Status.ACTIVE
    assert stack.kernel.now - begun > power.ANSWER_SECONDS
    guest.status = None
    stack.check()


def test_a_report_of_the_life_before_is_no_answer(stack: Stack) -> None:
    """It waited in a queue while the server was switched off."""
    instance_id, guest = active(stack)
    late = guest.sealed("heartbeat", "heartbeat", {"status": "healthy"})
    after(stack, instance_id, STOP)
    heartbeats.receive({"Records": [{"messageId": "1", "body": late}]})
    stack.interruptions["servers.start"] = guest.cut_off
    assert after(stack, instance_id, START).status == Status.STOPPED


@pytest.mark.parametrize("flow", [STOP, REBOOT], ids=["stop", "reboot"])
def test_a_delete_does_not_wait_for_a_server_to_come_back(stack: Stack, flow: Flow) -> None:
    instance_id, _ = active(stack)
    stack.refusals["servers.stop"] = AWAY
    stack.accept(instance_id, flow)
    stack.run(5)
    begun = stack.kernel.now
    assert after(stack, instance_id, DELETE).status == Status.DELETED
    assert stack.kernel.now - begun < settings().power_timeout_seconds / 4
    stack.check()


def test_an_expelled_guest_is_not_waited_for(stack: Stack) -> None:
    instance_id, guest = active(stack)
    guest.failing["stop_db"] = ["it is busy"]
    stack.interruptions["servers.start"] = guest.cut_off
    stack.accept(instance_id, STOP)
    stack.run(60)
    begun = stack.kernel.now
    generations.expel(instance_id, Asked())
    stack.settle()
    row = instances.get_instance(instance_id)
    assert (row.status, row.operation_id) == (Status.ERROR, None)
    assert stack.kernel.now - begun < settings().power_timeout_seconds / 4


def test_what_a_delete_has_begun_to_take_away_has_no_server_to_start(stack: Stack) -> None:
    instance_id, _ = active(stack)
    stack.refusals["volumes.delete"] = AWAY
    failed = after(stack, instance_id, DELETE)
    assert (failed.status, failed.resources, failed.addresses) == (Status.ERROR, {}, [])
    stack.refusals.clear()
    assert after(stack, instance_id, DELETE).status == Status.DELETED
    stack.check()


def test_a_server_that_nobody_knows_fails_and_says_so(stack: Stack) -> None:
    instance_id, _ = active(stack)
    Instance(instance_id).update(actions=[Instance.resources.set({})])
    operation = stack.accept(instance_id, REBOOT)
    stack.settle()
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert power.VANISHED in str(ended.reason)
    assert ended.attempt == 0


def test_a_server_that_one_answer_denies_is_looked_for_in_the_list(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance_id, _ = active(stack)
    monkeypatch.setattr(servers, "get", lambda server_id: None)
    assert after(stack, instance_id, STOP).status == Status.STOPPED
    assert after(stack, instance_id, START).status == Status.ACTIVE
    stack.check()


def test_a_guest_of_which_no_report_is_kept_is_waited_for(stack: Stack) -> None:
    """A restore of tables may have lost its row."""
    instance_id, _ = active(stack)
    operation = stack.accept(instance_id, REBOOT)
    operation.step, operation.started = "answers", {"answers": aws.clock()}
    ServiceStatusRow(instance_id).delete()
    outcome = power.answers(operation, None)
    assert isinstance(outcome, Wait)
    assert outcome.note == "the guest agent has not reported yet"
