"""F25: all guests of one tenant are in somebody else's hands, with the keys that are theirs.

What they send is sealed as it should be, so that no signature helps: results of any shape in place
of the true ones, and before them; reports with numbers and texts of any size; messages about
commands of others, out of every order, and in bursts; requests over HTTPS as fast as they are
answered. The true agents go on beside it.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.bus.contract import METHODS
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.bus.envelope import (
    Direction,
    Envelope,
    EnvelopeError,
    Fault,
    Header,
    open_sealed,
    seal,
)
from chalicelib.store.guests import REQUESTS_A_MINUTE
from guest_agent.enrolment import Enrolment, Session
from guest_agent.errors import GuestAgentError
from simulator.aws.sqs.queues import Message
from simulator.faults.guests import GuestFault
from simulator.fleet.guest import Guest
from simulator.invariants.marks import FORGED_TRACE
from simulator.template import PREFIX

ANSWERED: Final = 0.6
"""The share of commands that get a false answer before the true one."""
BURST: Final = 12
MANY: Final = 2000
RUSH: Final = 3 * REQUESTS_A_MINUTE
RUSH_EVERY: Final = 10
"""Turns; one is another guest's, perhaps."""
HEARD: Final = 50
LIFE_SECONDS: Final = 600.0
LATEST: Final = 2**50 - 1
"""Below what marks a forgery for I9: these messages are none."""
GUESTS: Final = f"{PREFIX}-guest-"
NAMES: Final = (
    *("databases", "users", "user", "enabled", "next_marker", "name", "host", "character_set"),
    *(
        "status",
        "volume",
        "used",
        "total",
        "rejected",
        "release",
        "reason",
        "stage",
        "kind",
        "text",
    ),
)
METRICS: Final = EngineMetrics.__struct_fields__
SCALARS: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 10**40, -(10**40)),
    *(0.0, -0.0, 1e-300, 5e-324, 1e308, -1e308, 0.1),
    *("", " ", "x", "é" * 300, "\x00", "\x1b[2J", "x" * 1025, "y" * 70_000, "healthy", "failed"),
    *("\u202e", "\U0001f600" * 20, "NaN", "../../etc", "'; drop table users; --"),
)


class HostileGuests(GuestFault):
    id = "F25"
    title = "hostile guests"
    range = (0.2, 6.0)
    unit = "messages a minute, of each guest of one tenant"
    chance = 0.3
    fair = True

    def install(self) -> None:
        self.on = True
        self._heard: list[str] = []
        """Ids of commands to any guest."""
        self._turns = 0
        self._unread: dict[str, Message] = {}
        """By queue, the last command that no guest in bad hands has looked at."""
        tenants = list(self.workload.tenants)
        if len(tenants) < 2:  # there must be somebody who could be harmed
            return
        self.tenant = tenants[0]
        assert self.world.invariants is not None
        self.world.invariants.hub.hostile.add(self.tenant)
        self.world.region.sqs.watchers.append(self._watch)
        self._next()

    def heal(self) -> None:
        self.on = False
        if self._watch in self.world.region.sqs.watchers:
            self.world.region.sqs.watchers.remove(self._watch)

    def guests(self) -> list[Guest]:
        """The guests of the tenant that have enrolled."""
        assert self.world.invariants is not None
        owners = self.world.invariants.hub.tenants
        return [
            guest
            for guest in self.world.fleet
            if guest.power
            and guest.memory.session is not None
            and owners.get(guest.memory.session.instance_id) == self.tenant
        ]

    # ---------------------------------------------------------------------------- when

    def _next(self) -> None:
        if not self.on:
            return
        guests = self.guests()
        for guest in guests:
            self._read(guest)
        if guests:
            guest = self.stream.choice(guests)
            count = BURST if self.stream.random() < 1 / BURST else 1
            for _ in range(count):
                self._say(guest, self.stream.choice(list(FORMS)), self._id())
            self._turns += 1
            if self._turns % RUSH_EVERY == 0:
                self._rush(guest)
        pause = self.later(60.0 / self.strength / max(len(guests), 1))
        self.world.kernel.call_later(pause, self._next)

    def _watch(self, queue: str, message: Message) -> None:
        """A command was sent: its answer is there before the guest has read it."""
        if not queue.startswith(GUESTS) or not self.on:
            return
        self._unread = {**dict(list(self._unread.items())[1 - HEARD :]), queue: message}
        for guest in self.guests():
            self._read(guest)

    def _read(self, guest: Guest) -> None:
        """Look at the command that came last: one that is older than the guest's session, too."""
        session = guest.memory.session
        assert session is not None
        message = self._unread.pop(session.queues.guest.rpartition("/")[2], None)
        command = _opened(session, message.body) if message else None
        if command is not None:
            self._heard = [*self._heard[1 - HEARD :], command.id]
            if self.hits(ANSWERED):
                self._say(guest, "answer", command.id, command.method)

    def _id(self) -> str:
        """The id of a command, of another guest perhaps, or of none."""
        if self._heard and self.stream.random() < 0.7:
            return self.stream.choice(self._heard)
        return self.stream.choice(("", "x" * 300, aws.new_id(), "../" * 20))

    # ---------------------------------------------------------------------------- what

    def _say(self, guest: Guest, form: str, message_id: str, method: str = "") -> None:
        session = guest.memory.session
        assert session is not None
        now = self.world.kernel.now
        report = Envelope(
            id=message_id,
            instance_id=session.instance_id,
            generation=session.generation,
            epoch=session.epoch,
            seq=self.stream.choice((0, 1, 10**6, LATEST)),
            kind="result",
            method=method or self.stream.choice(list(METHODS)),
            issued_at=now,
            expires_at=now + LIFE_SECONDS,
            key_version=session.key_version,
            traceparent=f"00-{FORGED_TRACE}-{'f0' * 8}-01",
            took_ms=LATEST,
        )
        FORMS[form](self, report)
        try:
            key = base64.b64decode(session.keys.to_control)
            body = seal(report, Direction.TO_CONTROL, key)
        except (EnvelopeError, OverflowError):
            return  # nothing that any code could send
        queues = session.queues
        beats = form == "heartbeat" or self.stream.random() < 0.1
        url = queues.heartbeats if beats else queues.conductor
        self.inject(f"{form} of {guest.server_id}", session.instance_id)
        send = partial(_send, session, url, body)
        self.world.kernel.spawn(send, "hostile guest", guest.server_id, None)

    def _rush(self, guest: Guest) -> None:
        """Ask for what only this guest may ask for, as fast as it is answered."""
        self.inject(f"rush of {guest.server_id}", None)
        rush = partial(_ask, guest.enrolment(), aws.new_id())
        self.world.kernel.spawn(rush, "hostile guest", guest.server_id, None)

    def answer(self, report: Envelope) -> None:
        if self.stream.random() < 0.3:
            code = self.stream.choice(("UserNotFound", "Expired", "", "x" * 300, "BadRequest"))
            report.error = Fault(code, self._text())
        else:
            report.result = self._object(3)

    def progress(self, report: Envelope) -> None:
        report.kind = "progress"
        report.result = self._object(1) | {"stage": self._thing(1)}

    def heartbeat(self, report: Envelope) -> None:
        report.kind = "heartbeat"
        volume = {"used": self._thing(0), "total": self._thing(0)}
        metrics = {name: self._thing(1) for name in self.stream.sample(METRICS, 2)}
        report.result = {
            "status": self._thing(0),
            "volume": volume,
            "metrics": metrics if self.stream.random() < 0.8 else self._thing(2),
        } | self._object(1)

    def event(self, report: Envelope) -> None:
        report.kind = self.stream.choice(("event", "root", "command", "", "x" * 300))
        report.result = self._object(2)

    def out_of_order(self, report: Envelope) -> None:
        report.epoch = self.stream.choice((0, report.epoch + 1, LATEST))
        report.generation = self.stream.choice((0, 1, 2, LATEST))
        report.kind = self.stream.choice(("result", "progress", "heartbeat", "root", "event"))
        report.issued_at = self.stream.choice((0.0, -1e308, 1e308, report.issued_at))
        report.result = self._object(1)

    def _object(self, depth: int) -> dict[str, Any]:
        names = self.stream.sample(NAMES, self.stream.randrange(6))
        return {name: self._thing(depth) for name in names}

    def _thing(self, depth: int) -> Any:
        """Anything that JSON can say, and of any size."""
        kind = self.stream.random() if depth else 0.0
        if kind < 0.6:
            return self.stream.choice(SCALARS)
        if kind < 0.8:
            thing = self._thing(depth - 1)
            many = MANY if isinstance(thing, int | float | None) else 2
            return [thing] * self.stream.choice((0, 1, many))
        return self._object(depth - 1)

    def _text(self) -> str:
        return str(self.stream.choice(SCALARS))


FORMS: Final[dict[str, Callable[[HostileGuests, Envelope], None]]] = {
    "answer": HostileGuests.answer,
    "progress": HostileGuests.progress,
    "heartbeat": HostileGuests.heartbeat,
    "event": HostileGuests.event,
    "out of order": HostileGuests.out_of_order,
}


def _opened(session: Session, body: str) -> Envelope | None:
    key = base64.b64decode(session.keys.to_guest)

    def key_of(_: Header) -> bytes:
        return key

    try:
        return open_sealed(body, Direction.TO_GUEST, key_of)
    except EnvelopeError:
        return None


def _ask(enrolment: Enrolment, unknown: str) -> None:
    """Renew, and ask for a backup that is none, until nobody answers any more."""
    for number in range(RUSH):
        with contextlib.suppress(GuestAgentError):
            if number % 2:
                enrolment.renew(start=number % 3 == 0)
            else:
                enrolment.storage(unknown)


def _send(session: Session, url: str, body: str) -> None:
    """Send with the guest's own credentials; what AWS refuses it is refused."""
    client = aws.make_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=None,
        aws_access_key_id=session.credentials.access_key_id,
        aws_secret_access_key=session.credentials.secret_access_key,
        aws_session_token=session.credentials.session_token,
    )
    try:
        client.send_message(QueueUrl=url, MessageBody=body)
    except (ClientError, BotoCoreError):
        return
