"""The table of an instance's life: closed, and the one that the docs draw."""

from __future__ import annotations

import itertools

import pytest

from chalicelib import lifecycle
from chalicelib.domain.flows import DELETE, FLOWS, FLOWS_OF, Flow, What
from chalicelib.domain.operations import SubjectKind
from chalicelib.errors import Unprocessable
from chalicelib.lifecycle import IllegalTransition, ServiceStatus, Status
from infra.package.sources import PROJECT_ROOT


def test_every_target_is_a_status_and_every_event_happens_somewhere() -> None:
    assert all(isinstance(target, Status) for target in lifecycle.TRANSITIONS.values())
    assert {event for _, event in lifecycle.TRANSITIONS} == set(lifecycle.EVENTS)


def test_nothing_leaves_deleted_and_every_status_can_get_there() -> None:
    assert not [source for source, _ in lifecycle.TRANSITIONS if source is Status.DELETED]
    ends: set[str] = {Status.DELETED}
    for _ in Status:
        ends |= {source for (source, _), target in lifecycle.TRANSITIONS.items() if target in ends}
    assert ends == set(Status)


def test_every_status_is_reached_from_build() -> None:
    reached: set[str] = {Status.BUILD}
    for _ in Status:
        found = lifecycle.TRANSITIONS.items()
        reached |= {target for (source, _), target in found if source in reached}
    assert reached == set(Status)


def test_what_is_not_in_the_table_is_a_bug_that_is_told() -> None:
    for status, event in itertools.product(Status, lifecycle.EVENTS):
        if (status, event) in lifecycle.TRANSITIONS:
            expected = lifecycle.TRANSITIONS[status, event]
            assert lifecycle.next_status(status, event) is expected
        else:
            with pytest.raises(IllegalTransition):
                lifecycle.next_status(status, event)
    with pytest.raises(IllegalTransition, match="DANCING"):
        lifecycle.next_status("DANCING", lifecycle.RESET)


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_a_flow_is_asked_for_exactly_where_its_begin_is_in_the_table(flow: Flow) -> None:
    begins, table = flow.event(What.ACCEPTED), lifecycle.TABLES[flow.subject]
    assert flow.sources == {status for status, known in table if known == begins}


@pytest.mark.parametrize("flow", FLOWS_OF[SubjectKind.INSTANCE], ids=lambda flow: flow.action)
def test_a_flow_ends_wherever_a_reset_may_have_taken_its_instance(flow: Flow) -> None:
    for status in (flow.during, lifecycle.next_status(flow.during, lifecycle.RESET)):
        for what in (What.FAILED, *((What.UNDONE,) if flow.undo else ())):
            assert (status, flow.event(what)) in lifecycle.TRANSITIONS


@pytest.mark.parametrize("kind", SubjectKind)
def test_each_kind_has_a_table_of_its_own(kind: SubjectKind) -> None:
    own = {flow.event(what) for flow in FLOWS_OF[kind] for what in What}
    for (status, event), target in lifecycle.TABLES[kind].items():
        assert event in own or kind in (SubjectKind.INSTANCE, SubjectKind.BACKUP)
        assert lifecycle.next_status(status, event, kind) is target
        for other in set(SubjectKind) - {kind}:
            with pytest.raises(IllegalTransition):
                lifecycle.next_status(status, event, other)


def test_the_docs_have_the_table_as_it_is() -> None:
    statuses = [status for status in Status if status is not Status.DELETED]
    lines = ["| | " + " | ".join(statuses) + " |", "|---" * (len(statuses) + 1) + "|"]
    for event in lifecycle.EVENTS:
        targets = [lifecycle.TRANSITIONS.get((status, event), "") for status in statuses]
        lines.append(f"| {event} | " + " | ".join(targets) + " |")
    assert "\n".join(lines) in (PROJECT_ROOT / "docs" / "architecture.md").read_text()


def test_a_delete_in_build_is_refused_in_troves_words() -> None:
    with pytest.raises(Unprocessable) as caught:
        lifecycle.require(DELETE.sources, "instance-1", Status.BUILD)
    assert caught.value.status == 422
    assert "instance status was BUILD" in caught.value.message
    lifecycle.require(DELETE.sources, "instance-1", Status.ERROR)


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
