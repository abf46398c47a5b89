"""Files that are put between those of a tar, of whatever size it comes in."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from guest_agent.datastores import archive
from guest_agent.errors import GuestError

FILES = {"label": b"begins", "empty": b"", "base/1": bytes(range(256)) * 7, "end": b"x" * 512}


def tar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as whole:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            whole.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("size", [1, 511, 512, 513, 100_000])
def test_whole_files_come_between_those_that_are_there(size: int) -> None:
    told: list[bytes] = []

    def more(first: bytes) -> Iterator[bytes]:
        told.append(first)
        yield from cut(tar({f"more/{len(told)}": b"m" * len(told)})[: 2 * 512], 100)

    chunks = [*archive.between(cut(tar(FILES), size), more), archive.end()]
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as whole:
        found = {each.name: whole.extractfile(each) for each in whole if each.isfile()}
        held = {name: stream.read() for name, stream in found.items() if stream is not None}
    assert held.items() >= FILES.items()
    assert sorted(set(held) - set(FILES)) == [f"more/{number}" for number in (1, 2, 3, 4)]
    assert [each[: len(b"begins")] for each in told] == [b"", *[b"begins"] * 3]


def test_one_that_ends_in_the_middle_is_told() -> None:
    whole = tar(FILES)
    for size in (100, 512, 700, 2000):
        with pytest.raises(GuestError, match="ends in the middle"):
            list(archive.between(cut(whole[:size], 64), lambda _: ()))
    with pytest.raises(GuestError, match="no file"):
        list(archive.between([b"x" * 1024], lambda _: ()))
