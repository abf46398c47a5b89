"""S3 in memory behind the guest's own client, which can be told what goes wrong; virtual time."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from chalicelib import aws
from guest_agent.backups.grant import Grant
from guest_agent.backups.s3 import S3Store
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Credentials, Reply
from tests.guest_agent.fakes import DoneTask, World

BUCKET: Final = "backups"


class VirtualEvent:
    """One that passes the time of whoever waits for what is not set."""

    def __init__(self, world: World) -> None:
        self._world, self._set = world, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._world.sleep(timeout or 0.0)
        return self._set


class Instant(World):
    """Virtual time in which what is begun beside has ended at once."""

    def spawn(self, function: Callable[[], None], name: str) -> aws.Task:
        function()
        return DoneTask()

    def event(self) -> aws.Event:
        return VirtualEvent(self)


def refusal(status: int, code: str) -> Reply:
    return Reply(status, f"<Error><Code>{code}</Code></Error>".encode())


SLOW: Final = refusal(503, "SlowDown")
EXPIRED: Final = refusal(400, "ExpiredToken")
FORBIDDEN: Final = refusal(403, "AccessDenied")


class Objects:
    """A bucket. `faults` are what becomes of the next requests: an answer in place of theirs,
    "cut" (nothing arrives) or "lost" (the effect is there, its answer is not)."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.faults: list[Reply | str | None] = []
        self.broken_until = 0.0
        self.most_at_once = 0
        self.requests: list[tuple[str, str]] = []
        self.good = "access-1"

    def __call__(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        key = urlsplit(url).path.removeprefix(f"/{BUCKET}/")
        self.requests.append((method, key))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Reply):
            return fault
        if fault == "cut":
            return None
        if aws.clock() < self.broken_until:
            return SLOW
        found = re.search(r"Credential=([^/]+)/", headers["Authorization"])
        if found is None or found[1] != self.good:
            return EXPIRED
        reply = self._put(key, body, headers) if body is not None else self._get(key)
        return None if fault == "lost" else reply

    def _put(self, key: str, body: bytes, headers: dict[str, str]) -> Reply:
        if hashlib.sha256(body).hexdigest() != headers["X-Amz-Content-Sha256"]:
            return refusal(400, "XAmzContentSHA256Mismatch")
        self.held[key] = body
        return Reply(200, b"")

    def _get(self, key: str) -> Reply:
        found = self.held.get(key)
        return refusal(404, "NoSuchKey") if found is None else Reply(200, found)


class Lender:
    """Lends grants for backups; `keys` are theirs, and each grant's credentials last an hour."""

    def __init__(self, objects: Objects, seconds: float = 3600.0) -> None:
        self.objects, self.seconds = objects, seconds
        self.backups: tuple[str, ...] = (ONE, OTHER)
        self.lent = 0
        self.over: Exception | None = None

    def ask(self) -> Grant:
        if self.over is not None:
            raise self.over
        self.lent += 1
        self.objects.good = f"access-{self.lent}"
        expires = datetime.fromtimestamp(aws.clock(), UTC) + timedelta(seconds=self.seconds)
        return Grant(
            bucket=BUCKET,
            region="us-east-1",
            endpoint="http://store",
            writes=True,
            credentials=Credentials(self.objects.good, "secret", "token", expires),
            keys={
                each: base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
                for each in self.backups
            },
        )

    def store(self, stop: aws.Event | None = None) -> S3Store:
        return S3Store(self.ask, ServiceClock(), stop or aws.event(), self.objects)


ONE: Final = "11111111-1111-4111-8111-111111111111"
OTHER: Final = "22222222-2222-4222-8222-222222222222"
