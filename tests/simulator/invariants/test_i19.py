"""I19, broken on purpose, is told."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.bus import commands
from chalicelib.store import events, guests
from chalicelib.store.models import CallsRow
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, instance, told_by


def crowd(deployment: Deployment) -> None:
    row = instance(deployment)
    slots = {str(n): {"instance_id": row.id, "until": aws.clock() + 20} for n in range(5)}
    CallsRow(row.tenant_id).update(actions=[CallsRow.slots.set(slots)])


def without_a_slot(deployment: Deployment) -> None:
    row = instance(deployment)
    commands.new_command("call", row, "list_users", deadline=aws.clock() + 20).save()


def a_row_for_a_refusal(deployment: Deployment) -> None:
    del deployment
    events.record("bus", "heartbeat.refused", "BadSeal: the seal does not fit the message")


def a_slot_never_given_back(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    CallsRow(instance(deployment).tenant_id).update(
        actions=[CallsRow.slots.set({"lost": {"instance_id": OTHER, "until": 1}})]
    )


def a_guest_at_full_speed(deployment: Deployment) -> None:
    row = instance(deployment)
    guest = guests.bind(row.id, 99, "key", "server", 1)
    for number in range(2, 2 * guests.REQUESTS_A_MINUTE + 3):
        guests.admit(guest, number, start=False)


test_a_broken_promise_is_told = told_by(
    "I19",
    crowd,
    without_a_slot,
    a_row_for_a_refusal,
    a_slot_never_given_back,
    a_guest_at_full_speed,
)
