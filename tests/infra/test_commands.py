"""A program that a command runs: its last words are told when it fails, and its bound holds."""

from __future__ import annotations

import sys

import pytest

from infra import commands
from infra.errors import PackageError, StackError


def run(code: str, seconds: float = 30, error: type[StackError] = PackageError) -> None:
    """Python for the program."""
    command = [sys.executable, "-c", code]
    commands.run(command, "It was not done", "Mend it.", seconds=seconds, error=error)


def test_one_that_ends_well_says_nothing() -> None:
    run("print('done')")


@pytest.mark.parametrize("where", ["stderr", "stdout"])
def test_the_last_words_of_one_that_fails_are_told(where: str) -> None:
    code = f"import sys; [print(n, file=sys.{where}) for n in range(99)]; sys.exit(3)"
    with pytest.raises(StackError) as told:
        run(code, error=StackError)
    lines = told.value.message.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("It was not done:", "98", 1 + commands.LAST_LINES)
    assert told.value.advice == "Mend it."


def test_one_that_is_not_there_is_named() -> None:
    with pytest.raises(StackError, match=r"It was not done: /no/such: No such file"):
        commands.run(["/no/such"], "It was not done", "Mend it.", seconds=1)


def test_one_that_does_not_end_is_told_as_late() -> None:
    with pytest.raises(PackageError, match=r"It was not done: it did not end within 0 s"):
        run("import threading; threading.Event().wait()", seconds=0.3)
