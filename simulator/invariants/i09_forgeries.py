"""I9: nothing unsigned, wrongly signed, expired or replayed changes any state.

Two looks. What a forger makes carries marks that no honest message has: no row may ever hold one.
And every answer that is stored must be one that its guest really sent, and not yet expired.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

import msgspec

from chalicelib.bus.envelope import Direction, Envelope
from chalicelib.cloud.servers import REPLACING
from chalicelib.status import Status
from guest_agent.journal import Entry
from guest_agent.outbox import HEARTBEAT_LIFE_SECONDS
from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange, Hub, Record
from simulator.invariants.mail import Mail
from simulator.invariants.marks import FORGED_MARK, FORGED_NUMBER, FORGER
from simulator.invariants.rows import changed
from simulator.template import PREFIX

TABLES: Final = ("instances", "operations", "commands", "guests", "service-statuses", "quotas")
REFUSALS: Final = 400
HANDLING_SECONDS: Final = 30.0
"""A message may expire while it is being handled."""

Sent = tuple[str, int, str, float]
"""Instance, generation, the answer as JSON, when it expires."""


class Forgeries(Invariant):
    """Watches all rows for marks, and all answers for where they come from."""

    id = "I9"
    title = "Nothing unsigned, wrongly signed, expired or replayed changes any state"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._mail = Mail(hub.run.region)
        self._sent: dict[str, list[Sent]] = {}

    def watch(self) -> None:
        for table in TABLES:
            self.hub.on_write(table, self._written)
            self.hub.on_write(table, partial(self._asked_by_forger, table))
        self.hub.on_write("instances", self._replaced)
        self.hub.on_write("commands", self._answered)
        self.hub.on_write("guests", self._enrolled)
        self.hub.on_write("service-statuses", self._reported_late)
        self.hub.on_message(self._reported)
        self.hub.on_reply(self._replied)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        before = old or {}
        for name, value in new.items():
            if value is not before.get(name) and _is_forged(value):
                self.exercised += 1
                owner = str(new.get("instance_id") or new.get("id"))
                self.broken(f"{name} holds what only a forged message carried: {value}", owner)

    def _asked_by_forger(self, table: str, old: Item | None, new: Item | None) -> None:
        """A forger's request is refused. It is noted with the create that its token is of, and
        ends that one only when its server cannot enrol any more, with or without the forger. Of a
        guest that is silent Nova may be asked."""
        if not self.hub.is_forger():
            return
        self.exercised += 1
        if _only_asks(table, old, new):
            return
        row = new or old or {}
        instance_id = str(row.get("instance_id") or row["id"])
        if old is None or new is None or table != "operations":
            self.broken(f"a forger's request changed {table}", instance_id)
        elif changed(old, new, "compensating", "reason", "status"):
            holder = self.hub.row("guests", (instance_id, new["generation"])) or {}
            if holder.get("server_id") == new["resources"].get("server_id"):
                text = f"a forger's request ended a create that has its guest: {new.get('reason')}"
                self.broken(text, instance_id)

    def _replied(self, exchange: Exchange) -> None:
        """No forger is told what it asks for."""
        running = self.hub.run.kernel.current
        if running is None or running.name != FORGER:
            return
        self.exercised += 1
        if exchange.reply.status < REFUSALS:
            self.broken(f"a forger's {exchange.path} was answered {exchange.reply.status}")

    def _replaced(self, old: Item | None, new: Item | None) -> None:
        """A guest is replaced because somebody asked to be it only when Nova has done something."""
        if old is None or new is None or not changed(old, new, "generation"):
            return
        operation = self.hub.row("operations", str(new.get("operation_id"))) or {}
        if not json.loads(operation.get("arguments") or "{}").get("server_asked"):
            return
        self.exercised += 1
        guest = self.hub.row("guests", (new["id"], old["generation"])) or {}
        server = self.hub.run.cloud.compute.servers.get(str(guest.get("server_id")))
        done = server.actions if server is not None else []
        since = float(guest.get("enrolled", 0.0))
        if not any(each.action in REPLACING and (each.finished or since) >= since for each in done):
            self.broken("a guest was replaced on the word of whoever asked", new["id"])

    def _reported(self, queue: str, message: Message) -> None:
        if queue != f"{PREFIX}-conductor" or not self.hub.is_guest():
            return
        report = self._mail.opened(message.body, Direction.TO_CONTROL)
        if report is not None and report.kind == "result":
            answer = _as_json(report.result or {}, report.error.code if report.error else None)
            sent = report.instance_id, report.generation, answer, report.expires_at
            if report.id not in self._sent and report.error is None:
                self._run_late(report)
            self._sent.setdefault(report.id, []).append(sent)

    def _run_late(self, report: Envelope) -> None:
        """A command that its guest saw only after its deadline must not have been run.

        What the guest had run before, and answers again, is in its journal with an earlier time.
        """
        row = self.hub.row("commands", report.id)
        running = self.hub.run.kernel.current
        guest = self.hub.run.fleet.guests.get(str(running.owner)) if running is not None else None
        name = f"{PREFIX}-guest-{report.instance_id}-{report.generation}"
        queue = self.hub.run.region.sqs.queues.get(name)
        if row is None or guest is None or queue is None:
            return
        late = float(row["deadline"]) + HANDLING_SECONDS
        seen = []
        for message in queue.messages.values():
            command = self._mail.opened(message.body, Direction.TO_GUEST)
            if command is not None and command.id == report.id and message.receives:
                seen.append(message.first_received_at)
        written = (
            msgspec.json.decode(line, type=Entry) for line in guest.disk.journal.splitlines()
        )
        entry = next((each for each in written if each.id == report.id), None)
        if seen and min(seen) > late and entry is not None and entry.started_at > late:
            text = f"{report.method} {report.id} was run {min(seen) - late:.0f} s after its expiry"
            self.broken(text, report.instance_id)

    def _answered(self, old: Item | None, new: Item | None) -> None:
        if new is None or "answered" not in new or not changed(old, new, "answered"):
            return
        self.exercised += 1
        error = json.loads(new["error"])["code"] if "error" in new else None
        stored = _as_json(json.loads(new.get("result") or "{}"), error)
        own = new["instance_id"], new["generation"]
        fitting = [
            expires
            for instance_id, generation, answer, expires in self._sent.get(new["id"], ())
            if (instance_id, generation) == own and answer == stored
        ]
        if not fitting:
            self.broken(f"the answer of {new['id']} was sent by no guest of it", own[0])
        elif max(fitting) + HANDLING_SECONDS < self.hub.run.kernel.now:
            self.broken(f"the answer of {new['id']} was expired", own[0])

    def _reported_late(self, _: Item | None, new: Item | None) -> None:
        """A heartbeat outlives its expiry on the way; its sender stands in its clear header."""
        if new is None:
            return
        instance_id = str(new["instance_id"])
        times = [self._sent_at(record) for record in self.hub.heartbeats().get(instance_id, ())]
        age = self.hub.run.kernel.now - max(times) if times else 0.0
        if age > HEARTBEAT_LIFE_SECONDS + HANDLING_SECONDS:
            self.broken(f"a heartbeat was applied {age:.0f} s after it was sent", instance_id)

    def _sent_at(self, record: Record) -> float:
        """When a message was sent; a replayed one counts as of its first time."""
        sent = int(record["attributes"]["SentTimestamp"]) / 1000
        return self.hub.first_sent.get(record["body"], sent)

    def _enrolled(self, old: Item | None, new: Item | None) -> None:
        """Who enrols must be a server that the instance has, or had."""
        running = self.hub.run.kernel.current
        if new is None or old is not None or running is None:
            return
        self.exercised += 1
        cloud, fleet = self.hub.run.cloud, self.hub.run.fleet
        server_id = new["server_id"]
        known = server_id in cloud.compute.servers or server_id in fleet.guests
        if not known and all(dead.server_id != server_id for dead in fleet.graves):
            self.broken(f"{server_id}, which is no server, has enrolled", new["instance_id"])


def _only_asks(table: str, old: Item | None, new: Item | None) -> bool:
    """Whether a write only notes that somebody asked, or has Nova asked whether that may be."""
    if new is None:
        return False
    if table == "guests" and old is not None:
        return not changed(old, new, *sorted(new.keys() - {"stranger_at", "questioned_at"}))
    if table == "operations" and old is None:
        return bool(json.loads(new.get("arguments") or "{}").get("server_asked"))
    if table == "instances" and old is not None:
        rest = sorted(new.keys() - {"status", "updated", "operation_id"})
        return new["status"] == Status.REBUILD and not changed(old, new, *rest)
    return False


def _is_forged(value: Any) -> bool:
    if type(value) is str:
        return FORGED_MARK in value
    if type(value) is int:
        return value >= FORGED_NUMBER
    if type(value) is dict:
        return any(map(_is_forged, value.values()))
    return False


def _as_json(result: Any, error: str | None) -> str:
    return json.dumps([None if error else result, error], sort_keys=True)
