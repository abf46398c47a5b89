"""What stands on the page, from top to bottom: verdict, broken promises, charts, tables."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from simulator.report import timelines
from simulator.report.html import Child, Html, joined, table, tag
from simulator.report.words import (
    aws_calls,
    compact,
    count,
    duration,
    moment,
    money,
    ordered,
    service,
    share,
)
from simulator.result import Result

BADGES = {"holds": "good", "broken": "bad", "not reached": "idle"}
MOST_VIOLATIONS = 20
"""Of one invariant on the page; the JSON document has them all."""


def header(result: Result) -> Html:
    """The scenario, whether it held, and the run in numbers."""
    reached = [each for each in result.invariants.values() if each.verdict != "not reached"]
    broken = result.broken()
    accepted = sum(action.accepted for action in result.operations.values())
    succeeded = sum(action.succeeded for action in result.operations.values())
    injected = sum(fault.injected for fault in result.faults.values())
    calls = aws_calls(result.calls)
    speed = result.virtual_seconds / result.wall_seconds if result.wall_seconds > 0 else 0.0
    tiles = (
        ("Guests", count(result.guests), f"{compact(result.guest_hours)} guest-hours"),
        ("Virtual time", duration(result.virtual_seconds), f"in {duration(result.wall_seconds)}"),
        ("Speed", f"{compact(speed)} ×", "virtual seconds a second"),  # noqa: RUF001
        ("Events", compact(result.events), _rate(result.events, result.wall_seconds)),
        ("Operations", compact(accepted), f"{share(succeeded, accepted)} succeeded"),
        ("Faults injected", compact(injected), f"{compact(result.retries)} retries"),
        ("AWS calls", compact(calls), _each(calls, result.guest_hours)),
        ("Cost", money(result.cost.per_guest_month), "a guest and month"),
    )
    return tag(
        "header",
        tag("p", "Coffer simulation", class_="over"),
        tag("h1", result.scenario, tag("span", f"seed {result.seed}", class_="seed")),
        _verdict(len(reached), broken, len(result.invariants) - len(reached)),
        tag("dl", *(_tile(*tile) for tile in tiles), class_="tiles"),
    )


def _verdict(reached: int, broken: list[str], not_reached: int) -> Html:
    if broken:
        kind, title = "bad", f"{len(broken)} of {reached} reached invariants broken"
        detail = ", ".join(ordered(broken))
    elif reached:
        kind, title, detail = "good", f"All {reached} reached invariants hold", ""
    else:
        kind, title, detail = "idle", "No invariant was reached", ""
    rest = f"{not_reached} not reached" if not_reached else ""
    return tag(
        "p",
        tag("strong", title),
        tag("span", " · ".join(filter(None, (detail, rest)))),
        class_=f"verdict {kind}",
    )


def _tile(name: str, number: str, remark: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", number), tag("dd", remark, class_="remark"))


def violations(result: Result) -> Html:
    """Each broken invariant with what broke it, and the timeline of the instance."""
    broken = ordered(result.broken())
    if not broken:
        return joined()
    return _section("Broken", *(_broken(result, id_) for id_ in broken), _shortest(result))


def _shortest(result: Result) -> Html | None:
    found = result.shortest
    if found is None:
        return None
    each = found.violation
    tried = f"{count(found.runs)} smaller plans were tried"
    rest = "" if found.complete else "; there was no time for all"
    return tag(
        "div",
        tag("h3", f"The shortest plan with the same failure, {found.what}"),
        tag("p", f"{tried}{rest}. It fails at {moment(each.time)}: {each.text}"),
        tag("pre", msgspec.json.format(msgspec.json.encode(found.plan), indent=2).decode()),
        tag("details", tag("summary", "Timeline"), tag("pre", "\n".join(each.timeline))),
        class_="card broken",
    )


def _broken(result: Result, id_: str) -> Html:
    invariant = result.invariants[id_]
    shown = invariant.violations[:MOST_VIOLATIONS]
    more = len(invariant.violations) - len(shown)
    items = []
    for index, each in enumerate(shown):
        where = f", instance {each.instance_id}" if each.instance_id else ""
        items.append(tag("p", tag("b", f"at {moment(each.time)}{where}: "), each.text))
        if each.timeline:
            items.append(
                tag(
                    "details",
                    tag("summary", "Timeline"),
                    tag("pre", "\n".join(each.timeline)),
                    open=index == 0,
                )
            )
    rest = tag("p", f"and {count(more)} more, in the JSON document", class_="note")
    return tag(
        "div",
        tag("h3", _badge("broken"), f" {id_}  {invariant.title}"),
        tag("p", invariant.reason) if invariant.reason else None,
        *items,
        rest if more else None,
        class_="card broken",
    )


def over_time(result: Result) -> Html:
    """The charts."""
    wide = [timelines.fleet(result), timelines.faults(result)]
    half = [
        timelines.latency(result),
        timelines.live_operations(result),
        timelines.cost(result),
        timelines.calls(result),
    ]
    queues = timelines.queues(result)
    return _section(
        "Over virtual time",
        *(_figure(*each, class_="wide") for each in wide),
        tag("div", *(_figure(*each) for each in half), class_="pair"),
        _figure(*queues),
    )


def _figure(title: str, remark: str, drawing: Html, class_: str | None = None) -> Html:
    caption = tag("figcaption", tag("b", title), tag("span", remark))
    return tag("figure", caption, drawing, class_=class_)


def tables(result: Result) -> Html:
    """What happened, in numbers."""
    return joined(
        _section("Invariants", _invariants(result)),
        _section("Operations", _operations(result)),
        _section("Faults", _faults(result)),
        tag(
            "div",
            _section("Cost at list prices", _cost(result)),
            _section("Replies of the API", _replies(result)),
            class_="pair",
        ),
        _section("Calls", _calls(result)),
        _section("Replay", *_replay(result)),
    )


def _invariants(result: Result) -> Html:
    rows: list[list[Child]] = []
    for id_ in ordered(list(result.invariants)):
        each = result.invariants[id_]
        found = len(each.violations)
        remark = each.reason or (f"{count(found)} violations" if found else "")
        rows.append([id_, each.title, _badge(each.verdict), remark])
    return table([("", "id"), ("Invariant", ""), ("Verdict", ""), ("Remark", "remark")], rows)


def _operations(result: Result) -> Html:
    columns = [("Action", "")] + [
        (title, "number")
        for title in (
            "Accepted",
            "Succeeded",
            "Failed",
            "Cancelled",
            "p50",
            "p95",
            "p99",
            "Longest",
        )
    ]
    rows: list[list[Child]] = []
    for name, each in sorted(result.operations.items()):
        numbers = (each.accepted, each.succeeded, each.failed, each.cancelled)
        latencies = (each.latency_p50, each.latency_p95, each.latency_p99, each.latency_max)
        rows.append([name, *map(count, numbers), *map(duration, latencies)])
    return table(columns, rows)


def _faults(result: Result) -> Html:
    rows: list[list[Child]] = []
    for id_ in ordered(list(result.faults)):
        each = result.faults[id_]
        strength = "off" if each.strength is None else f"{each.strength:.3g}"
        remark = each.reason if each.reached else each.reason or "not reached"
        rows.append([id_, each.title, strength, count(each.injected), remark])
    return table(
        [
            ("", "id"),
            ("Fault", ""),
            ("Strength", "number"),
            ("Injected", "number"),
            ("Remark", "remark"),
        ],
        rows,
    )


def _cost(result: Result) -> Html:
    total = result.cost.per_guest_month
    found = sorted(result.cost.by_service.items(), key=lambda item: (-item[1], item[0]))
    rows: list[list[Child]] = [
        [name, money(dollars), share(dollars, total)] for name, dollars in found
    ]
    rows.append([tag("b", "A guest and month"), tag("b", money(total)), ""])
    return joined(
        table([("Service", ""), ("Dollars", "number"), ("Share", "number")], rows),
        tag("ul", *(tag("li", each) for each in result.cost.assumptions), class_="note"),
    )


def _replies(result: Result) -> Html:
    total = sum(result.replies.values())
    rows: list[list[Child]] = [
        [code, count(number), share(number, total)]
        for code, number in sorted(result.replies.items())
    ]
    return table([("Status", ""), ("Replies", "number"), ("Share", "number")], rows)


def _calls(result: Result) -> Html:
    rows: list[list[Child]] = []
    for name, calls in sorted(result.calls.items()):
        for call, number in sorted(calls.items(), key=lambda item: (-item[1], item[0])):
            rows.append(
                [service(name), call, count(number), _per_guest_hour(number, result.guest_hours)]
            )
    return table(
        [("Service", ""), ("Call", ""), ("Number", "number"), ("A guest-hour", "number")], rows
    )


def _replay(result: Result) -> Sequence[Html]:
    return (
        tag("p", "The same plan gives the same run, event by event. Save it as plan.json, then:"),
        tag("pre", "coffer simulate --replay plan.json"),
        tag("p", "Its trace ends in ", tag("code", result.trace_hash), class_="empty"),
        tag("details", tag("summary", "plan.json"), tag("pre", timelines.plan_text(result))),
    )


def _section(title: str, *children: Child) -> Html:
    return tag("section", tag("h2", title), *children)


def _badge(verdict: str) -> Html:
    return tag("span", verdict, class_=f"badge {BADGES[verdict]}")


def _rate(number: float, seconds: float) -> str:
    return f"{compact(round(number / seconds))} a second" if seconds > 0 else ""


def _each(number: float, guest_hours: float) -> str:
    return f"{_per_guest_hour(number, guest_hours)} a guest-hour"


def _per_guest_hour(number: float, guest_hours: float) -> str:
    return count(number / guest_hours) if guest_hours > 0 else count(None)
