"""How an operation ends that was not done: with its reason, and as what it was."""

from __future__ import annotations

import pytest

from chalicelib.domain.operations import OperationStatus
from chalicelib.store import operations
from chalicelib.store.models import Operation
from functions import ending
from tests.support.rows import accepted

pytestmark = pytest.mark.usefixtures("world")


@pytest.mark.parametrize(
    ("row", "status", "reason"),
    [
        ({}, OperationStatus.FAILED, "The create did not finish."),
        ({"reason": "No host."}, OperationStatus.FAILED, "No host."),
        ({"cancelled": "Called back."}, OperationStatus.CANCELLED, "Called back."),
        (
            {"cancelled": "Called back.", "reason": "No host."},
            OperationStatus.CANCELLED,
            "Called back. No host.",
        ),
        (
            {"cancelled": "Called back.", "reason": "Called back."},
            OperationStatus.CANCELLED,
            "Called back.",
        ),
    ],
)
def test_what_called_it_back_comes_before_what_failed_then(
    row: dict[str, str], status: OperationStatus, reason: str
) -> None:
    _, operation = accepted()
    for name, value in row.items():
        operation.update(actions=[getattr(Operation, name).set(value)])
    ending.fail(operation, None)
    found = operations.get_operation(operation.id)
    assert found is not None
    assert found.status == status
    assert str(found.reason).startswith(reason)
    assert str(found.reason).count("Called back.") == reason.count("Called back.")


def test_a_cancel_that_comes_while_it_ends_is_told_beside_what_failed() -> None:
    _, operation = accepted()
    operation.update(actions=[Operation.reason.set("No host.")])
    Operation(operation.id).update(actions=[Operation.cancelled.set("Called back.")])
    ending.fail(operation, None)  # as it was read before
    found = operations.get_operation(operation.id)
    assert found is not None
    assert found.status == OperationStatus.FAILED
    assert str(found.reason).startswith("Called back. No host.")
