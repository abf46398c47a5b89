"""How the pieces of an archive of a log are called in the store, so that a list of them tells all.

    <location>/<number:012d>.<from_ms>-<until_ms>.<sum of the one before, 16>.<sum>

The head of an archive is the number and the sum of its last piece. Each name has the beginning of
the sum of the piece before, so that the archive is what leads back from its head: a number may lie
there twice, from an agent that died before it had noted what it sent, or that was replaced.

A head may be wrong (whoever has the keys of a guest tells any), and a piece may be lost. What lies
before is still there then, and is found from a backup onwards: nobody makes a piece that goes on
from another one without knowing that one's sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

FIRST: Final = 1
DIGITS: Final = 12
BEFORE_DIGITS: Final = 16
MOST_NUMBER: Final = 10**DIGITS - 1
MOST_BYTES: Final = 32 * 1024**2
"""Of one, as it lies there."""
NONE: Final = "0" * 64
"""The sum that stands before the first one."""
_NAME: Final = re.compile(
    rf"([0-9]{{{DIGITS}}})\.([0-9]{{1,15}})-([0-9]{{1,15}})"
    rf"\.([0-9a-f]{{{BEFORE_DIGITS}}})\.([0-9a-f]{{64}})"
)


class PieceName(NamedTuple):
    """What the name of a piece says; times in milliseconds."""

    number: int
    from_ms: int
    until_ms: int
    before: str
    sha256: str

    def __str__(self) -> str:
        return (
            f"{self.number:0{DIGITS}d}.{self.from_ms}-{self.until_ms}.{self.before}.{self.sha256}"
        )

    def goes_on(self, sha256: str | None) -> bool:
        """Whether it follows the piece of that sum; of one that is not known, it may."""
        return sha256 is None or self.before == sha256[:BEFORE_DIGITS]


def parsed(name: str) -> PieceName | None:
    """What a name says; None where it is no piece's."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    number, from_ms, until_ms, before, sha256 = found.groups()
    return PieceName(int(number), int(from_ms), int(until_ms), before, sha256)


def after(number: int) -> str:
    """A name behind all pieces up to that number, and before all others."""
    return f"{number:0{DIGITS}d}.~"


def leading_to(
    names: Iterable[PieceName], behind: int, number: int, sha256: str
) -> Iterator[PieceName]:
    """The pieces behind a number up to the head, from the head backwards.

    It ends early where one is missing: the caller counts. `names` are in any order.
    """
    by_number: dict[int, list[PieceName]] = {}
    for name in names:
        by_number.setdefault(name.number, []).append(name)
    wanted = next((each for each in by_number.get(number, ()) if each.sha256 == sha256), None)
    while wanted is not None and wanted.number > behind:
        yield wanted
        former, last = by_number.get(wanted.number - 1, ()), wanted
        wanted = next((each for each in former if last.goes_on(each.sha256)), None)


def going_on(names: Iterable[PieceName], behind: int, sha256: str | None) -> Iterator[PieceName]:
    """The pieces that go on from the one of that number and sum, without the help of a head.

    It ends where none does, or more than one: without a head nobody knows which of them belongs to
    the archive. `names` are in any order.
    """
    following: dict[tuple[int, str], list[PieceName]] = {}
    found = list[PieceName]()
    for name in names:
        following.setdefault((name.number, name.before), []).append(name)
        if name.number == behind + 1 and name.goes_on(sha256):
            found.append(name)
    while len(found) == 1:
        (at,) = found
        yield at
        found = following.get((at.number + 1, at.sha256[:BEFORE_DIGITS]), [])
