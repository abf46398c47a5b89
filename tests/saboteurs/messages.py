"""Bugs of the bus: its messages, what the conductor believes, what the agent runs; secrets."""

from __future__ import annotations

import functools
import logging
import math
import re
from typing import Any

import msgspec

from chalicelib import aws, batch, parameters
from chalicelib.bus import commands, envelope, keys, queues
from chalicelib.bus.contract.arguments import Prepare
from chalicelib.bus.contract.values import Value
from chalicelib.conductor import dead_letters, enrolment, heartbeats, proving, reports
from chalicelib.conductor.tally import Tally
from chalicelib.settings import settings
from chalicelib.store import calls, events, guests, last_reports
from chalicelib.store.models import Command, EventRow, Guest, Instance, Operation
from functions import create_instance
from guest_agent import dispatch, heartbeat, outbox
from guest_agent.dispatch import Dispatcher
from guest_agent.errors import Expired
from guest_agent.journal import Journal
from tests.saboteurs.registry import Instead, Patch, saboteur


def _same(key: bytes, _: Any) -> bytes:
    return key


def _opened_with_any_key(patch: Patch) -> Any:
    """A way to open messages that tries every key that was ever derived."""
    known: dict[bytes, None] = {}
    guest_key, original = keys.guest_key, envelope.open_sealed

    def noting(*names: Any) -> bytes:
        key = guest_key(*names)
        known[key] = None
        return key

    def open_sealed(body: str, direction: Any, key_of: Any) -> Any:
        for candidate in (key_of, *(functools.partial(_same, key) for key in known)):
            try:
                return original(body, direction, candidate)
            except envelope.BadSeal:
                continue
        raise envelope.BadSeal("the seal fits no key at all")

    patch.setattr(keys, "guest_key", noting)
    return open_sealed


@saboteur("calm", "I11")
def passwords_in_the_log(patch: Patch) -> None:
    """The step logs the arguments of `prepare`, initial users with their passwords among them."""
    original = create_instance.arguments_of

    def arguments(operation: Operation, instance: Instance) -> Prepare:
        found = original(operation, instance)
        logging.getLogger("functions.create_instance").debug("prepare %s", found)
        return found

    patch.setattr(create_instance, "arguments_of", arguments)


@saboteur("contents", "I11")
def arguments_in_a_hint(patch: Patch) -> None:
    """A command travels beside its sealed copy, in clear, on the task manager's queue."""
    original = commands.send

    def send(instance: Instance, row: Command, args: Value) -> None:
        original(instance, row, args)
        body = msgspec.json.encode({"operation_id": "none", "args": args}).decode()
        aws.client("sqs").send_message(QueueUrl=settings().taskmanager_queue_url, MessageBody=body)

    patch.setattr(commands, "send", send)


@saboteur("reordered", "I2")
def clocks_instead_of_sequences(patch: Patch) -> None:
    """A heartbeat counts when it arrives later, not when it was sent later."""
    patch.setattr(heartbeats, "_worth_writing", lambda *_: True)
    patch.setattr(last_reports, "_LATER", "generation = :generation AND updated <= :now")


@saboteur("late", "I9", seeds=10)
def expired_commands_run(patch: Patch) -> None:
    """The agent runs a command whose deadline has passed."""
    original = Dispatcher._refusal

    def refusal(dispatcher: Dispatcher, run: Any) -> Any:
        found = original(dispatcher, run)
        return None if isinstance(found, Expired) else found

    patch.setattr(Dispatcher, "_refusal", refusal)


@saboteur("contents", "I14")
def accepted_before_it_was_done(patch: Patch) -> None:
    """A change of a database's contents is accepted as soon as its command is on the queue."""
    original = commands._answer

    def answer(row: Command, bound_seconds: float) -> dict[str, Any]:
        changes = row.method.startswith(("create_", "delete_", "change_"))
        return {} if changes else original(row, bound_seconds)

    patch.setattr(commands, "_answer", answer)


@saboteur("hostile creates", "I25")
def any_answer_will_do(patch: Patch) -> None:
    """A step goes on when its guest has answered, whatever it is that it said."""
    patch.setattr(commands, "METHODS", {})


@saboteur("hostile", "I17")
def junk_that_ends_the_batch(patch: Patch) -> None:
    """A heartbeat that reports no state ends the handler, with all others of its batch."""

    def opened(body: str) -> tuple[envelope.Envelope, heartbeats.Report]:
        beat = reports.open_report(body, kinds=("heartbeat",))
        return beat, msgspec.convert(beat.result or {}, heartbeats.Report)

    patch.setattr(heartbeats, "_open", opened)


@saboteur("hostile", "I17", seeds=20)
def a_size_as_it_was_said(patch: Patch) -> None:
    """A size is stored as its guest says it, and one that the table refuses ends the batch."""

    def apply_each(beats: list[heartbeats.Beat]) -> list[str]:
        rows = last_reports.read([beat.envelope.instance_id for beat in beats]) if beats else {}
        for beat in beats:
            heartbeats._apply(beat, rows.get(beat.envelope.instance_id))
        return []

    patch.setattr(heartbeats, "_stored", lambda size: size)
    patch.setattr(heartbeats, "_apply_each", apply_each)


@saboteur("poison", "I19")
def a_row_for_each_refusal(patch: Patch) -> None:
    """Each message that is refused has an event of its own, in one partition."""

    def count(kind: str, reason: str, times: int, message: str) -> None:
        for _ in range(times):
            row = events.new_event(events.BUS, kind, f"{reason}: {message}")
            row.update(
                actions=[
                    EventRow.kind.set(row.kind),
                    EventRow.message.set(row.message),
                    EventRow.created.set(row.created),
                ]
            )

    patch.setattr(events, "count", count)


@saboteur("crowd", "I19")
def calls_without_a_bound(patch: Patch) -> None:
    """However many calls a tenant has in flight, there is a slot for another one."""
    patch.setattr(calls, "_require_room", lambda *_: None)


@saboteur("contents", "I19")
def calls_without_a_slot(patch: Patch) -> None:
    """A call is sent without asking for a slot."""
    patch.setattr(commands, "calls", Instead(calls, take=lambda *_: None))


@saboteur("dying databases", "I20")
def events_of_guests_forgotten(patch: Patch) -> None:
    """What a guest tells of its database's deaths is taken from the queue, and kept nowhere."""
    patch.setitem(reports._KINDS, "event", lambda *_: True)


@saboteur("calm", "I20")
def stages_cut_short(patch: Patch) -> None:
    """The progress of a command is kept as its first eight letters."""
    patch.setattr(reports, "MOST_STAGE", 8)


@saboteur("calm", "I21")
def events_kept_for_a_day(patch: Patch) -> None:
    """The event feed forgets after a day, not after ninety."""
    patch.setattr(events, "KEEP_SECONDS", 86400)


@saboteur("calls", "I19")
def slots_kept_to_their_deadline(patch: Patch) -> None:
    """A call that was answered does not give its slot back."""
    patch.setattr(commands, "calls", Instead(calls, give_back=lambda *_: None))


@saboteur("poison", "I9", seeds=10)
def any_guests_seal(patch: Patch) -> None:
    """A report is believed when the key of any guest fits it."""
    patch.setattr(reports, "open_sealed", _opened_with_any_key(patch))


@saboteur("poison", "L4")
def poison_dropped_without_a_word(patch: Patch) -> None:
    """A dead letter is not counted."""
    patch.setattr(Tally, "store", lambda _: None)


@saboteur("contents", "I2")
def answers_stored_twice(patch: Patch) -> None:
    """A second delivery of an answer overwrites the first."""
    original = Command.update

    def update(row: Command, actions: Any, condition: Any = None, **more: Any) -> Any:
        if condition is not None and "answered" in str(condition):
            condition = Command.instance_id == row.instance_id if row.instance_id else None
        return original(row, actions=actions, condition=condition, **more)

    patch.setattr(Command, "update", update)


@saboteur("contents", "I2")
def a_command_id_used_again(patch: Patch) -> None:
    """Every call of a method on an instance has the same command id."""
    original = commands.new_command

    def new_command(command_id: str, instance: Instance, method: str, **more: Any) -> Command:
        if more.get("operation_id") is None:
            command_id = f"{instance.id}.{method}"
        return original(command_id, instance, method, **more)

    patch.setattr(commands, "new_command", new_command)


@saboteur("contents", "I2")
def an_agent_without_memory(patch: Patch) -> None:
    """The agent keeps no journal: what comes twice is run twice."""
    patch.setattr(Journal, "recorded", lambda *_: None)
    patch.setattr(Journal, "may_have_begun", lambda *_: False)


@saboteur("reordered", "I2")
def the_first_of_a_batch(patch: Patch) -> None:
    """Of the heartbeats of one guest in a batch the first counts, not the latest."""
    original = heartbeats.receive

    def receive(event: dict[str, Any]) -> batch.Answer:
        first: dict[str, Any] = {}
        for record in event["Records"]:
            sender = re.search(r'"instance_id":"([^"]+)"', record["body"])
            first.setdefault(sender[1] if sender else record["body"], record)
        return original({"Records": list(first.values())})

    patch.setattr(heartbeats, "receive", receive)


@saboteur("calm", "L7")
def unchanged_reports_not_written(patch: Patch) -> None:
    """A heartbeat that says nothing new is not written, however old the last one is."""

    def worth_writing(beat: heartbeats.Beat, last: Any) -> bool:
        news: bool = beat.report.known_status != last.status
        return news and beat.order > last.order

    patch.setattr(heartbeats, "_worth_writing", worth_writing)


@saboteur("calm", "L7")
def statuses_rounded(patch: Patch) -> None:
    """What a healthy guest reports is stored as no more than that its database runs."""

    def known_status(report: heartbeats.Report) -> str:
        return "running" if report.status == "healthy" else report.status

    patch.setattr(heartbeats.Report, "known_status", property(known_status))


@saboteur("throttled", "I2", seeds=10)
def failures_of_a_batch_not_told(patch: Patch) -> None:
    """SQS is not told which records of a batch have failed: it takes all of them for handled."""
    original = batch.each

    def each(event: Any, handle: Any) -> batch.Answer:
        original(event, handle)
        return {"batchItemFailures": []}

    patch.setattr(batch, "each", each)


@saboteur("a little poison", "L4")
def poison_sent_back(patch: Patch) -> None:
    """Every dead letter is sent back to where it came from, as if it were healthy."""

    def judge(_: str) -> tuple[str, None]:
        return settings().conductor_queue_url, None

    patch.setattr(dead_letters, "_judge", judge)
    patch.setattr(dead_letters, "queues", Instead(queues, attribute=lambda *_: None))


@saboteur("old news", "I9", seeds=10)
def reports_without_an_expiry(patch: Patch) -> None:
    """The conductor does not ask whether a message has expired."""
    original = envelope.open_sealed

    def open_sealed(body: str, direction: Any, key_of: Any) -> Any:
        return msgspec.structs.replace(original(body, direction, key_of), expires_at=math.inf)

    patch.setattr(reports, "open_sealed", open_sealed)


@saboteur("poisoned commands", "I8")
def an_agent_that_believes_any_seal(patch: Patch) -> None:
    """The agent runs a command that is sealed with the key of whatever guest."""
    patch.setattr(outbox, "bus", Instead(envelope, open_sealed=_opened_with_any_key(patch)))


@saboteur("thieves", "I9", "I2")
def renewals_that_are_replayed(patch: Patch) -> None:
    """A renewal is granted whose signed time was seen before."""

    def admit(guest: Guest, issued_at_ms: int, *, start: bool) -> None:
        guests.admit(guest, max(issued_at_ms, int(guest.issued_at_ms) + 1), start=start)

    for place in (proving, enrolment):
        patch.setattr(place, "admit", admit)


@saboteur("impostors", "I9", seeds=10)
def a_key_that_nobody_checks(patch: Patch) -> None:
    """Any signature will do for what an enrolled guest asks over HTTPS."""
    patch.setattr(proving, "check_signature", lambda *_: None)


@saboteur("hostile", "I19")
def requests_without_a_rate(patch: Patch) -> None:
    """A guest's request is taken, however many it has made."""
    patch.setattr(proving, "guests", Instead(guests, require_room=lambda _: None))


@saboteur("thieves", "I9")
def enrolments_without_proof(patch: Patch) -> None:
    """A public key is bound, or given keys, without a signature that fits it."""
    patch.setattr(enrolment, "_check_proof", lambda _: None)


@saboteur("thieves", "I4", "I9")
def enrolled_by_whoever_has_the_token(patch: Patch) -> None:
    """The key and the server that enrol last hold the generation, not the first ones."""
    original = Guest.update

    def update(row: Guest, actions: Any, condition: Any = None, **more: Any) -> Any:
        if "public_key" in str(condition):
            condition = None
        return original(row, actions=actions, condition=condition, **more)

    patch.setattr(Guest, "update", update)


@saboteur("dark", "L8")
def an_agent_without_patience(patch: Patch) -> None:
    """A heartbeat that was not sent is sent again at once, for as long as it takes."""
    patch.setattr(heartbeat, "FIRST_RETRY_SECONDS", 0.0)


@saboteur("rotations", "L1")
def an_agent_that_drops_what_it_cannot_open(patch: Patch) -> None:
    """The agent rejects a command under a key that it was not given yet, without asking for it."""
    patch.setattr(dispatch, "LONGEST_WAIT_SECONDS", 0.0)


@saboteur("rotations", "L1", seeds=10)
def an_unknown_version_is_buried(patch: Patch) -> None:
    """A message under a version that this container does not know is poison."""
    patch.setattr(keys, "NotYetKnown", envelope.BadSeal)


@saboteur("rotations", "L1")
def secrets_read_once(patch: Patch) -> None:
    """A container never looks at a parameter again."""
    patch.setattr(parameters, "_look", lambda *_: None)
