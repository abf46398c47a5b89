"""`Store` on S3's own protocol, signed with credentials that are lent anew while they are needed.

    2xx                          done
    no answer, 429, 5xx,         again after a pause, until `PATIENCE_SECONDS` are over
      a body that came broken
    401, 403, expired            once with new credentials
    anything else                the end

An object is put whole or not at all, so that putting it again after a lost answer changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from chalicelib import aws, crash
from guest_agent import http, sigv4
from guest_agent.backups.grant import Grant, obtain
from guest_agent.backups.store import (
    PATIENCE_SECONDS,
    Cancelled,
    OpenStore,
    StoreFailed,
)
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply, delay_before

ATTEMPT_SECONDS: Final = 120.0
"""For one part in one direction: 140 KiB a second are too slow."""
RENEW_BEFORE_SECONDS: Final = 2 * ATTEMPT_SECONDS
"""Credentials with less life left are not begun with."""
_LARGE: Final = http.pools(64 * 1024**2 + 1024**2)
"""The most of an answer, with its headers: a manifest may be larger than any part."""
_DONE: Final = frozenset({200, 201, 204})
_DENIED: Final = frozenset({401, 403})
_TOO_OFTEN: Final = 429
_BROKEN: Final = 500
_EXPIRED: Final = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_BROKEN_ON_THE_WAY: Final = frozenset(
    {"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"}
)
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_NO_BODY: Final = hashlib.sha256(b"").hexdigest()


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


class _Then(Enum):
    DONE = auto()
    AGAIN = auto()
    RENEW = auto()
    END = auto()


class _Call(NamedTuple):
    method: str
    key: str
    body: bytes
    sha256: str


class S3Store:
    """The objects that one grant is for; `ask` gets a newer one."""

    def __init__(
        self, ask: Callable[[], Grant], clock: ServiceClock, stop: aws.Event, send: Send
    ) -> None:
        self._ask, self._clock, self._stop, self._send = ask, clock, stop, send
        self._lock = aws.lock()  # a part is under way beside the one who asks for the next
        self._grant = ask()

    def put(self, key: str, body: bytes, sha256: str) -> None:
        self._call(_Call("PUT", key, body, sha256))
        crash.effect("PutObject")

    def get(self, key: str, most: int) -> bytes:
        found = self._call(_Call("GET", key, b"", _NO_BODY))
        if len(found) > most:
            raise StoreFailed(f"the object {key} has more than {most} bytes")
        return found

    def data_key(self, backup_id: str) -> bytes:
        return self._grant.key_of(backup_id)

    def _call(self, call: _Call) -> bytes:
        until, attempt, renewed = aws.monotonic() + PATIENCE_SECONDS, 0, False
        while True:
            grant = self._current()
            reply = self._once(grant, call)
            then, said = _judged(reply)
            if then is _Then.DONE and reply is not None:
                return reply.body
            pause = delay_before(attempt)
            if then is _Then.END or (then is _Then.RENEW and renewed):
                raise StoreFailed(f"the object store {said} to {call.method} of {call.key}")
            if aws.monotonic() + pause >= until:
                raise StoreFailed(
                    f"the object store did not take or give {call.key} within "
                    f"{PATIENCE_SECONDS:.0f} s: it {said}"
                )
            if then is _Then.RENEW:
                renewed = True
                self._renew(grant)
            attempt += 1
            if aws.wait(self._stop, pause):
                raise Cancelled("the backup was cancelled")

    def _current(self) -> Grant:
        """The grant, a new one when this one is about to expire."""
        if self._stop.is_set():
            raise Cancelled("the backup was cancelled")
        grant = self._grant
        left = grant.credentials.expires_at.timestamp() - self._clock.now()
        return grant if left > RENEW_BEFORE_SECONDS else self._renew(grant)

    def _renew(self, used: Grant) -> Grant:
        """Ask for another one, unless somebody has done so since that one was used."""
        with self._lock:
            if self._grant is used:
                self._grant = self._ask()
            return self._grant

    def _once(self, grant: Grant, call: _Call) -> Reply | None:
        base, path = place(grant, call.key)
        headers = sigv4.signed(
            {"Host": urlsplit(base).netloc, sigv4.CONTENT_SHA256: call.sha256},
            call.body,
            credentials=grant.credentials,
            region=grant.region,
            service="s3",
            now=self._clock.now(),
            method=call.method,
            path=path,
        )
        asked = aws.clock()
        body = call.body if call.method == "PUT" else None
        reply = self._send(call.method, f"{base}{path}", body, headers)
        if reply is not None:
            self._clock.observe(reply.date, asked, aws.clock())
        return reply


def place(grant: Grant, key: str) -> tuple[str, str]:
    """Scheme and host, and the path of an object: by path at an endpoint, else by the host."""
    if grant.endpoint:
        return grant.endpoint.rstrip("/"), f"/{grant.bucket}/{key}"
    return f"https://{grant.bucket}.s3.{grant.region}.amazonaws.com", f"/{key}"


def _judged(reply: Reply | None) -> tuple[_Then, str]:
    """What to do about an answer, and what it was, as the end of a sentence about the store."""
    if reply is None:
        return _Then.AGAIN, "did not answer"
    if reply.status in _DONE:
        return _Then.DONE, "answered"
    found = _CODE.search(reply.body)
    code = found[1].decode() if found else ""
    said = f"answered {reply.status} {code}".rstrip()
    if reply.status in _DENIED or code in _EXPIRED:
        return _Then.RENEW, said
    busy = reply.status == _TOO_OFTEN or reply.status >= _BROKEN
    if busy or code in _BROKEN_ON_THE_WAY:
        return _Then.AGAIN, said
    return _Then.END, said


def opener(ask: Callable[[str], bytes], clock: ServiceClock) -> OpenStore:
    """What opens S3 for a backup; `ask` is `Enrolment.storage`."""

    def open_store(backup_id: str, stop: aws.Event) -> S3Store:
        return S3Store(lambda: obtain(ask, backup_id, stop), clock, stop, HttpSend())

    return open_store
