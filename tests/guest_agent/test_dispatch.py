"""Each command once, whatever comes twice, late, to the wrong guest, or dies in the middle."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import pytest

from chalicelib import tracing
from chalicelib.bus.contract import METHODS
from chalicelib.bus.contract.values import MOST_MESSAGE, MOST_RESULT_BYTES
from chalicelib.bus.envelope import Envelope
from guest_agent.answers import ANSWER_BYTES
from guest_agent.clock import ServiceClock
from guest_agent.dispatch import POSTPONE_SECONDS, TELL_AGAIN_SECONDS, Dispatcher
from guest_agent.journal import Journal
from guest_agent.outbox import Outbox
from tests.guest_agent.fakes import (
    INSTANCE,
    START,
    Crash,
    Failure,
    FakeManager,
    MemoryQueues,
    MemoryStore,
    World,
    command,
    sealed,
    session,
)
from tests.support.lines import lines_of

PREPARE = {
    "datastore": {"manager": "mariadb", "version": "10.11"},
    "flavor": {"ram": 512, "vcpus": 1},
    "device_path": "/dev/vdb",
    "mount_point": "/var/lib/mysql",
}
USERS = {"users": [{"name": "alice", "password": "secret"}]}
PASSWORDS = {"users": [{"name": "alice", "password": "secret"}]}


class Guest:
    """A guest whose process can be started again on the same journal and queues."""

    def __init__(self) -> None:
        self.queues = MemoryQueues()
        self.store = MemoryStore()
        self.manager = FakeManager()
        self.epoch = itertools.count(1)
        self.clock = ServiceClock()
        self.start()

    def start(self) -> None:
        self.queues.die_at = None
        self.store.die_at = None
        self.manager.dies = False
        outbox = Outbox(self.queues, self.clock)
        outbox.adopt(session(next(self.epoch)))
        self.dispatcher = Dispatcher(
            INSTANCE,
            1,
            manager=self.manager,
            journal=Journal(self.store),
            outbox=outbox,
            queues=self.queues,
            clock=self.clock,
            on_finished=lambda: None,
            renew=lambda: None,
        )

    def deliver(self, message: Envelope) -> str:
        return self.dispatcher.accept(self.queues.put(sealed(message)))

    def answers(self) -> list[Any]:
        return [
            report.error.code if report.error else report.result
            for report in self.queues.reports("result")
        ]


@pytest.fixture
def guest(world: World) -> Guest:
    return Guest()


def test_a_command_runs_is_answered_and_its_message_goes(guest: Guest) -> None:
    guest.manager.answer = {"users": []}
    said = guest.deliver(command("list_users"))
    assert said == "list_users (command-1) is done."
    (answer,) = guest.queues.reports()
    assert (answer.id, answer.result, answer.error) == ("command-1", {"users": []}, None)
    assert (answer.method, answer.epoch) == ("list_users", 1)
    assert not guest.queues.waiting


def test_a_duplicate_gets_the_recorded_answer_and_is_not_run_again(guest: Guest) -> None:
    guest.manager.answer = {"n": 1}
    first = command("create_user", USERS)
    guest.deliver(first)
    guest.manager.answer = {"n": 2}
    guest.start()
    guest.deliver(first)
    guest.deliver(first)
    assert guest.answers() == [{"n": 1}] * 3
    assert len(guest.manager.effects) == 1
    assert not guest.queues.waiting


def test_a_duplicate_of_a_running_command_waits_for_its_answer(guest: Guest, world: World) -> None:
    running = command("prepare", PREPARE)
    guest.deliver(running)
    assert guest.deliver(running) == "prepare (command-1) came again while it runs."
    assert guest.answers() == []
    world.run_spawned()
    assert guest.answers() == [{}]
    assert len(guest.manager.effects) == 1
    assert not guest.queues.waiting


@pytest.mark.parametrize("method", ["change_passwords", "create_user"])
@pytest.mark.parametrize("point", ["begun", "effect", "finished", "sent", "deleted"])
def test_wherever_it_dies_the_command_ends_in_one_answer(
    guest: Guest, method: str, point: str
) -> None:
    """`create_user` is not repeatable: it runs at most once, and says so when it was cut short."""
    match point:
        case "begun":
            guest.store.die_at = 1
        case "effect":
            guest.manager.dies = True
        case "finished":
            guest.store.die_at = 2
        case "sent":
            guest.queues.die_at = "report"
        case "deleted":
            guest.queues.die_at = "delete"
    message = sealed(command(method, USERS))
    with pytest.raises(Crash):
        guest.dispatcher.accept(guest.queues.put(message))
    guest.start()
    guest.dispatcher.accept(guest.queues.put(message))
    guest.dispatcher.accept(guest.queues.put(message))
    assert len(set(map(str, guest.answers()))) == 1, "every answer says the same"
    assert not guest.queues.waiting
    cut_short = point in ("begun", "effect")
    if method == "create_user":
        assert guest.answers()[-1] == ("Interrupted" if cut_short else {})
        assert len(guest.manager.effects) <= 1
    else:
        assert guest.answers()[-1] == {}
        assert len(guest.manager.effects) == (2 if point == "effect" else 1)


def test_after_a_lost_journal_what_may_have_run_is_not_run_again(guest: Guest) -> None:
    guest.store.lost_before = START + 1
    guest.deliver(command("create_user", USERS))
    guest.deliver(command("change_passwords", PASSWORDS, id="command-2"))
    guest.deliver(command("create_user", USERS, id="command-3", issued_at=START + 2))
    assert guest.answers() == ["Interrupted", {}, {}]


def test_an_expired_command_is_answered_and_not_run(guest: Guest) -> None:
    guest.deliver(command("list_users", expires_at=START - 0.5))
    assert guest.answers() == ["Expired"]
    assert not guest.manager.effects


def test_expiry_goes_by_the_clock_of_the_services(guest: Guest, world: World) -> None:
    guest.clock.offset = -3600.0  # the guest's own clock is an hour ahead
    world.now += 3600
    guest.deliver(command("list_users", issued_at=START, expires_at=START + 10))
    assert guest.answers() == [{}]
    assert guest.queues.reports()[0].issued_at == START


def test_a_command_for_another_generation_is_refused(guest: Guest) -> None:
    guest.deliver(command("list_users", generation=2))
    assert guest.answers() == ["WrongGeneration"]
    assert not guest.manager.effects


@pytest.mark.parametrize(
    "body",
    [
        "not a message",
        '{"header": {}}',
        sealed(command("list_users", issued_at=START, expires_at=START), key=bytes(32)),
        sealed(command("list_users", instance_id="other", issued_at=START, expires_at=START)),
        sealed(command("list_users", kind="result", issued_at=START, expires_at=START)),
        sealed(command("list_users", key_version=0, issued_at=START, expires_at=START)),
    ],
    ids=["noise", "torn", "foreign key", "other instance", "other kind", "forgotten key"],
)
def test_what_cannot_be_trusted_is_counted_and_dropped(guest: Guest, body: str) -> None:
    said = guest.dispatcher.accept(guest.queues.put(body))
    assert said.startswith("Rejected a message: ")
    assert guest.dispatcher.rejected == 1
    assert not guest.queues.waiting
    assert not guest.queues.reported
    assert not guest.manager.effects


def test_a_tampered_message_changes_nothing(guest: Guest) -> None:
    body = sealed(command("delete_user", {"user": {"name": "alice"}}))
    at = body.index('"content":"') + 40
    guest.dispatcher.accept(guest.queues.put(body[:at] + "AAAA" + body[at + 4 :]))
    assert (guest.dispatcher.rejected, guest.manager.effects) == (1, [])


def test_reads_go_on_beside_a_long_command(guest: Guest, world: World) -> None:
    assert guest.deliver(command("prepare", PREPARE)).endswith("started beside the loop.")
    guest.deliver(command("list_users", id="command-2"))
    assert [report.id for report in guest.queues.reports()] == ["command-2"]
    world.run_spawned()
    assert [report.id for report in guest.queues.reports()] == ["command-2", "command-1"]


def test_two_that_move_the_server_never_run_together(guest: Guest, world: World) -> None:
    guest.deliver(command("restart"))
    guest.deliver(command("restart", id="command-2"))
    assert guest.queues.hidden == [("receipt-2", POSTPONE_SECONDS)]
    assert len(world.spawned) == 1
    world.run_spawned()
    guest.deliver(command("restart", id="command-2"))
    world.run_spawned()
    assert [report.id for report in guest.queues.reports()] == ["command-1", "command-2"]


def test_messages_of_running_commands_are_kept_hidden(guest: Guest, world: World) -> None:
    guest.deliver(command("prepare", PREPARE))
    guest.dispatcher.keep_hidden()
    assert guest.queues.hidden == [("receipt-1", 20)]
    world.run_spawned()
    guest.dispatcher.keep_hidden()
    assert len(guest.queues.hidden) == 1


def test_progress_and_answer_are_numbered_in_their_order(guest: Guest, world: World) -> None:
    guest.manager.on_stage = guest.dispatcher.report_progress
    guest.deliver(command("prepare", PREPARE | {"root_password": "secret"}))
    world.run_spawned()
    guest.dispatcher.report_progress()
    (progress,) = guest.queues.reports("progress")
    (root,) = guest.queues.reports("root")
    (answer,) = guest.queues.reports("result")
    again = {"again_seconds": TELL_AGAIN_SECONDS}
    assert progress.result == {"stage": "preparing the volume", **again}
    assert progress.id == root.id == answer.id
    assert progress.seq < root.seq < answer.seq


def test_a_stage_that_does_not_change_is_told_again_now_and_then(
    guest: Guest, world: World
) -> None:
    """Else nobody could tell a command that takes hours from one that is lost."""

    def hours() -> None:
        for _ in range(2 * 60):
            world.now += 60
            guest.dispatcher.report_progress()

    guest.manager.on_stage = hours
    guest.deliver(command("prepare", PREPARE))
    world.run_spawned()
    told = guest.queues.reports("progress")
    assert len(told) == 2 * 3600 / TELL_AGAIN_SECONDS
    assert {(report.result or {})["stage"] for report in told} == {"preparing the volume"}


def test_an_answer_that_cannot_be_sent_is_kept_and_sent_later(guest: Guest) -> None:
    guest.manager.answer = {"n": 1}
    message = command("create_user", USERS)
    guest.queues.broken = True
    assert "it will be answered again" in guest.deliver(message)
    guest.queues.broken = False
    guest.deliver(message)
    assert guest.answers() == [{"n": 1}]
    assert len(guest.manager.effects) == 1


@pytest.mark.parametrize(
    ("method", "args", "code"),
    [
        ("drop_everything", {}, "NotSupported"),
        ("call", {}, "NotSupported"),
        ("create_user", {"users": "alice"}, "BadRequest"),
        ("create_user", {}, "BadRequest"),
        ("get_user", {"username": 7}, "BadRequest"),
    ],
)
def test_what_the_contract_does_not_know_is_refused(
    guest: Guest, method: str, args: dict[str, Any], code: str
) -> None:
    guest.deliver(command(method, args))
    assert guest.answers() == [code]
    assert not guest.manager.effects


def test_a_refusal_of_the_datastore_is_the_answer(guest: Guest) -> None:
    guest.manager.fails = Failure("there is no user 'bob'")
    guest.deliver(command("get_user", {"username": "bob"}))
    (answer,) = guest.queues.reports()
    assert answer.error is not None
    assert (answer.error.code, answer.error.message) == ("UserNotFound", "there is no user 'bob'")


def test_a_bug_in_a_manager_is_answered_without_its_text(
    guest: Guest, caplog: pytest.LogCaptureFixture
) -> None:
    guest.manager.fails = ValueError("near 'secret'")
    with caplog.at_level(logging.DEBUG):
        guest.deliver(command("create_user", USERS))
    assert guest.answers() == ["GuestError"]
    assert "secret" not in caplog.text + "".join(map(str, guest.queues.reports()))


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_the_largest_answer_fits_and_a_larger_one_says_so(guest: Guest, letter: str) -> None:
    """Into the message, the journal, and the row that keeps it as JSON in ASCII."""
    empty = len(json.dumps({"users": [""]}))
    most = (ANSWER_BYTES - empty) // (len(json.dumps(letter)) - 2)
    guest.manager.answer = {"users": [letter * most]}
    guest.deliver(command("list_users", id="fits"))
    guest.manager.answer = {"users": [letter * (most + 1)]}
    guest.deliver(command("list_users", id="too large"))
    fits, refused = guest.queues.reports()
    assert fits.result == {"users": [letter * most]}
    assert len(json.dumps(fits.result)) <= MOST_RESULT_BYTES
    assert refused.error is not None
    assert refused.error.code == "GuestError"
    assert "too large" in refused.error.message
    kept = guest.store.entries["too large"].outcome
    assert kept is not None
    assert kept.result is None, "the journal does not keep what is not sent"


def test_a_refusal_is_as_long_as_the_control_plane_keeps_it(guest: Guest) -> None:
    """Or its answer could not be sealed, and would kill every agent that sends it again."""
    guest.manager.fails = Failure("\U000e0001" * 100_000)
    guest.deliver(command("list_users"))
    (answer,) = guest.queues.reports()
    assert answer.error is not None
    assert len(answer.error.message) == MOST_MESSAGE


def test_the_journal_is_bounded_by_the_life_of_commands(guest: Guest, world: World) -> None:
    for number in range(1000):
        guest.deliver(command("list_users", id=f"command-{number}"))
        world.now += 600
    assert len(guest.store.entries) < 300


def test_what_runs_at_most_once_is_what_a_second_run_would_refuse() -> None:
    """The first run made, took or renamed what the second one would not find as it was."""
    once = {name for name, method in METHODS.items() if not method.repeatable}
    assert once == {
        *("create_database", "delete_database", "create_user", "delete_user"),
        *("update_attributes", "revoke_access"),
    }


def test_an_answer_names_the_guests_work_in_the_trace_of_its_command(guest: Guest) -> None:
    asked = tracing.Trace("a" * 32, "b" * 16)
    with lines_of("guest_agent") as lines:
        guest.deliver(command("create_user", USERS, traceparent=str(asked)))
    (answer,) = guest.queues.reports()
    work = tracing.parse(answer.traceparent)
    assert work is not None
    assert (work.trace_id, work.span_id != asked.span_id) == (asked.trace_id, True)
    assert answer.took_ms >= 0
    assert not any("kind" in line for line in lines), "the conductor writes the line of the work"


@pytest.mark.parametrize("said", [None, 7, "junk", ["00"], "00-" + "0" * 300])
def test_a_command_in_no_trace_is_done_all_the_same(guest: Guest, said: object) -> None:
    guest.deliver(command("create_user", USERS, traceparent=said))
    assert len(guest.manager.effects) == 1
    assert len(guest.answers()) == 1


def test_an_answer_that_is_sent_again_says_nothing_of_work(guest: Guest) -> None:
    guest.deliver(command("create_user", USERS, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    guest.deliver(command("create_user", USERS, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    again = guest.queues.reports()[-1]
    assert tracing.parse(again.traceparent) is None
