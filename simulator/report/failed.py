"""What failed, on the page: the shortest plan that fails, broken promises, unexpected errors."""

from __future__ import annotations

import re
from typing import Final

from simulator.report.html import Child, Html, folded, joined, plan_text, section, tag
from simulator.report.words import count, many, ordered, size, violation
from simulator.result import ErrorResult, Result, ViolationResult

MOST_VIOLATIONS: Final = 20
"""Of one invariant on the page; the JSON document has them all."""
MOST_ERRORS: Final = 5


def failures(result: Result) -> Html:
    """The shortest plan that fails, each broken invariant with timelines, unexpected errors."""
    broken = ordered(result.broken())
    if not broken and not result.errors:
        return joined()
    return section(
        "What failed",
        _shortest(result),
        *(_broken(result, id_) for id_ in broken),
        *(_error(each) for each in result.errors[:MOST_ERRORS]),
        _more(len(result.errors) - MOST_ERRORS),
    )


def _shortest(result: Result) -> Html | None:
    found = result.shortest
    if found is None:
        return None
    tried = f"{many(found.runs, 'smaller plan')} tried"
    if not found.complete:
        tried += ", and there was no time for all"
    return tag(
        "div",
        tag("h3", f"The shortest plan with the same failure, {found.what}"),
        tag("p", f"{size(found.plan)}, instead of {size(result.plan)}; {tried}."),
        _violation(found.what, found.violation, shown=True),
        tag("p", "Save the plan as shortest.json, then:"),
        tag("pre", "coffer simulate --replay shortest.json"),
        folded("shortest.json", plan_text(found.plan)),
        class_="card broken",
    )


def _broken(result: Result, id_: str) -> Html:
    invariant = result.invariants[id_]
    shown = invariant.violations[:MOST_VIOLATIONS]
    # The timeline that is worth reading first is the shortest plan's.
    elsewhere = result.shortest is not None and result.shortest.what == id_
    return tag(
        "div",
        tag("h3", tag("span", "broken", class_="badge bad"), f" {id_}  {invariant.title}"),
        tag("p", invariant.reason, class_="remark") if invariant.reason else None,
        *(
            _violation(id_, each, shown=index == 0 and not elsewhere)
            for index, each in enumerate(shown)
        ),
        _more(len(invariant.violations) - len(shown)),
        class_="card broken",
    )


def _violation(what: str, each: ViolationResult, *, shown: bool) -> Html:
    """How a promise broke; the life of the instance folds out, with the moment marked."""
    if not each.timeline:
        return tag("p", violation(each))
    marked = re.compile(rf"\+ *[\d.]+ +{re.escape(what)} ")
    lines: list[Child] = []
    for line in each.timeline:
        lines.append(tag("mark", line) if marked.match(line) else line)
        lines.append("\n")
    return tag("details", tag("summary", violation(each)), tag("pre", *lines), open=shown)


def _error(each: ErrorResult) -> Html:
    return tag(
        "div",
        tag("h3", f"{each.kind} in {each.who}"),
        tag("pre", each.text),
        class_="card broken",
    )


def _more(number: int) -> Html | None:
    text = f"and {count(number)} more, in the JSON document"
    return tag("p", text, class_="remark") if number > 0 else None
