"""What a run comes to in a line: its verdict, as the terminal and the report both say it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from simulator.report.words import many, ordered, share
from simulator.result import Result

Kind = Literal["good", "bad", "idle"]


class Headline(NamedTuple):
    """The verdict on a whole run, and what to say beside it."""

    kind: Kind
    title: str
    remarks: list[str]


def headline(result: Result) -> Headline:
    """What broke or was raised; else how many promises held; else that none was put to the test."""
    verdicts = [each.verdict for each in result.invariants.values()]
    not_reached = verdicts.count("not reached")
    reached = len(verdicts) - not_reached
    broken, errors = ordered(result.broken()), len(result.errors)
    raised = [many(errors, "unexpected error")] if errors else []
    rest = [f"{not_reached} not reached"] if not_reached else []
    if broken:
        title = f"{len(broken)} of {reached} reached invariants broken"
        return Headline("bad", title, [", ".join(broken), *raised, *rest])
    held = f"All {reached} reached invariants hold" if reached else "No invariant was reached"
    if raised:
        return Headline("bad", raised[0], [held, *rest])
    if accepted(result):
        rest.append(f"{share(succeeded(result), accepted(result))} of the operations succeeded")
    return Headline("good" if reached else "idle", held, rest)


def accepted(result: Result) -> int:
    """Operations of all kinds that were accepted."""
    return sum(each.accepted for each in result.operations.values())


def succeeded(result: Result) -> int:
    """Operations of all kinds that succeeded."""
    return sum(each.succeeded for each in result.operations.values())


def speed(result: Result) -> float:
    """Virtual seconds in a second of the wall clock."""
    return result.virtual_seconds / result.wall_seconds if result.wall_seconds > 0 else 0.0
