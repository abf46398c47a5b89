"""A call to an object store, made again as long as that helps, on a grant that is asked for anew.

    2xx                          done
    no answer, too often, 5xx,   again after a pause, until `PATIENCE_SECONDS` are over
      a body that came broken
    denied, expired              once with a new grant
    anything else                the end

An object is put whole or not at all, so that putting it again after a lost answer changes nothing.
What an answer means is the store's own (`judged`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from urllib3.exceptions import HTTPError

from chalicelib import aws
from guest_agent import http
from guest_agent.backups.grant import Lent
from guest_agent.backups.store import PATIENCE_SECONDS, Cancelled, StoreFailed
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply, delay_before

ATTEMPT_SECONDS: Final = 120.0
"""For one part in one direction: 140 KiB a second are too slow."""
RENEW_BEFORE_SECONDS: Final = 2 * ATTEMPT_SECONDS
"""A grant with less life left is not begun with."""
_LARGE: Final = http.pools(64 * 1024**2 + 1024**2)
"""The most of an answer, with its headers: a manifest may be larger than any part."""


class Send(Protocol):
    """One request; None when no whole answer came."""

    def __call__(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None: ...


class HttpSend:
    """`Send` by HTTP, on connections that are kept."""

    def __init__(self) -> None:
        self._http = http.Http(_LARGE, ATTEMPT_SECONDS)

    def __call__(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        try:
            return self._http.ask(method, url, body, headers, ATTEMPT_SECONDS)
        except HTTPError:
            return None


class Then(Enum):
    """What to do about an answer."""

    DONE = auto()
    AGAIN = auto()
    RENEW = auto()
    END = auto()


class Call(NamedTuple):
    """What is asked of the store; `sha256` is that of the body."""

    method: str
    key: str
    body: bytes
    sha256: str


G = TypeVar("G", bound=Lent)


class Calls(ABC, Generic[G]):
    """The calls of one backup; `ask` gets a newer grant."""

    def __init__(
        self,
        ask: Callable[[], G],
        clock: ServiceClock,
        stop: aws.Event,
        send: Send,
        grant: G | None = None,
    ) -> None:
        self._ask, self._clock, self._stop, self._send = ask, clock, stop, send
        self._lock = aws.lock()  # a part is under way beside the one who asks for the next
        self._grant = grant if grant is not None else ask()

    @abstractmethod
    def request(self, grant: G, call: Call) -> tuple[str, dict[str, str]]:
        """The URL and the headers."""

    @abstractmethod
    def judged(self, reply: Reply) -> tuple[Then, str]:
        """What to do about an answer, and what it was, as the end of a sentence about the store."""

    def data_key(self, backup_id: str) -> bytes:
        """See `guest_agent.backups.store.Store`."""
        return self._grant.key_of(backup_id)

    def perform(self, call: Call) -> bytes:
        """The answer's body; raises `StoreFailed`."""
        until, attempt, renewed = aws.monotonic() + PATIENCE_SECONDS, 0, False
        while True:
            grant = self.current()
            reply = self._once(grant, call)
            then, said = (Then.AGAIN, "did not answer") if reply is None else self.judged(reply)
            if then is Then.DONE and reply is not None:
                return reply.body
            pause = delay_before(attempt)
            if then is Then.END or (then is Then.RENEW and renewed):
                raise StoreFailed(f"the object store {said} to {call.method} of {call.key}")
            if aws.monotonic() + pause >= until:
                raise StoreFailed(
                    f"the object store did not take or give {call.key} within "
                    f"{PATIENCE_SECONDS:.0f} s: it {said}"
                )
            if then is Then.RENEW:
                renewed = True
                self._renew(grant)
            attempt += 1
            if aws.wait(self._stop, pause):
                raise Cancelled("the backup was cancelled")

    def current(self) -> G:
        """The grant, a new one when this one is about to expire."""
        if self._stop.is_set():
            raise Cancelled("the backup was cancelled")
        grant = self._grant
        left = grant.ends_at - self._clock.now()
        return grant if left > RENEW_BEFORE_SECONDS else self._renew(grant)

    def renew(self) -> G:
        """Another grant from now on."""
        return self._renew(self._grant)

    def _renew(self, used: G) -> G:
        """Ask for another one, unless somebody has done so since that one was used."""
        with self._lock:
            if self._grant is used:
                self._grant = self._ask()
            return self._grant

    def _once(self, grant: G, call: Call) -> Reply | None:
        url, headers = self.request(grant, call)
        asked = aws.clock()
        body = call.body if call.method == "PUT" else None
        reply = self._send(call.method, url, body, headers)
        if reply is not None:
            self._clock.observe(reply.date, asked, aws.clock())
        return reply
