"""What a guest said in its answer to `prepare` shows at once, unless its heartbeat was faster."""

from __future__ import annotations

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import ServiceStatus, Status
from chalicelib.store import accepting, instances
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import ServiceStatusRow
from tests.support.bare import World
from tests.support.rows import create_operation, new_instance

ENDING = Ending(OperationStatus.SUCCEEDED, reported=ServiceStatus.HEALTHY)


@pytest.mark.parametrize(
    ("heard", "shown"), [(None, "healthy"), ("crashed", "crashed"), ("healthy", "healthy")]
)
def test_an_active_instance_has_a_status_at_once(
    world: World, heard: str | None, shown: str
) -> None:
    instance = new_instance()
    operation = create_operation(instance)
    accepting.accept_create(instance, operation, {"instances": 1, "ram": 512, "volumes": 2})
    if heard:
        ServiceStatusRow(instance.id).update(actions=[ServiceStatusRow.status.set(heard)])
    end_operation(operation, ENDING)
    row = instances.service_status(instance.id)
    assert row is not None
    assert row.status == shown
    assert instances.get_instance(instance.id).status == Status.ACTIVE
