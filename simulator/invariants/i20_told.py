"""I20: what a guest tells of its database and of its work is kept as it was told."""

from __future__ import annotations

from typing import Final

from chalicelib.bus.envelope import Direction, Envelope
from chalicelib.conductor.dead_letters import NotAccepted
from chalicelib.lifecycle import Status
from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub
from simulator.invariants.mail import Mail
from simulator.template import PREFIX

DAMAGED: Final = "damaged"
"""The kind of an event that no guest here has a reason for."""
Event = tuple[str, str, int]
"""Of one kind a guest tells once a second: instance, kind, second."""


class Told(Invariant):
    """Opens the reports that agents send, and compares the rows made of them."""

    id = "I20"
    title = "What a guest tells of its database and its work is kept as it was told"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._mail = Mail(hub.run.region)
        self._stages: dict[tuple[str, int, int], set[str]] = {}
        """By command, epoch and number of the report."""
        self._events: dict[Event, set[str]] = {}
        self._generations: dict[Event, int] = {}
        """Of who told it last: a guest that was replaced meanwhile is not heard."""
        self._excused = False
        """Whether a report was given up that a fault kept from being handled, or rows went back in
        time."""

    def watch(self) -> None:
        self.hub.on_message(self._sent)
        self.hub.on_write("commands", self._progress)
        self.hub.on_write("events", self._recorded)

    def _sent(self, queue: str, message: Message) -> None:
        if queue != f"{PREFIX}-conductor" or not self.hub.is_guest():
            return
        self._excused |= self.hub.restoring
        report = self._mail.opened(message.body, Direction.TO_CONTROL)
        if report is None or self.hub.tenants.get(report.instance_id) in self.hub.hostile:
            return
        if report.kind == "progress":
            stages = self._stages.setdefault((report.id, report.epoch, report.seq), set())
            stages.add(_said(report, "stage"))
        elif report.kind == "event" and report.issued_at <= self.hub.run.kernel.now:
            event = report.instance_id, f"guest.{_said(report, 'kind')}", int(report.issued_at)
            self._events.setdefault(event, set()).add(_said(report, "text"))
            if _said(report, "kind") == DAMAGED:
                self.broken("its guest tells of damage, and no data were damaged", event[0])
            self._generations[event] = report.generation

    def _recorded(self, _: Item | None, new: Item | None) -> None:
        if new is not None and new["kind"] == "message.poisoned":
            given_up = new["id"].endswith(f"/{NotAccepted.__name__}")
            self._excused |= given_up and not self.hub.guests_only

    def _progress(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or "progress_seq" not in new:
            return
        report = new["id"], int(new["progress_epoch"]), int(new["progress_seq"])
        if report[1:] == (old.get("progress_epoch"), old.get("progress_seq")):
            return
        self.exercised += 1
        said = self._stages.get(report, set())
        if new.get("stage") not in said:
            text = f"{new['method']} is at {new.get('stage')!r}, its guest said {sorted(said)}"
            self.broken(text, str(new["instance_id"]))

    def check_healed(self) -> None:
        """A queue keeps a report longer than any trouble lasts."""
        self._excused |= self.hub.restoring
        if self._excused:
            return
        kept: dict[Event, str] = {}
        for row in self.hub.rows("events"):
            if row["kind"].startswith("guest."):
                second = int(row["id"].partition("-")[0]) // 1000
                kept[row["scope"], row["kind"], second] = row["message"]
        there = {
            row["id"]: int(row["generation"])
            for row in self.hub.rows("instances")
            if row["status"] == Status.ACTIVE
        }
        for event, texts in self._events.items():
            replaced = self._generations[event] < there.get(event[0], 0)
            if event[0] not in there or (replaced and event not in kept):
                continue
            self.exercised += 1
            if kept.get(event) not in texts:
                text = f"its guest told {event[1]}: {sorted(texts)}; kept is {kept.get(event)!r}"
                self.broken(text, event[0])


def _said(report: Envelope, name: str) -> str:
    return str((report.result or {})[name])
