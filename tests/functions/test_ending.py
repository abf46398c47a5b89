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
        ({"cancelled": "Called back.", "reason": "No host."}, OperationStatus.CANCELLED, "Called"),
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
