"""I28, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.domain.flows import MIGRATE
from chalicelib.domain.operations import OperationStatus
from chalicelib.store.operations import operation_of
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def moved_nowhere(deployment: Deployment) -> None:
    """A migration that is told to have succeeded; its server is where it was."""
    (server,) = deployment.cloud.compute.servers.values()
    row = instance(deployment)
    made = operation_of(row, MIGRATE, arguments={"host": None})
    made.resources = {"host_id": server.host_id}
    made.status = OperationStatus.SUCCEEDED
    made.save()


test_a_broken_promise_is_told = told_by("I28", moved_nowhere)
