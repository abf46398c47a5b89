"""What is written is read again, whatever the store does; anything else is told from it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import aws
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.arguments import StoredBackup
from chalicelib.bus.contract.manifest import Manifest, key_of
from guest_agent.backups import s3, store, writer
from guest_agent.backups.reader import CHUNK_BYTES, Reader
from guest_agent.backups.store import Cancelled, Damaged, StoreFailed
from guest_agent.backups.writer import Writer
from guest_agent.enrolment import Reply
from guest_agent.errors import BadRequest
from tests.guest_agent.backups.objects import (
    EXPIRED,
    FORBIDDEN,
    ONE,
    OTHER,
    SLOW,
    Instant,
    Lender,
    Objects,
    VirtualEvent,
    refusal,
)
from tests.support import damage

SMALL_PART = 4096
MORE = 140_000
"""Noise of more bytes than zstd keeps to itself for a block, and so one part or more."""
WHERE = {ONE: f"tenant/chain/{ONE}", OTHER: f"tenant/chain/{OTHER}"}


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instant]:
    monkeypatch.setattr(writer, "PART_BYTES", SMALL_PART)
    made = Instant()
    previous = aws.install(made)
    yield made
    aws.install(previous)


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def lender(objects: Objects) -> Lender:
    return Lender(objects)


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that no compression makes fewer."""
    blocks = (hashlib.sha256(b"%d %d" % (seed, each)).digest() for each in itertools.count())
    return b"".join(itertools.islice(blocks, size // 32 + 1))[:size]


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def silent(_: str) -> None:
    return None


def write(lender: Lender, chunks: list[bytes], backup: str = ONE, bandwidth: int = 0) -> BackedUp:
    made = Writer(lender.store(), backup, WHERE[backup], silent, bandwidth)
    made.write(chunks)
    return made.finish(engine_version="10.11", position="42")


def stored(told: BackedUp, backup: str = ONE) -> StoredBackup:
    return StoredBackup(backup, WHERE[backup], told.checksum)


def read(lender: Lender, backup: StoredBackup) -> bytes:
    return b"".join(Reader(lender.store(), backup, silent).chunks())


def manifest_of(objects: Objects, backup: str = ONE) -> Manifest:
    return msgspec.json.decode(objects.held[manifest_key(objects, backup)], type=Manifest)


def manifest_key(objects: Objects, backup: str = ONE) -> str:
    """Of the backup's only manifest."""
    start = f"{WHERE[backup]}/manifest."
    (found,) = (key for key in objects.held if key.startswith(start))
    return found


@settings(max_examples=30, deadline=None, database=None)
@given(st.lists(st.sampled_from([0, 1, 5000, MORE]), max_size=6))
def test_what_is_written_is_read_again(sizes: list[int]) -> None:
    objects, chunks = Objects(), [noise(size, seed) for seed, size in enumerate(sizes)]
    lender = Lender(objects)
    told = write(lender, chunks)
    assert read(lender, stored(told)) == b"".join(chunks)
    manifest = manifest_of(objects)
    assert told.data_size == manifest.data_size == len(b"".join(chunks))
    parts = {key: body for key, body in objects.held.items() if "/manifest." not in key}
    assert told.size == sum(map(len, parts.values())), "no part is there that is not named"
    assert (told.position, manifest.position, manifest.engine_version) == ("42", "42", "10.11")


def test_much_of_the_same_is_given_in_small_pieces(lender: Lender, objects: Objects) -> None:
    """A part of some KiB that stands for gigabytes of zeros must not be in memory as a whole."""
    told = write(lender, [bytes(CHUNK_BYTES)] * 40)
    assert len(manifest_of(objects).parts) == 1
    pieces = list(Reader(lender.store(), stored(told), silent).chunks())
    assert max(map(len, pieces)) <= CHUNK_BYTES
    assert sum(map(len, pieces)) == 40 * CHUNK_BYTES


def test_what_is_in_the_store_tells_nothing_of_the_data(lender: Lender, objects: Objects) -> None:
    write(lender, [b"a secret of the customer " * 100])
    assert not any(b"secret" in body for body in objects.held.values())


@pytest.mark.parametrize("fault", [SLOW, "cut", "lost", refusal(400, "RequestTimeout"), EXPIRED])
def test_each_request_may_fail_once(lender: Lender, objects: Objects, fault: Reply | str) -> None:
    """Each of them in turn, of the writing and of the reading."""
    chunks = [noise(MORE, seed) for seed in range(3)]
    for place in range(8):
        objects.faults = [*[None] * place, fault]
        told = write(lender, chunks)
        assert read(lender, stored(told)) == b"".join(chunks)
        assert not objects.faults


def test_a_store_that_is_away_is_waited_for_and_not_for_ever(
    lender: Lender, objects: Objects, instant: Instant
) -> None:
    chunks = [noise(MORE)] * 3
    objects.broken_until = instant.now + 60
    assert read(lender, stored(write(lender, chunks))) == b"".join(chunks)
    objects.broken_until = instant.now + 600
    began = instant.now
    with pytest.raises(StoreFailed, match=r"did not take or give .* 503 SlowDown"):
        write(lender, chunks)
    assert instant.now - began <= store.PATIENCE_SECONDS
    assert not any("/manifest." in key for _, key in objects.requests[-3:])


def test_what_is_forbidden_is_asked_for_once_with_new_credentials(
    lender: Lender, objects: Objects
) -> None:
    objects.faults = [FORBIDDEN]
    write(lender, [b"x"])
    assert lender.lent == 2
    objects.faults = [FORBIDDEN, FORBIDDEN]
    with pytest.raises(StoreFailed, match="answered 403 AccessDenied"):
        write(lender, [b"x"])
    objects.faults = [refusal(404, "NoSuchBucket")]
    with pytest.raises(StoreFailed, match="answered 404 NoSuchBucket"):
        write(lender, [b"x"])


def test_credentials_are_asked_for_again_before_they_end(
    lender: Lender, objects: Objects, instant: Instant
) -> None:
    def slowly() -> Iterator[bytes]:
        for seed in range(5):
            instant.now += 3000
            yield noise(MORE, seed)

    made = Writer(lender.store(), ONE, WHERE[ONE], silent)
    made.write(slowly())
    assert lender.lent == 3
    assert len(objects.requests) == 5, "none of them was refused"


def test_it_ends_when_nobody_wants_it_any_more(lender: Lender, objects: Objects) -> None:
    stop = aws.event()
    made = Writer(lender.store(stop), ONE, WHERE[ONE], silent)
    stop.set()
    with pytest.raises(Cancelled):
        made.write([b"x"])
    assert not objects.held


def _other_attempt(objects: Objects, lender: Lender) -> None:
    first = manifest_of(objects)
    before = dict(objects.held)
    objects.held.clear()
    write(lender, CHUNKS)
    moved = objects.held[_part(manifest_of(objects), 1)]
    objects.held.clear()
    objects.held |= {**before, _part(first, 1): moved}


def _other_backup(objects: Objects, lender: Lender) -> None:
    write(lender, CHUNKS, OTHER)
    moved = objects.held[_part(manifest_of(objects, OTHER), 1, OTHER)]
    objects.held[_part(manifest_of(objects), 1)] = moved


def _swapped(objects: Objects, _: Lender) -> None:
    told = manifest_of(objects)
    one, other = _part(told, 0), _part(told, 1)
    objects.held[one], objects.held[other] = objects.held[other], objects.held[one]


def _changed(objects: Objects, _: Lender) -> None:
    key = _part(manifest_of(objects), 1)
    objects.held[key] = damage.changed(objects.held[key])


def _cut(objects: Objects, _: Lender) -> None:
    key = _part(manifest_of(objects), 1)
    objects.held[key] = objects.held[key][:-1]


def _gone(objects: Objects, _: Lender) -> None:
    del objects.held[_part(manifest_of(objects), 1)]


def _manifest(objects: Objects, _: Lender) -> None:
    told = manifest_of(objects)
    content = msgspec.json.encode(msgspec.structs.replace(told, parts=told.parts[:-1]))
    objects.held[manifest_key(objects)] = content


CHUNKS = [noise(MORE, seed) for seed in range(3)]


def _part(told: Manifest, number: int, backup: str = ONE) -> str:
    return f"{WHERE[backup]}/{told.attempt}/{number}"


@pytest.mark.parametrize(
    "harm", [_other_attempt, _other_backup, _swapped, _changed, _cut, _gone, _manifest]
)
def test_what_is_not_what_was_written_is_told(
    lender: Lender, objects: Objects, harm: Callable[[Objects, Lender], None]
) -> None:
    told = stored(write(lender, CHUNKS))
    harm(objects, lender)
    with pytest.raises(StoreFailed, match=r"cannot be restored: \w+|404 NoSuchKey"):
        read(lender, told)


@pytest.mark.parametrize("harm", [_other_attempt, _other_backup, _swapped, lambda *_: None])
def test_a_part_has_its_place_even_when_every_sum_is_right(
    lender: Lender, objects: Objects, harm: Callable[[Objects, Lender], None]
) -> None:
    """Whoever can write to the store, and to the row of the backup, has no key to its parts."""
    write(lender, CHUNKS)
    harm(objects, lender)
    told = manifest_of(objects)
    kept = told.parts if harm.__name__ != "<lambda>" else told.parts[:-1]  # cut off at its end
    bodies = [objects.held[_part(told, number)] for number in range(len(kept))]
    parts = [type(told.parts[0])(len(body), hashlib.sha256(body).hexdigest()) for body in bodies]
    content = msgspec.json.encode(msgspec.structs.replace(told, parts=parts))
    forged = StoredBackup(ONE, WHERE[ONE], hashlib.sha256(content).hexdigest())
    objects.held[key_of(WHERE[ONE], forged.checksum)] = content
    with pytest.raises(Damaged, match="not sealed as this part"):
        read(lender, forged)


def test_another_backups_manifest_is_told(lender: Lender, objects: Objects) -> None:
    told = write(lender, CHUNKS, OTHER)
    with pytest.raises(Damaged, match="another backup's"):
        read(lender, StoredBackup(ONE, WHERE[OTHER], told.checksum))


def test_an_attempt_that_ends_late_overwrites_nothing(lender: Lender) -> None:
    """The agent that has begun anew, and its former self that goes on."""
    former = Writer(lender.store(), ONE, WHERE[ONE], silent)
    former.write([b"as it was before"])
    told = write(lender, [b"as it is"])
    former.finish(engine_version="10.11")
    assert read(lender, stored(told)) == b"as it is"


def test_a_bandwidth_is_kept(lender: Lender, instant: Instant) -> None:
    instant.now, began = instant.now, instant.now
    told = write(lender, [noise(MORE, seed) for seed in range(20)], bandwidth=64 * 1024)
    assert instant.now - began >= (told.size - 2 * MORE) / (64 * 1024)
    with pytest.raises(BadRequest, match="at least"):
        write(lender, [b"x"], bandwidth=1)


def test_who_waits_for_the_bandwidth_hears_that_it_is_cancelled(
    lender: Lender, instant: Instant
) -> None:
    """A part with the least of it takes four minutes."""

    class HeardWithin(VirtualEvent):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return super().wait(timeout)

    stop = HeardWithin(instant)
    made = Writer(lender.store(), ONE, WHERE[ONE], silent, writer.LEAST_BANDWIDTH, stop)
    began = instant.now
    with pytest.raises(Cancelled):
        made.write([noise(MORE, seed) for seed in range(20)])
    assert instant.now == began


def test_a_part_that_stands_for_more_than_was_written_is_not_unpacked_to_its_end(
    lender: Lender, objects: Objects
) -> None:
    """As of a guest that was broken into, whose key it is sealed with."""
    write(lender, [bytes(CHUNK_BYTES)] * 40)
    told = msgspec.structs.replace(manifest_of(objects), data_size=3 * CHUNK_BYTES)
    content = msgspec.json.encode(told)
    forged = StoredBackup(ONE, WHERE[ONE], hashlib.sha256(content).hexdigest())
    objects.held[key_of(WHERE[ONE], forged.checksum)] = content
    pieces = Reader(lender.store(), forged, silent).chunks()
    assert sum(len(next(pieces)) for _ in range(3)) == told.data_size
    with pytest.raises(Damaged, match="more data than was written"):
        next(pieces)


def test_each_part_is_told_as_the_store_will_list_it(lender: Lender, objects: Objects) -> None:
    write(lender, CHUNKS)
    told = manifest_of(objects)
    for number, part in enumerate(told.parts):
        body = objects.held[_part(told, number)]
        assert part.lies_as(len(body), md5(body))
        assert not part.lies_as(len(body), md5(damage.changed(body)))
        assert not part.lies_as(len(body), "an-etag-of-another-kind")


def test_progress_is_told_now_and_then(lender: Lender, instant: Instant) -> None:
    said: list[str] = []

    def slowly() -> Iterator[bytes]:
        for seed in range(100):
            instant.now += 1
            yield noise(100, seed)

    made = Writer(lender.store(), ONE, WHERE[ONE], said.append)
    made.write(slowly())
    assert len(said) == 20
    assert said[0] == "500 bytes read, 0 sent"


def test_a_source_that_fails_leaves_nothing_under_way(lender: Lender, objects: Objects) -> None:
    def failing() -> Iterator[bytes]:
        yield noise(MORE)
        yield b"more"
        raise OSError("the tool has ended")

    made = Writer(lender.store(), ONE, WHERE[ONE], silent)
    with pytest.raises(OSError, match="the tool"):
        made.write(failing())
    assert [method for method, _ in objects.requests] == ["PUT"]
    assert not any("/manifest." in key for key in objects.held)


def test_the_place_of_an_object_follows_from_the_endpoint(lender: Lender) -> None:
    grant = lender.ask()
    assert s3.place(grant, "a/b") == ("http://store", "/backups/a/b")
    regional = msgspec.structs.replace(grant, endpoint=None)
    host = "https://backups.s3.us-east-1.amazonaws.com"
    assert s3.place(regional, "a/b") == (host, "/a/b")
    assert "secret" not in repr(grant)
    assert grant.credentials.expires_at > datetime.fromtimestamp(aws.clock(), UTC)
