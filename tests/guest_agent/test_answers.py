"""What one answer holds: as many rows as there is room for, and never more."""

from __future__ import annotations

import json

import pytest

from guest_agent import answers
from guest_agent.answers import ANSWER_BYTES, ROOM_BYTES, check_size, fitting
from guest_agent.errors import GuestError

ROW = {"name": "x" * 1000}


def test_rows_that_have_room_are_all_there() -> None:
    few = [ROW] * 10
    assert fitting(few) == few
    assert fitting([]) == []


def test_of_more_rows_the_first_that_have_room() -> None:
    many = [{"name": f"{number:01000}"} for number in range(1000)]
    shown = fitting(many)
    assert shown == many[: len(shown)]
    size, one = len(json.dumps(shown)), len(json.dumps(many[0])) + 2
    assert size <= ANSWER_BYTES - ROOM_BYTES < size + one
    check_size({"rows": shown})


def test_a_row_that_no_answer_holds_is_none() -> None:
    assert fitting([{"name": "x" * ANSWER_BYTES}]) == []


def test_letters_count_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """In ASCII: one letter may be six."""
    monkeypatch.setattr(answers, "ANSWER_BYTES", 30)
    check_size({"a": "x" * 21})
    with pytest.raises(GuestError, match=r"too large \(31 bytes\)"):
        check_size({"a": "x" * 22})
    with pytest.raises(GuestError, match=r"too large \(33 bytes\)"):
        check_size({"a": "\u00e4" * 4})
