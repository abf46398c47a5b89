"""The table of an instance's life: closed, and the one that the docs draw."""

from __future__ import annotations

import itertools

import pytest

from chalicelib import lifecycle
from chalicelib.errors import Unprocessable
from chalicelib.lifecycle import Action, Event, IllegalTransition, ServiceStatus, Status
from infra.package.sources import PROJECT_ROOT


def test_every_target_is_a_status_and_every_event_happens_somewhere() -> None:
    assert all(isinstance(target, Status) for target in lifecycle.TRANSITIONS.values())
    assert {event for _, event in lifecycle.TRANSITIONS} == set(Event)


def test_nothing_leaves_deleted_and_every_status_can_get_there() -> None:
    assert not [source for source, _ in lifecycle.TRANSITIONS if source is Status.DELETED]
    ends = {Status.DELETED}
    for _ in Status:
        ends |= {source for (source, _), target in lifecycle.TRANSITIONS.items() if target in ends}
    assert ends == set(Status)


def test_every_status_is_reached_from_build() -> None:
    reached = {Status.BUILD}
    for _ in Status:
        found = lifecycle.TRANSITIONS.items()
        reached |= {target for (source, _), target in found if source in reached}
    assert reached == set(Status)


def test_what_is_not_in_the_table_is_a_bug_that_is_told() -> None:
    for status, event in itertools.product(Status, Event):
        if (status, event) in lifecycle.TRANSITIONS:
            expected = lifecycle.TRANSITIONS[status, event]
            assert lifecycle.next_status(status, event) is expected
        else:
            with pytest.raises(IllegalTransition):
                lifecycle.next_status(status, event)
    with pytest.raises(ValueError, match="DANCING"):
        lifecycle.next_status("DANCING", Event.RESET)


@pytest.mark.parametrize(
    ("action", "event"),
    [(Action.DELETE, Event.DELETE_ACCEPTED), (Action.RESET_STATUS, Event.RESET)],
)
def test_an_action_is_allowed_exactly_where_its_event_may_happen(
    action: Action, event: Event
) -> None:
    happens_in = {status for status, known in lifecycle.TRANSITIONS if known is event}
    assert lifecycle.ALLOWED[action] == happens_in


def test_the_docs_have_the_table_as_it_is() -> None:
    statuses = [status for status in Status if status is not Status.DELETED]
    lines = ["| | " + " | ".join(statuses) + " |", "|---" * (len(statuses) + 1) + "|"]
    for event in Event:
        targets = [lifecycle.TRANSITIONS.get((status, event), "") for status in statuses]
        lines.append(f"| {event.value} | " + " | ".join(targets) + " |")
    assert "\n".join(lines) in (PROJECT_ROOT / "docs" / "architecture.md").read_text()


def test_every_action_says_where_it_is_allowed() -> None:
    assert set(lifecycle.ALLOWED) == set(Action)


def test_a_delete_in_build_is_refused_in_troves_words() -> None:
    with pytest.raises(Unprocessable) as caught:
        lifecycle.require(Action.DELETE, "instance-1", Status.BUILD)
    assert caught.value.status == 422
    assert "instance status was BUILD" in caught.value.message
    lifecycle.require(Action.DELETE, "instance-1", Status.ERROR)


@pytest.mark.parametrize("status", Status)
def test_the_operating_status_is_told_of_active_instances_only(status: Status) -> None:
    told = lifecycle.operating_status(status, ServiceStatus.HEALTHY, 10, 90)
    assert told == ("HEALTHY" if status is Status.ACTIVE else "")


def test_a_heartbeat_that_is_too_old_is_an_error() -> None:
    assert lifecycle.operating_status("ACTIVE", "healthy", 89.9, 90) == "HEALTHY"
    assert lifecycle.operating_status("ACTIVE", "healthy", 90, 90) == "ERROR"
    assert lifecycle.operating_status("ACTIVE", "dancing", 1, 90) == "ERROR"


def test_every_report_of_a_guest_has_an_operating_status() -> None:
    assert set(lifecycle.OPERATING_STATUS) == set(ServiceStatus)
    assert set(ServiceStatus) > lifecycle.READY
