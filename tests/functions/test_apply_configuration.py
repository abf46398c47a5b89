"""The values of a group come to its instances some at a time, and those that cannot be told are
passed over."""

from __future__ import annotations

import pytest

from chalicelib.domain.configurations import Application
from chalicelib.lifecycle import Status
from chalicelib.store import configurations, operations
from chalicelib.store.base import as_dict
from chalicelib.store.models import Configuration, DatastoreVersion, Instance, Operation
from functions import apply_configuration
from functions.outcomes import Done, Outcome, Wait
from tests.store.test_configurations import attached, made, now
from tests.store.test_configurations import version as version  # a fixture
from tests.support.rows import WHO


@pytest.fixture
def group(version: DatastoreVersion) -> Configuration:
    return made(version)


def begun(group: Configuration) -> Operation:
    changed = configurations.change(now(group), {"max_connections": 60}, {}, WHO)
    assert changed is not None
    return operations.take_lease(str(changed.operation_id), "apply")


def applied(operation: Operation) -> Outcome:
    outcome = apply_configuration.apply(operation, None)
    if not isinstance(outcome, Done):
        assert isinstance(outcome, Wait)
    operation.resources = {**as_dict(operation.resources), **outcome.resources}
    return outcome


def progress(operation: Operation) -> Application:
    return Application.of(as_dict(operation.resources))


def test_what_is_behind_a_page_waits_for_the_next_look(
    group: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_configuration, "AT_ONCE", 1)
    rows = [attached(group) for _ in range(2)]
    operation = begun(group)
    for row in rows:
        row.delete()
    outcome = applied(operation)
    assert isinstance(outcome, Wait)
    assert outcome.seconds == apply_configuration.SOON_SECONDS
    assert not progress(operation).walked
    while not isinstance(outcome, Done):
        outcome = applied(operation)
    assert progress(operation).walked
    assert now(group).applied == 2


@pytest.mark.parametrize("status", [Status.ERROR, Status.STOPPED])
def test_who_cannot_be_told_is_passed_over(group: Configuration, status: Status) -> None:
    row = attached(group)
    row.update(actions=[Instance.status.set(status)])
    operation = begun(group)
    assert isinstance(applied(operation), Done)
    assert (progress(operation).under_way, progress(operation).passed_over) == ((), (row.id,))


def test_a_change_that_comes_meanwhile_is_told_too(
    group: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for between the last look and the end is of this operation."""
    row = attached(group)
    operation = begun(group)
    monkeypatch.setattr(configurations, "confirm", lambda *_: False)
    row.update(
        actions=[Instance.configuration_held.set(f"{group.id}/2"), Instance.operation_id.remove()]
    )
    assert isinstance(applied(operation), Wait)
