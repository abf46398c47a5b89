"""A stream passes by as it is, in whatever pieces it comes, or is refused before it does harm."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guest_agent.datastores import streams
from guest_agent.errors import GuestError

Look = Callable[[Iterable[bytes]], Iterator[bytes]]
CONTENT = b"as it was" * 100


def chunk(name: str, content: bytes = CONTENT, kind: bytes = b"P") -> bytes:
    """One of mbstream's, as mariadb-backup writes it."""
    head = streams.MAGIC + b"\0" + kind + len(name).to_bytes(4, "little") + name.encode()
    if kind == b"E":
        return head
    sum_ = zlib.crc32(content).to_bytes(4, "little")
    return head + len(content).to_bytes(8, "little") + bytes(8) + sum_ + content


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> bytes:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    made.size = size or (len(CONTENT) if kind == tarfile.REGTYPE else 0)
    content = CONTENT + bytes(-len(CONTENT) % 512) if kind == tarfile.REGTYPE else b""
    return made.tobuf(tarfile.USTAR_FORMAT) + content


MBSTREAM = b"".join(
    [chunk("ibdata1"), chunk("./shop/a@002e.ibd"), chunk("shop/empty", b""), chunk("x", kind=b"E")]
)
TAR = entry("base", tarfile.DIRTYPE) + entry("base/1/PG_VERSION") + entry("./a..b") + bytes(1024)
GOOD: dict[str, tuple[Look, bytes]] = {
    "mbstream": (streams.of_mbstream, MBSTREAM),
    "tar": (streams.of_tar, TAR),
}


def passed(look: Look, content: bytes, sizes: Iterable[int] = (1 << 20,)) -> bytes:
    """What passes of it, when it comes in pieces of those sizes, and the last one again."""
    stream, pieces, size = io.BytesIO(content), list[bytes](), 1
    for size in sizes:
        pieces.append(stream.read(size))
    pieces += iter(lambda: stream.read(size or 1), b"")
    return b"".join(look(pieces))


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=50, deadline=None, database=None)
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=20))
def test_what_is_good_passes_as_it_is(name: str, sizes: list[int]) -> None:
    look, content = GOOD[name]
    assert passed(look, content, sizes) == content


def test_the_library_reads_what_has_passed() -> None:
    with tarfile.open(fileobj=io.BytesIO(passed(streams.of_tar, TAR))) as opened:
        assert opened.getnames() == ["base", "base/1/PG_VERSION", "./a..b"]


@pytest.mark.parametrize(
    "bad",
    [
        entry("../x"),
        entry("/etc/x"),
        entry("a/../../x"),
        entry("base", tarfile.SYMTYPE, "/etc"),
        entry("base", tarfile.LNKTYPE, "../x"),
        entry("base", tarfile.CHRTYPE),
        entry("base", tarfile.FIFOTYPE),
        entry("base", tarfile.GNUTYPE_SPARSE),
        entry("base", tarfile.GNUTYPE_LONGNAME),
        entry("base", tarfile.XHDTYPE),
        entry("base", tarfile.DIRTYPE, size=512),
        b"no header of a file".ljust(512, b"."),
    ],
)
def test_a_tar_makes_nothing_but_plain_files_below(bad: bytes) -> None:
    made = streams.of_tar([entry("good") + bad])
    with pytest.raises(GuestError, match="not unpacked: it holds"):
        b"".join(made)


@pytest.mark.parametrize(
    "bad",
    [
        chunk("../x"),
        chunk("../x", kind=b"E"),
        chunk("/etc/x"),
        chunk("shop/../../x"),
        chunk("nul\0"),
        chunk(""),
        chunk("x" * 512),
        chunk("x", kind=b"S"),
        chunk("x").replace(streams.MAGIC, b"XBSTCK02"),
        chunk("x")[:15] + (1 << 40).to_bytes(8, "little") + bytes(12),
    ],
)
def test_mbstream_makes_nothing_but_plain_files_below(bad: bytes) -> None:
    with pytest.raises(GuestError, match="not unpacked: it holds"):
        b"".join(streams.of_mbstream([chunk("good"), bad]))


@pytest.mark.parametrize("name", GOOD)
def test_one_that_ends_in_the_middle_is_told(name: str) -> None:
    look, content = GOOD[name]
    ends = {"mbstream": len(chunk("ibdata1")) + 5, "tar": 512 + 512 + 9}
    for end in (ends[name], ends[name] - 200):
        with pytest.raises(GuestError, match="ends in the middle"):
            passed(look, content[:end])
