"""I35, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.domain.flows import UPGRADE_AGENT
from chalicelib.domain.operations import OperationStatus
from chalicelib.store.operations import operation_of
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def another_agent(deployment: Deployment) -> None:
    """An upgrade that is told to have succeeded; its guest is as it was."""
    made = operation_of(instance(deployment), UPGRADE_AGENT, arguments={"version": "1.0.1"})
    made.status = OperationStatus.SUCCEEDED
    made.save()


def a_broken_agent(deployment: Deployment) -> None:
    """One that somebody has put in another's place is the one that has proved itself."""
    for guest in deployment.fleet:
        guest.disk.agent = "1.0.5+forged"
    made = operation_of(instance(deployment), UPGRADE_AGENT, arguments={"version": "1.0.1"})
    made.status = OperationStatus.FAILED
    made.save()


test_a_broken_promise_is_told = told_by("I35", another_agent, a_broken_agent)
