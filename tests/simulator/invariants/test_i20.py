"""I20, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.conductor.dead_letters import NotAccepted
from chalicelib.store import events
from chalicelib.store.models import Command, EventRow
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_guest, command, told_by


def event_lost(deployment: Deployment) -> None:
    as_guest(deployment, "event", "an-event", {"kind": "healthy", "text": "it answers again"})
    told = [each for each in EventRow.scan() if each.kind == "guest.healthy"]
    assert [each.message for each in told] == ["it answers again"]
    told[0].delete()


def event_given_up(deployment: Deployment) -> None:
    """Where only guests are struck there is no reason to give up what one tells."""
    deployment.invariants.hub.guests_only = True
    as_guest(deployment, "event", "an-event", {"kind": "healthy", "text": "it answers again"})
    next(each for each in EventRow.scan() if each.kind == "guest.healthy").delete()
    events.count("message.poisoned", NotAccepted.__name__, 1, "not accepted after 3 redrives")


def another_stage(deployment: Deployment) -> None:
    row = command(deployment)
    row.update(actions=[Command.stage.set("almost there"), Command.progress_seq.add(1)])


def damage_that_nobody_has(deployment: Deployment) -> None:
    as_guest(deployment, "event", "an-event", {"kind": "damaged", "text": "a page is torn"})


test_a_broken_promise_is_told = told_by(
    "I20", event_lost, event_given_up, another_stage, damage_that_nobody_has
)
