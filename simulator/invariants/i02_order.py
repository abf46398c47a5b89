"""I2: a status never goes backwards in (generation, epoch, seq); answers apply once each."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.bus.contract import METHODS
from chalicelib.bus.envelope import Direction
from chalicelib.conductor.dead_letters import NotAccepted
from guest_agent.errors import Expired, Interrupted, WrongGeneration
from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub
from simulator.invariants.mail import Mail
from simulator.invariants.rows import changed
from simulator.template import PREFIX

HEARTBEATS: Final = f"{PREFIX}-heartbeats"
"""The handler of what guests report; a flow's end and a reset set a status of their own."""

NOT_RUN: Final = frozenset({Expired.code, Interrupted.code, WrongGeneration.code})
"""What an agent answers when it has not run a command, or does not know."""

_REPORTED: Final = ("status", "volume_used", "volume_total", "rejected")


class Order(Invariant):
    """Looks at each write of a guest's status, of a command's answer, and of a guest's epoch."""

    id = "I2"
    title = "A status never goes backwards; results and progress apply once each"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._mail = Mail(hub.run.region)
        self._answers: dict[str, str] = {}
        self._reported: dict[str, tuple[str, int]] = {}
        """Commands with an answer on its way, and the guest (instance, generation) that sent it."""
        self._given_up = False
        """Whether a message was given up that could not be handled, time and again."""

    def watch(self) -> None:
        self.hub.on_write("service-statuses", self._status)
        self.hub.on_write("commands", self._command)
        self.hub.on_write("guests", self._guest)
        self.hub.on_write("events", self._event)
        self.hub.on_message(self._sent)

    def _event(self, _: Item | None, new: Item | None) -> None:
        if new is not None and new["kind"] == "message.poisoned":
            given_up = new["id"].endswith(f"/{NotAccepted.__name__}")
            self._given_up |= given_up and not self.hub.guests_only

    def _sent(self, queue: str, message: Message) -> None:
        """A command that must not be repeated has one answer, however often it is sent."""
        if queue != f"{PREFIX}-conductor" or not self.hub.is_guest():
            return
        report = self._mail.opened(message.body, Direction.TO_CONTROL)
        if report is None or report.kind != "result":
            return
        self._reported[report.id] = report.instance_id, report.generation
        method = METHODS.get(report.method)
        code = report.error.code if report.error is not None else ""
        if method is None or method.repeatable or code in NOT_RUN:
            return
        self.exercised += 1
        if self._answers.setdefault(report.id, code) != code:
            self.broken(f"{report.method} {report.id} was run twice", report.instance_id)

    def _status(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None:
            return
        self.exercised += 1
        before = old["generation"], old["epoch"], old["seq"]
        after = new["generation"], new["epoch"], new["seq"]
        instance_id = str(new["instance_id"])
        if after < before:
            self.broken(
                f"the status went from {_shown(before)} back to {_shown(after)}", instance_id
            )
        elif after == before:
            running = self.hub.run.kernel.current
            by_guest = running is not None and running.name == HEARTBEATS
            if by_guest and changed(old, new, *_REPORTED):
                text = f"a report of {_shown(after)} was applied twice: now {new['status']}"
                self.broken(text, instance_id)
        if after != before:  # else a zombie beside it was counted
            self._latest_of_batch(instance_id, after)

    def _latest_of_batch(self, instance_id: str, applied: tuple[Any, ...]) -> None:
        """Of several heartbeats of a guest in one batch the latest counts."""
        records = self.hub.heartbeats().get(instance_id, ())
        bodies = dict.fromkeys(record["body"] for record in records)
        for body in bodies if len(bodies) > 1 else ():
            report = self._mail.opened(body, Direction.TO_CONTROL)
            if report is None or report.expires_at < self.hub.run.kernel.now:
                continue
            order = report.generation, report.epoch, report.seq
            if report.kind == "heartbeat" and order > applied:
                text = f"{_shown(applied)} was applied although {_shown(order)} came with it"
                self.broken(text, instance_id)

    def _command(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None:
            return
        instance_id = str(new.get("instance_id"))
        if "answered" in old:
            self.exercised += 1
            if changed(old, new, "answered", "result", "error"):
                self.broken(f"the answer of {new['id']} was stored twice", instance_id)
        before, after = _progress(old), _progress(new)
        if before != after:
            self.exercised += 1
            if before is not None and (after is None or after < before):
                self.broken(f"the progress of {new['id']} went back", instance_id)
            if "answered" in old:
                self.broken(f"progress of {new['id']} after its answer", instance_id)

    def _guest(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None:
            return
        self.exercised += 1
        for name in ("epoch", "issued_at_ms"):
            if new.get(name, 0) < old.get(name, 0):
                self.broken(f"a guest's {name} went back", str(new["instance_id"]))

    def check_healed(self) -> None:
        """What a guest answered is stored: its queue keeps it longer than any trouble lasts.

        What it answered too late, when it was replaced, is nobody's answer any more.
        """
        for command_id, sender in self._reported.items():
            row = self.hub.row("commands", command_id)
            if row is None or (row["instance_id"], row["generation"]) != sender or self._given_up:
                continue
            instance = self.hub.row("instances", sender[0])
            if instance is not None and instance["generation"] != sender[1]:
                continue
            self.exercised += 1
            if "answered" not in row:
                self.broken(f"the answer of {row['method']} {command_id} is lost", sender[0])


def _progress(row: Item) -> tuple[Any, Any] | None:
    epoch, seq = row.get("progress_epoch"), row.get("progress_seq")
    return None if epoch is None else (epoch, seq)


def _shown(order: tuple[Any, ...]) -> str:
    return "/".join(map(str, order))
