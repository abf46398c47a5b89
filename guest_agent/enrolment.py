"""Enrolment and renewal over HTTPS: from a token and a key pair to message keys and credentials."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from chalicelib import aws
from chalicelib.bus import proofs
from chalicelib.bus.contract.arguments import Archive
from guest_agent.clock import ServiceClock
from guest_agent.config import GuestConfig
from guest_agent.errors import Retired, Unauthorized, Unreachable
from guest_agent.identity import Identity

FIRST_DELAY_SECONDS: Final = 0.25
LONGEST_DELAY_SECONDS: Final = 30.0
LONGEST_RETRY_AFTER_SECONDS: Final = 60.0
"""What any rate of the control plane may ask for: all of them are of a minute."""
ATTEMPTS: Final = 120  # about an hour; then the supervisor starts the agent afresh

_log = logging.getLogger(__name__)


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer: status, body, and the headers Date and Retry-After."""

    status: int
    body: bytes
    date: str | None = None
    retry_after: str | None = None


class Post(Protocol):
    """Sends a JSON document by POST; `Unreachable` when no answer came."""

    def __call__(self, url: str, document: dict[str, Any]) -> Reply: ...


class Keys(msgspec.Struct, frozen=True):
    """The message keys of both directions, base64."""

    to_guest: str
    to_control: str


class Credentials(msgspec.Struct, frozen=True):
    """Short-lived AWS credentials."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime


class Queues(msgspec.Struct, frozen=True):
    """Queue URLs."""

    guest: str
    conductor: str
    heartbeats: str


class Session(msgspec.Struct, frozen=True):
    """What the control plane answers to an enrolment or a renewal.

    `other_keys` open commands of other key versions than the present one (base64, by version).
    `archive` is where the log is to be sent; a control plane that knows no archives does not say.
    """

    instance_id: str
    generation: int
    epoch: int
    key_version: int
    keys: Keys
    credentials: Credentials
    queues: Queues
    heartbeat_seconds: float = 30.0
    other_keys: dict[int, str] = {}
    archive: Archive | msgspec.UnsetType | None = msgspec.UNSET

    def __repr__(self) -> str:
        return f"Session(instance_id={self.instance_id!r}, epoch={self.epoch})"


def delay_before(attempt: int) -> float:
    """Seconds to wait before the next attempt: doubling, bounded, with jitter."""
    longest = min(FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 16), LONGEST_DELAY_SECONDS)
    return longest * (0.5 + aws.random() / 2)


def delay_after(error: Unreachable, attempt: int) -> float:
    """The same after an error: behind what the answer has asked for."""
    return error.retry_after_seconds + delay_before(attempt)


def _told_to_wait(reply: Reply) -> float:
    """The seconds of a Retry-After, bounded; 0 without one, or for one that is a date."""
    told = reply.retry_after or ""
    return min(float(told), LONGEST_RETRY_AFTER_SECONDS) if told.isdecimal() else 0.0


class Enrolment:
    """Talks to `{control_url}/guest/v1`."""

    def __init__(
        self, config: GuestConfig, identity: Identity, post: Post, clock: ServiceClock
    ) -> None:
        self._config = config
        self._identity = identity
        self._post = post
        self._clock = clock

    def begin(self) -> Session:
        """A session with a new epoch, however long the control plane takes to answer (bounded).

        Raises `Retired` when this guest has no place any more, `Unreachable` past the bound.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self._begin()
            except Unreachable as error:
                delay = delay_after(error, attempt)
                _log.warning("Not enrolled: %s Trying again in %.1f s.", error, delay)
                aws.sleep(delay)
        raise Unreachable(f"The control plane did not answer in {ATTEMPTS} attempts.")

    def _begin(self) -> Session:
        """Enrol once and renew ever after; each falls back to the other when it is not accepted.

        A crash between the control plane's record and ours leaves "enrolled there, not here", which
        the same token and key repair, or, when it is too late for the token, a renewal.
        """
        ways: list[Callable[[], Session]] = [self._enrol, lambda: self.renew(start=True)]
        if self._identity.enrolled_generation() == self._config.agent.generation:
            ways.reverse()
        verdict = "The control plane accepts neither the enrolment token nor this guest's key."
        for way in ways:
            try:
                session = way()
            except Unauthorized:
                continue
            except Retired as reason:
                verdict = str(reason)
                continue
            return session
        raise Retired(verdict)

    def _enrol(self) -> Session:
        token, server_id = self._config.agent.enrolment_token, self._config.server_id
        public_key = base64.b64encode(self._identity.public_key).decode()
        issued = self._next_issue()
        text = proofs.of_enrolment(token, public_key, server_id, issued)
        return self._ask(
            "enrol",
            {
                "token": token,
                "public_key": public_key,
                "server_id": server_id,
                "issued_at_ms": issued,
                "signature": self._signature(text),
            },
        )

    def renew(self, *, start: bool) -> Session:
        """Fresh keys and credentials for the enrolled key; `start` asks for a new epoch."""
        agent = self._config.agent
        issued = self._next_issue()
        text = proofs.of_renewal(agent.instance_id, agent.generation, issued, start)
        return self._ask(
            "renew",
            {
                "instance_id": agent.instance_id,
                "generation": agent.generation,
                "issued_at_ms": issued,
                "start": start,
                "signature": self._signature(text),
            },
        )

    def storage(self, backup_id: str, attempt: str | None = None) -> bytes:
        """What the control plane lends for a backup, as JSON (`backups.grant`).

        `attempt` is the one that it is written in, where that is to be known there. Raises
        `Retired` when no operation of this instance needs that backup now.
        """
        agent = self._config.agent
        issued = self._next_issue()
        text = proofs.of_storage(agent.instance_id, agent.generation, issued, backup_id, attempt)
        asked = {"backup_id": backup_id}
        if attempt is not None:
            asked["attempt"] = attempt
        return self._lent("storage", issued, text, asked)

    def pieces(self, archive_id: str, behind: str) -> bytes:
        """Which pieces of an archive lie behind a name, as JSON (`backups.replaying`).

        Raises `Retired` when this instance is not restored from it now.
        """
        agent = self._config.agent
        issued = self._next_issue()
        text = proofs.of_pieces(agent.instance_id, agent.generation, issued, archive_id, behind)
        return self._lent("pieces", issued, text, {"archive_id": archive_id, "behind": behind})

    def _lent(self, call: str, issued: int, text: bytes, asked: dict[str, Any]) -> bytes:
        agent = self._config.agent
        lent = self._answer(
            call,
            {
                "instance_id": agent.instance_id,
                "generation": agent.generation,
                "issued_at_ms": issued,
                **asked,
                "signature": self._signature(text),
            },
        )
        self._identity.remember_accepted(agent.generation, issued)
        return lent

    def _next_issue(self) -> int:
        """A time that strictly grows, so that a recorded request cannot be repeated."""
        return self._identity.next_issue(int(self._clock.now() * 1000))

    def _signature(self, text: bytes) -> str:
        return base64.b64encode(self._identity.sign(text)).decode()

    def _ask(self, call: str, document: dict[str, Any]) -> Session:
        session = self._session(self._answer(call, document))
        self._identity.remember_accepted(session.generation, document["issued_at_ms"])
        return session

    def _answer(self, call: str, document: dict[str, Any]) -> bytes:
        """The body of the answer of a request that was accepted."""
        asked = aws.clock()
        reply = self._post(f"{self._config.agent.control_url}/guest/v1/{call}", document)
        self._clock.observe(reply.date, asked, aws.clock())
        match reply.status:
            case 200:
                return reply.body
            case 401:
                raise Unauthorized(f"The control plane did not accept the {call} request.")
            case 409 if call == "enrol":
                raise Retired("Another server or key has enrolled in this guest's place.")
            case 400:  # its clock was off, or it was seen before: the next one is newer
                raise Unreachable("The control plane did not take the time of the request.")
            case 410:
                raise Retired("This generation is superseded or the instance is gone.")
            case status:
                raise Unreachable(
                    f"The control plane answered {status} to {call}.", _told_to_wait(reply)
                )

    def _session(self, body: bytes) -> Session:
        try:
            session = msgspec.json.decode(body, type=Session)
        except msgspec.DecodeError as error:
            raise Unreachable(f"The control plane's answer cannot be read: {error}.") from None
        agent = self._config.agent
        if (session.instance_id, session.generation) != (agent.instance_id, agent.generation):
            raise Unreachable("The control plane's answer is for another guest.")
        return session
