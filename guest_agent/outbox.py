"""Sealed messages, both ways: opens commands; numbers, seals and sends what the guest reports."""

from __future__ import annotations

import base64
from typing import Any, Final

from chalicelib import aws
from chalicelib.bus import envelope as bus
from chalicelib.bus.envelope import Direction, Envelope, EnvelopeError, Fault, Header
from chalicelib.tracing import Span
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Session
from guest_agent.memory import Memory
from guest_agent.queues import Queues

REPORT_LIFE_SECONDS: Final = 14 * 86400.0  # SQS keeps a message no longer
HEARTBEAT_LIFE_SECONDS: Final = 300.0


class NewerKey(EnvelopeError):
    """Sealed with a key version that this guest was not given yet: a rotation, or a forgery."""

    def __init__(self, version: int) -> None:
        super().__init__(f"key version {version} is not known")
        self.version = version


class Outbox:
    """Knows the session's keys and the (epoch, seq) of everything that leaves."""

    def __init__(self, queues: Queues, clock: ServiceClock, memory: Memory | None = None) -> None:
        self._queues = queues
        self._clock = clock
        self._memory = memory or Memory()

    def adopt(self, session: Session) -> None:
        """Use the keys and the epoch of this session from now on."""
        self._memory.adopt(session)
        self._queues.adopt(session)

    def open(self, body: str) -> Envelope:
        """The command in a message; an `EnvelopeError` when it cannot be trusted."""
        return bus.open_sealed(body, Direction.TO_GUEST, self._key_of)

    def result(
        self,
        command: Envelope,
        result: dict[str, Any] | None,
        fault: Fault | None,
        work: Span | None,
    ) -> None:
        """Send the answer of a command; its size is the dispatcher's to bound.

        `work` is what was done for it, if it was now.
        """
        self._queues.report(self._sealed("result", command, result, fault, work))

    def progress(
        self, command: Envelope, stage: str, work: Span | None, again_seconds: float
    ) -> None:
        """Tell how far a command is, and that it is told again within so long."""
        told = {"stage": stage, "again_seconds": again_seconds}
        self._queues.report(self._sealed("progress", command, told, None, work))

    def root_enabled(self, command: Envelope) -> None:
        """Report that the superuser's login was enabled by a command."""
        self._queues.report(self._sealed("root", command, {}, None))

    def event(self, kind: str, text: str) -> None:
        """Report what happened to the datastore: a status, or another kind, and why."""
        session = self._current
        report = self._new("event", aws.new_id(), session, REPORT_LIFE_SECONDS)
        report.result = {"kind": kind, "text": text}
        self._queues.report(self._seal(report, session))

    def heartbeat(self, state: dict[str, Any]) -> None:
        """Send the guest's state."""
        session = self._current
        beat = self._new("heartbeat", aws.new_id(), session, HEARTBEAT_LIFE_SECONDS)
        beat.result = state
        self._queues.beat(self._seal(beat, session))

    def _sealed(
        self,
        kind: str,
        command: Envelope,
        result: dict[str, Any] | None,
        fault: Fault | None,
        work: Span | None = None,
    ) -> str:
        session = self._current
        report = self._new(kind, command.id, session, REPORT_LIFE_SECONDS)
        report.method = command.method
        report.result = result
        report.error = fault
        if work is not None:
            report.traceparent, report.took_ms = str(work.trace), work.took_ms
        return self._seal(report, session)

    def _new(self, kind: str, message_id: str, session: Session, life: float) -> Envelope:
        now = self._clock.now()
        return Envelope(
            id=message_id,
            instance_id=session.instance_id,
            generation=session.generation,
            epoch=session.epoch,
            seq=next(self._memory.sequence),
            kind=kind,
            issued_at=now,
            expires_at=now + life,
            key_version=session.key_version,
        )

    @staticmethod
    def _seal(report: Envelope, session: Session) -> str:
        return bus.seal(report, Direction.TO_CONTROL, base64.b64decode(session.keys.to_control))

    def _key_of(self, header: Header) -> bytes:
        key = self._memory.key_to_guest(header.key_version)
        if key is not None:
            return base64.b64decode(key)
        newest = max(self._current.key_version, *self._current.other_keys, 0)
        if newest < header.key_version <= newest + bus.MOST_AHEAD:
            raise NewerKey(header.key_version)
        raise bus.BadSeal(f"key version {header.key_version} is not known")

    @property
    def _current(self) -> Session:
        session = self._memory.session
        assert session is not None, "the outbox is used before the guest has enrolled"
        return session
