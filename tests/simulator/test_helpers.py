"""What the tests themselves stand on: copies that tell, faults that strike, time that passes."""

from __future__ import annotations

import os

import pytest
from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.store import instances
from simulator.kernel import START, Kernel
from tests.functions.scenarios import create
from tests.support.bare import Fault as CallFault
from tests.support.bare import World
from tests.support.copies import Copies
from tests.support.simulated import Stack
from tests.support.strikes import Fault, Strikes


def test_what_is_wrong_in_a_copy_is_told_and_the_run_goes_on() -> None:
    copies, seen = Copies(), list[str]()

    def work() -> None:
        for what in ("well", "badly"):
            if copies.copy(what):
                assert what == "well", "not so well"
                return
            seen.append(what)

    copies.run(work)
    assert (seen, copies.count) == (["well", "badly"], 2)
    (failure,) = copies.failures
    assert failure.startswith("badly: ")
    assert "not so well" in failure


def test_a_copy_that_dies_without_a_word_is_told() -> None:
    copies = Copies()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.support.copies._end", lambda *_: os._exit(3))
        copies.run(lambda: copies.copy("dies"))
    assert copies.failures == ["dies: the copy ended with 768"]


def test_a_flow_that_does_not_get_over_a_death_is_told() -> None:
    """Nobody sweeps: what dies with its hint is not begun again."""
    stack = Stack()
    try:
        stack.stop_schedules()
        instance_id, _ = create(stack)
        strikes = Strikes(stack, Fault.REFUSED, set())

        def work() -> None:
            stack.run(60)
            assert instances.get_instance(instance_id).status == Status.ACTIVE

        strikes.run(work)
    finally:
        stack.close()
    assert strikes.copies.count > 20, "a create makes more calls than that"
    assert any("stepfunctions.StartExecution" in each for each in strikes.copies.failures)


def test_a_call_of_a_test_is_refused_loses_its_answer_or_is_interrupted(world: World) -> None:
    sqs, url = aws.client("sqs"), world.sqs.url("coffer-conductor")
    world.faults = {1: CallFault.REFUSED, 2: CallFault.REPLY_LOST}
    with pytest.raises(ClientError, match="slow down"):
        sqs.send_message(QueueUrl=url, MessageBody="refused")
    sqs.send_message(QueueUrl=url, MessageBody="made twice")
    world.interruptions["sqs.SendMessage"] = lambda: world.bodies.append("in between")
    sqs.send_message(QueueUrl=url, MessageBody="last")
    assert world.bodies == ["made twice", "made twice", "in between", "last"]
    assert world.calls == {"sqs.SendMessage": 3}


def test_time_passes_for_whoever_sleeps_outside_of_everything() -> None:
    kernel, woken = Kernel(1), list[float]()
    kernel.call_later(3.0, lambda: woken.append(kernel.now))
    kernel.sleep(5.0)
    assert (woken, kernel.now) == ([START + 3.0], START + 5.0)
    kernel.call_later(1.0, kernel.sleep, 1.0)
    with pytest.raises(AssertionError, match="only a coroutine"):
        kernel.sleep(5.0)
