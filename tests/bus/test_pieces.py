"""The names of pieces: what of many belongs to an archive follows from its head."""

from __future__ import annotations

import random

import pytest

from chalicelib.bus.contract import pieces
from chalicelib.bus.contract.pieces import NONE, PieceName


def name(number: int, before: str, sha256: str) -> PieceName:
    return PieceName(number, number * 1000, (number + 1) * 1000, before[:16], sha256)


def sums(count: int) -> list[str]:
    return [f"{number:064x}"[::-1] for number in range(1, count + 1)]


def chain(of: list[str]) -> list[PieceName]:
    return [name(at + 1, ([NONE, *of])[at], each) for at, each in enumerate(of)]


def test_a_name_says_what_it_was_made_of() -> None:
    for each in chain(sums(3)):
        assert pieces.parsed(str(each)) == each
        assert pieces.after(each.number - 1) < str(each) < pieces.after(each.number)


@pytest.mark.parametrize("text", ["", "1.2-3.x", "manifest.0", f"{'1' * 12}.1-2.{'g' * 16}."])
def test_what_is_no_name_says_nothing(text: str) -> None:
    assert pieces.parsed(text) is None


def test_what_a_dead_or_a_replaced_agent_has_sent_is_on_no_way_back() -> None:
    ours, theirs = chain(sums(8)), chain([each[::-1] for each in sums(8)])
    forked = [name(5, ours[3].sha256, "f" * 64), name(6, "f" * 64, "e" * 64)]
    found = [*ours, *theirs, *forked]
    random.Random(7).shuffle(found)
    led = list(pieces.leading_to(found, 2, 8, ours[-1].sha256))
    assert led == ours[:1:-1]


def test_a_way_back_ends_where_one_is_missing() -> None:
    ours = chain(sums(5))
    led = list(pieces.leading_to([*ours[:2], *ours[3:]], 0, 5, ours[-1].sha256))
    assert [each.number for each in led] == [5, 4]
