"""Reports: each applies once, from the guest it belongs to, or changes nothing and is recorded."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.bus import commands, keys, queues
from chalicelib.bus.contract.arguments import Nothing
from chalicelib.bus.envelope import Direction, Fault, seal
from chalicelib.conductor import reports
from chalicelib.settings import settings as chosen
from chalicelib.store import commands as rows
from chalicelib.store import events, instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.models import Command
from simulator.aws.errors import client_error
from tests.conductor.conftest import Built, rotate, under_newer_key
from tests.support.bare import World, fresh


class Tokens:
    """Step Functions as far as tokens go; `fail_once` loses the first call."""

    def __init__(self) -> None:
        self.completed: list[str] = []
        self.fail_once = False

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        """Complete a token."""
        if self.fail_once:
            self.fail_once = False
            raise client_error("ThrottlingException", "SendTaskSuccess")
        self.completed.append(json.loads(output)["outcome"])


@pytest.fixture
def tokens(world: World) -> Tokens:
    made = world.clients["stepfunctions"] = Tokens()
    return made


@pytest.fixture
def waiting(built: Built, tokens: Tokens) -> Command:
    """The row of a `prepare` that a step waits for."""
    row = commands.new_command(
        f"{built.operation.id}.prepare",
        built.instance,
        "prepare",
        deadline=built.operation.deadline,
        operation_id=built.operation.id,
    )
    return commands.await_with_token(row, "token-1")


def tables(world: World) -> dict[str, Any]:
    """All state, except what counts refused reports."""
    return {
        name: {
            key: {field: value for field, value in row.items() if field != "stale_reports"}
            for key, row in table.items.items()
        }
        for name, table in world.dynamodb.tables.items()
    }


def reasons(world: World) -> list[str]:
    url = chosen().dead_letters_queue_url
    return [str(queues.attribute(record, queues.REASON)) for record in world.sqs.records(url)]


def stale_reports(instance_id: str) -> int:
    row = instances.service_status(instance_id)
    assert row is not None
    return int(row.stale_reports)


def ended_steps(built: Built) -> set[str]:
    row = operations.get_operation(built.operation.id)
    assert row is not None
    return set(as_dict(row.ended))


def stage(built: Built) -> str | None:
    row = rows.find(f"{built.operation.id}.prepare")
    assert row is not None
    return row.stage


def test_a_result_completes_its_token(built: Built, waiting: Command, tokens: Tokens) -> None:
    reports.receive(built.guest.sealed("result", waiting.id, {"status": "healthy"}))
    assert tokens.completed == ["done"]


def test_an_error_completes_the_token_and_leaves_the_step_open(
    built: Built, waiting: Command, tokens: Tokens
) -> None:
    fault = Fault("GuestError", "no space left")
    reports.receive(built.guest.sealed("result", waiting.id, None, fault))
    assert ended_steps(built) == set()
    assert tokens.completed == ["failed"]


def test_a_result_delivered_again_completes_a_token_that_was_missed(
    world: World, built: Built, waiting: Command, tokens: Tokens
) -> None:
    tokens.fail_once = True
    body = built.guest.sealed("result", waiting.id, {"status": "healthy"})
    with pytest.raises(Exception, match="Throttling"):
        reports.receive(body)
    reports.receive(body)
    assert tokens.completed == ["done"]
    assert reasons(world) == []


def test_another_result_for_the_same_command_does_not_replace_the_first(
    built: Built, waiting: Command
) -> None:
    reports.receive(built.guest.sealed("result", waiting.id, {"first": True}))
    reports.receive(built.guest.sealed("result", waiting.id, {"second": True}))
    row = rows.find(waiting.id)
    assert row is not None
    assert row.result == {"first": True}


def test_a_result_after_its_operation_ended_changes_nothing_of_it(
    world: World, built: Built, waiting: Command
) -> None:
    operations.begin_compensation(built.operation, "cancelled")
    reports.receive(built.guest.sealed("result", waiting.id, {}))
    assert ended_steps(built) == set()
    assert reasons(world) == []


@pytest.mark.parametrize("kind", ["result", "progress"])
def test_another_guest_cannot_report_on_a_command(
    world: World, built: Built, waiting: Command, other: Built, kind: str
) -> None:
    before = tables(world)
    reports.receive(other.guest.sealed(kind, waiting.id, {"stage": "forged"}))
    assert tables(world) == before
    assert reasons(world) == ["Superseded: a report of a guest that it is not for"]
    assert stale_reports(built.instance.id) == 0
    assert stale_reports(other.instance.id) == 1


@pytest.mark.parametrize("kind", ["result", "progress", "root"])
def test_a_guest_of_an_older_generation_is_refused_and_counted(
    world: World, built: Built, tokens: Tokens, kind: str
) -> None:
    rebuilt = instances.get_instance(built.instance.id)
    rebuilt.generation = 2
    rebuilt.save()
    commands.new_command("command-2", rebuilt, "prepare", deadline=world.now + 60).save()
    before = tables(world)
    reports.receive(built.guest.sealed(kind, "command-2", {"stage": "forged"}))
    assert tables(world) == before
    assert stale_reports(built.instance.id) == 1
    assert reasons(world) == ["Superseded: a report of a guest that is not the instance's any more"]


def test_the_answer_of_a_guest_whose_row_was_restored_to_before_it_counts(
    world: World, built: Built, waiting: Command
) -> None:
    """Only we make generations: one that the row does not know was made after what it tells."""
    restored = instances.get_instance(built.instance.id)
    restored.generation = int(restored.generation) - 1
    restored.save()
    reports.receive(built.guest.sealed("result", waiting.id, {"status": "healthy"}))
    row = rows.find(waiting.id)
    assert row is not None
    assert row.result == {"status": "healthy"}
    assert reasons(world) == []
    assert stale_reports(built.instance.id) == 0


@pytest.mark.parametrize("kind", ["result", "progress"])
def test_a_report_on_a_command_that_is_not_known_is_recorded(
    world: World, built: Built, kind: str
) -> None:
    before = tables(world)
    reports.receive(built.guest.sealed(kind, "no-such-command", {}))
    assert tables(world) == before
    assert reasons(world) == ["EnvelopeError: a report on a command that is not known"]


def test_an_expired_report_changes_nothing(
    world: World, built: Built, waiting: Command, tokens: Tokens
) -> None:
    body = built.guest.sealed("result", waiting.id, {})
    world.run(3601)
    before = tables(world)
    reports.receive(body)
    assert tables(world) == before
    assert tokens.completed == []
    assert reasons(world) == ["Expired: a result expired before it arrived"]


@pytest.mark.parametrize("kind", ["heartbeat", "command", "", "x" * 5000])
def test_a_kind_that_the_queue_does_not_carry_is_recorded(
    world: World, built: Built, kind: str
) -> None:
    reports.receive(built.guest.sealed(kind, "1", {}))
    (reason,) = reasons(world)
    assert reason.startswith("UnknownKind")
    assert len(reason) < 200


def test_a_command_of_the_control_plane_sent_back_is_recorded(
    world: World, built: Built, waiting: Command
) -> None:
    commands.send(built.instance, waiting, Nothing())
    (record,) = world.sqs.records(queues.guest_queue_url(built.instance.id, 1))
    before = tables(world)
    reports.receive(record["body"])
    assert tables(world) == before
    assert reasons(world)[0].startswith("BadSeal")


def test_a_report_sealed_with_the_key_of_another_guest_is_recorded(
    world: World, built: Built, waiting: Command, other: Built
) -> None:
    report = built.guest.envelope("result", waiting.id, {})
    before = tables(world)
    key = other.guest.key_of(Direction.TO_CONTROL)
    reports.receive(seal(report, Direction.TO_CONTROL, key))
    assert tables(world) == before
    assert reasons(world) == ["BadSeal: the seal does not fit the message"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_tampered_report_changes_nothing_and_is_recorded(
    world: World, built: Built, waiting: Command, data: st.DataObject
) -> None:
    body = built.guest.sealed("progress", waiting.id, {"stage": "starting"})
    place = data.draw(st.integers(0, len(body) - 1))
    letter = data.draw(st.sampled_from('AZaz09+/{}:"\\ \u00e9'))
    tampered = body[:place] + letter + body[place + 1 :]
    document = None
    with contextlib.suppress(ValueError):
        document = json.loads(tampered)
    same = document is not None and document == json.loads(body)
    before, letters = tables(world), len(reasons(world))
    reports.receive(tampered)
    if tables(world) == before:
        assert same or len(reasons(world)) == letters + 1
    else:  # the last characters of base64 have spare bits: the same message, in fact
        assert len(reasons(world)) == letters


def test_progress_applies_in_the_order_of_epoch_and_number(
    world: World, built: Built, waiting: Command
) -> None:
    def progress(epoch: int, seq: int, said: str) -> None:
        reports.receive(
            built.guest.sealed("progress", waiting.id, {"stage": said}, epoch=epoch, seq=seq)
        )

    progress(1, 5, "five")
    progress(1, 4, "four, late")
    progress(1, 5, "five, again")
    assert stage(built) == "five"
    progress(2, 1, "after a restart")
    progress(1, 9, "before the restart, late")
    assert stage(built) == "after a restart"
    assert reasons(world) == []


@settings(max_examples=25)
@given(st.permutations([(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]), st.integers(0, 4))
def test_progress_in_any_order_ends_with_the_latest(
    order: list[tuple[int, int]], again: int
) -> None:
    with fresh() as world:
        check_progress(world, order, again)


def check_progress(world: World, order: list[tuple[int, int]], again: int) -> None:
    fresh = Built(world)
    row = commands.new_command(
        f"{fresh.operation.id}.prepare",
        fresh.instance,
        "prepare",
        deadline=world.now + 600,
        operation_id=fresh.operation.id,
    )
    row.save()
    for epoch, seq in [*order, order[again]]:
        said = {"stage": f"{epoch}.{seq}"}
        reports.receive(fresh.guest.sealed("progress", row.id, said, epoch=epoch, seq=seq))
    assert stage(fresh) == "2.2"


@pytest.mark.parametrize("error", [None, Fault("GuestError", "no space left")])
def test_progress_after_the_answer_is_not_shown(
    built: Built, waiting: Command, error: Fault | None
) -> None:
    reports.receive(built.guest.sealed("result", waiting.id, {}, error))
    reports.receive(built.guest.sealed("progress", waiting.id, {"stage": "late"}))
    assert stage(built) is None


def test_root_is_recorded_with_its_first_report(world: World, built: Built) -> None:
    reports.receive(built.guest.sealed("root", "root", {}))
    first = instances.get_instance(built.instance.id).root_enabled_at
    assert first == world.now
    world.run(60)
    reports.receive(built.guest.sealed("root", "root", {}))
    assert instances.get_instance(built.instance.id).root_enabled_at == first
    assert reasons(world) == []


def test_a_deeply_nested_report_is_recorded_like_any_poison(world: World, built: Built) -> None:
    nested: dict[str, Any] = {}
    for _ in range(500):
        nested = {"a": nested}
    reports.receive(built.guest.sealed("result", "no-such-command", nested))
    assert len(reasons(world)) == 1


def test_what_a_guest_tells_of_its_database_is_in_the_instances_feed_once(built: Built) -> None:
    told = built.guest.sealed(
        "event", "e-1", {"kind": "crashed", "text": "ended by SIGKILL\n" + "x" * 999}
    )
    reports.receive(told)
    reports.receive(told)
    feed = [row for row in events.events_of(built.instance.id) if row.kind == "guest.crashed"]
    assert len(feed) == 1
    assert feed[0].message.startswith("ended by SIGKILLxxx")
    assert len(feed[0].message) == reports.LONGEST_EVENT
    assert feed[0].tenant_id == built.instance.tenant_id


def test_a_guest_that_tells_without_end_fills_no_feed(world: World, built: Built) -> None:
    before = len(events.events_of(built.instance.id))
    for number in range(50):
        at = world.now - number % 3
        told = {"kind": "crashed", "text": f"the {number}th"}
        reports.receive(built.guest.sealed("event", f"e-{number}", told, issued_at=at))
    assert len(events.events_of(built.instance.id)) - before == 3


@pytest.mark.parametrize("said", [{}, {"kind": {"a": 1}, "text": [None]}, {"kind": "x" * 999}])
def test_an_event_of_any_shape_is_bounded_text(built: Built, said: dict[str, Any]) -> None:
    reports.receive(built.guest.sealed("event", "e-1", said))
    (row,) = (row for row in events.events_of(built.instance.id) if row.kind == "guest.said")
    assert row.message == "", "what is no text is not spelled out: it may be nested deep"


def test_an_epoch_that_the_guest_chose_itself_is_buried(world: World, built: Built) -> None:
    report = built.guest.envelope("progress", "any", {"stage": "late"}, epoch=7)
    reports.receive(seal(report, Direction.TO_CONTROL, built.guest.key_of(Direction.TO_CONTROL)))
    (letter,) = world.sqs.records(chosen().dead_letters_queue_url)
    assert "the seal does not fit" in str(letter["messageAttributes"])


def test_an_answer_under_a_key_that_is_not_known_yet_comes_again(
    world: World, built: Built, waiting: Command, tokens: Tokens
) -> None:
    answer = under_newer_key(world, built, "result", waiting.id, {"status": "healthy"})
    with pytest.raises(keys.NotYetKnown):
        reports.receive(answer)
    assert not world.sqs.records(chosen().dead_letters_queue_url)
    rotate(world)
    reports.receive(answer)
    assert answered(waiting)


@pytest.mark.parametrize("version", [0, 5, 2**53])
def test_an_answer_under_a_key_that_cannot_exist_is_buried(
    world: World, built: Built, version: int
) -> None:
    report = built.guest.envelope("result", "any", {}, key_version=version)
    reports.receive(seal(report, Direction.TO_CONTROL, bytes(32)))
    (letter,) = world.sqs.records(chosen().dead_letters_queue_url)
    assert f"key version {version} is not known" in str(letter["messageAttributes"])


def answered(row: Command) -> bool:
    found = rows.find(row.id)
    return found is not None and found.answered is not None
