"""The guest's way to a container: in attempts that are told first, whatever Swift answers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent.backups import opening, store, writer
from guest_agent.backups.calls import RENEW_BEFORE_SECONDS
from guest_agent.backups.reader import Reader
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.store import Cancelled, Store, StoreFailed
from guest_agent.backups.swift import SwiftStore
from guest_agent.backups.writer import Writer
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply
from guest_agent.errors import Retired
from tests.guest_agent.backups.objects import ONE, Instant, Lender, Objects

URL = "https://swift/v1/AUTH_x/nightly%20backups"
LOCATION = f"tenant/{ONE}/{ONE}"
DATA_KEY = base64.b64encode(bytes(32)).decode()
LENT_SECONDS = 420


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instant]:
    monkeypatch.setattr(writer, "PART_BYTES", 4096)
    made = Instant()
    previous = aws.install(made)
    yield made
    aws.install(previous)


class Swift:
    """A container and the control plane that lends it. `faults` are answers in place of its own."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.faults: list[int | None] = []
        self.asked: list[str | None] = []
        self.requests: list[str] = []
        self.writes = True
        self.over = False

    def lend(self, backup_id: str, attempt: str | None = None) -> bytes:
        if self.over:
            raise Retired("over")
        self.asked.append(attempt)
        prefix = f"{LOCATION}/{attempt}/" if self.writes else f"tenant/{ONE}/"
        lends = attempt is not None or not self.writes
        lent = {
            "url": URL,
            "prefix": prefix if lends else "",
            "signatures": {"PUT" if self.writes else "GET": f"{len(self.asked)}"} if lends else {},
            "expires_at": int(aws.clock() + LENT_SECONDS) if lends else 0,
        }
        newest = next((each for each in reversed(self.asked) if each), "")
        return msgspec.json.encode(
            {
                "writes": self.writes,
                "keys": {backup_id: DATA_KEY},
                "bucket": None,
                "container": lent,
                "attempts": {} if self.writes else {ONE: newest},
            }
        )

    def __call__(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        address = urlsplit(url)
        key = unquote(address.path).partition("/nightly backups/")[2]
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        self.requests.append(f"{method} {key.rpartition('/')[2]}")
        fault = self.faults.pop(0) if self.faults else None
        if fault == 0:
            return None
        if fault is not None:
            return Reply(fault, b"")
        if not query["temp_url_sig"] or not key.startswith(query["temp_url_prefix"]):
            return Reply(401, b"")
        assert int(query["temp_url_expires"]) >= aws.clock()
        if body is not None:
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
            assert headers["ETag"] == digest
            self.held[key] = body
            return Reply(201, b"")
        found = self.held.get(key)
        return Reply(404, b"") if found is None else Reply(200, found)

    def open(self, stop: aws.Event | None = None) -> Store:
        return opening.opener(self.lend, ServiceClock(), self)(ONE, stop or aws.event())


@pytest.fixture
def swift() -> Swift:
    return Swift()


def noise(number: int) -> bytes:
    return b"".join(hashlib.sha256(b"%d %d" % (number, n)).digest() for n in range(5000))


CHUNKS = [noise(number) for number in range(3)]


def write(swift: Swift) -> BackedUp:
    swift.writes = True
    made = Writer(swift.open(), ONE, LOCATION, lambda _: None)
    made.write(CHUNKS)
    return made.finish(engine_version="10.11", position="42")


def read(swift: Swift, told: BackedUp) -> bytes:
    swift.writes = False
    backup = StoredBackup(ONE, LOCATION, told.checksum)
    return b"".join(Reader(swift.open(), backup, lambda _: None).chunks())


def test_each_attempt_is_told_before_anything_is_sent_and_has_a_manifest_of_its_own(
    swift: Swift,
) -> None:
    for number in (1, 2):
        told = write(swift)
        assert read(swift, told) == b"".join(CHUNKS)
        attempts = {each for each in swift.asked if each}
        assert len(attempts) == number
        folders = {key.removeprefix(f"{LOCATION}/").partition("/")[0] for key in swift.held}
        assert folders == attempts
        manifests = [key for key in swift.held if key.endswith("/manifest")]
        assert len(manifests) == number
    assert swift.asked[0] is None


@pytest.mark.parametrize("fault", [0, 401, 403, 408, 422, 429, 498, 499, 500, 503])
def test_each_request_may_fail_once(swift: Swift, fault: int) -> None:
    for place in range(5):
        swift.faults = [*[None] * place, fault]
        assert read(swift, write(swift)) == b"".join(CHUNKS)
        assert not swift.faults


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([401, 401], r"refused the deployment's key \(401\), as where the container was deleted"),
        ([403, 403], "its key changed, to PUT of"),
        ([413], "answered 413, that a quota or its room is used up"),
        ([507], "answered 507, that a quota or its room is used up"),
        ([404], "answered 404 to PUT"),
        ([400], "answered 400 to PUT"),
    ],
)
def test_what_does_not_help_to_ask_again_is_told(
    swift: Swift, faults: list[int | None], said: str
) -> None:
    swift.faults = faults
    with pytest.raises(StoreFailed, match=said):
        write(swift)
    assert not [key for key in swift.held if key.endswith("/manifest")]


def test_a_store_that_is_away_is_not_waited_for_for_ever(swift: Swift, instant: Instant) -> None:
    swift.faults = [503] * 10_000
    began = instant.now
    with pytest.raises(StoreFailed, match=r"did not take or give .* answered 503"):
        write(swift)
    assert instant.now - began <= store.PATIENCE_SECONDS


def test_urls_are_asked_for_again_before_they_end(swift: Swift, instant: Instant) -> None:
    def slowly() -> Iterator[bytes]:
        for number in range(4):
            instant.now += LENT_SECONDS - RENEW_BEFORE_SECONDS + 1
            yield noise(number)

    made = Writer(swift.open(), ONE, LOCATION, lambda _: None)
    made.write(slowly())
    assert len([each for each in swift.asked if each]) == 3, "not for the last part, sent at once"
    assert len(set(swift.asked)) == 2, "all of one attempt"


def test_it_ends_when_nobody_wants_it_any_more(swift: Swift) -> None:
    made = Writer(swift.open(), ONE, LOCATION, lambda _: None)
    swift.over = True
    with pytest.raises(Cancelled):
        made.write(CHUNKS)
    assert swift.held == {}


def test_a_backup_whose_attempt_is_not_known_cannot_be_read(swift: Swift) -> None:
    told = write(swift)
    swift.writes = False
    opened = swift.open()
    with pytest.raises(StoreFailed, match="does not know where the backup 0 lies"):
        opened.get(f"tenant/{ONE}/0/manifest.{told.checksum}", 10)
    swift.asked.append("another")
    with pytest.raises(StoreFailed, match="answered 404"):
        read(swift, told)


def test_what_is_lent_says_which_store_it_is(swift: Swift) -> None:
    in_bucket = msgspec.json.encode(Lender(Objects()).ask())
    lent: list[Any] = [in_bucket]

    def lend(backup_id: str, attempt: str | None = None) -> bytes:
        return lent.pop(0) if lent else swift.lend(backup_id, attempt)

    first = opening.opener(lend, ServiceClock(), swift)(ONE, aws.event())
    assert isinstance(first, S3Store)
    with pytest.raises(StoreFailed, match="another store than before"):
        first.renew()
    second = opening.opener(lend, ServiceClock(), swift)(ONE, aws.event())
    assert isinstance(second, SwiftStore)
    lent.append(in_bucket)
    with pytest.raises(StoreFailed, match="another store than before"):
        second.renew()
    assert DATA_KEY not in repr(second.renew())
