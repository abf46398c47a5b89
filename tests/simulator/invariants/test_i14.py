"""I14, broken on purpose, is told."""

from __future__ import annotations

import msgspec

from simulator.fleet.datastore import Database
from simulator.invariants.marks import SECRET_MARK
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import told_by


def user_lost(deployment: Deployment) -> None:
    volume = next(iter(deployment.fleet)).volume
    assert volume is not None
    volume.contents = volume.contents.without_user(("alice", "%"))


def database_from_nowhere(deployment: Deployment) -> None:
    volume = next(iter(deployment.fleet)).volume
    assert volume is not None
    volume.contents = volume.contents.with_database("nobody_asked", Database())


def other_password(deployment: Deployment) -> None:
    volume = next(iter(deployment.fleet)).volume
    assert volume is not None
    alice = volume.contents.users["alice", "%"]
    other = msgspec.structs.replace(alice, password=f"{SECRET_MARK}other")
    volume.contents = volume.contents.with_user(("alice", "%"), other)


test_a_broken_promise_is_told = told_by("I14", user_lost, database_from_nowhere, other_password)


def test_what_a_hostile_guest_does_to_itself_is_no_violation(deployment: Deployment) -> None:
    deployment.invariants.hub.hostile.add(deployment.instances()[0]["tenant_id"])
    user_lost(deployment)
    deployment.invariants.check_healed()
    assert not deployment.invariants.each["I14"].violations
