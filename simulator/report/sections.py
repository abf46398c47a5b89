"""What stands on the page, from top to bottom: verdict, broken promises, charts, tables."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.report import timelines
from simulator.report.headline import accepted, headline, speed, succeeded
from simulator.report.html import Child, Html, folded, joined, plan_text, section, table, tag
from simulator.report.words import (
    aws_calls,
    compact,
    count,
    duration,
    many,
    money,
    ordered,
    service,
    share,
)
from simulator.result import Result

BADGES = {"holds": "good", "broken": "bad", "not reached": "idle"}


def header(result: Result) -> Html:
    """The scenario, whether it held, and the run in numbers."""
    injected = sum(fault.injected for fault in result.faults.values())
    calls = aws_calls(result.calls)
    done = f"{share(succeeded(result), accepted(result))} succeeded" if accepted(result) else ""
    tiles = (
        ("Guests", count(result.guests), f"{compact(result.guest_hours)} guest-hours"),
        ("Virtual time", duration(result.virtual_seconds), f"in {duration(result.wall_seconds)}"),
        ("Speed", f"{compact(round(speed(result)))} ×", "virtual seconds a second"),  # noqa: RUF001
        ("Events", compact(result.events), _rate(result.events, result.wall_seconds)),
        ("Operations", compact(accepted(result)), done),
        ("Faults injected", compact(injected), f"{compact(result.retries)} retries"),
        ("AWS calls", compact(calls), _each(calls, result.guest_hours)),
        ("Cost", money(result.cost.per_guest_month), "a guest and month"),
    )
    verdict = headline(result)
    return tag(
        "header",
        tag("p", "Coffer simulation", class_="over"),
        tag("h1", result.scenario, tag("span", f"seed {result.seed}", class_="seed")),
        tag(
            "p",
            tag("strong", verdict.title),
            tag("span", " · ".join(verdict.remarks)),
            class_=f"verdict {verdict.kind}",
        ),
        tag("dl", *(_tile(*tile) for tile in tiles), class_="tiles"),
    )


def _tile(name: str, number: str, remark: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", number), tag("dd", remark, class_="remark"))


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
    return section(
        "Over virtual time",
        _signs(result),
        *(_figure(*each, class_="wide") for each in wide),
        tag("div", *(_figure(*each) for each in half), class_="pair"),
        _figure(*queues),
    )


def _signs(result: Result) -> Html:
    """What every chart marks: the part without faults, and the moments at which something broke."""
    signs = [tag("li", tag("i", class_="swatch calm"), "the faults are over")]
    if found := sum(len(each.violations) for each in result.invariants.values()):
        most = timelines.MOST_MARKS
        text = f"the first {most} of {count(found)} violations" if found > most else "a violation"
        signs.append(tag("li", tag("i", class_="swatch mark"), text))
    return tag("ul", *signs, class_="legend")


def _figure(title: str, remark: str, drawing: Html, class_: str | None = None) -> Html:
    caption = tag("figcaption", tag("b", title), tag("span", remark))
    return tag("figure", caption, drawing, class_=class_)


def tables(result: Result) -> Html:
    """What happened, in numbers."""
    return joined(
        section("Invariants", _invariants(result)),
        section("Operations", _operations(result)),
        section("Faults", _faults(result)),
        tag(
            "div",
            section("Cost at list prices", _cost(result)),
            section("Replies of the API", _replies(result)),
            class_="pair",
        ),
        section("Calls", _calls(result)),
        section("Replay", *_replay(result)),
    )


def _invariants(result: Result) -> Html:
    rows: list[list[Child]] = []
    for id_ in ordered(list(result.invariants)):
        each = result.invariants[id_]
        found = len(each.violations)
        remark = each.reason or (many(found, "violation") if found else "")
        rows.append([id_, each.title, _badge(each.verdict), remark])
    return table([("", "id"), ("Invariant", ""), ("Verdict", ""), ("Remark", "remark")], rows)


def _operations(result: Result) -> Html:
    titles = ("Accepted", "Succeeded", "Failed", "Cancelled", "p50", "p95", "p99", "Longest")
    columns = [("Action", ""), *((title, "number") for title in titles)]
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
        tag("p", "The hash of its trace is ", tag("code", result.trace_hash), class_="empty"),
        folded("plan.json", plan_text(result.plan)),
    )


def _badge(verdict: str) -> Html:
    return tag("span", verdict, class_=f"badge {BADGES[verdict]}")


def _rate(number: float, seconds: float) -> str:
    return f"{compact(round(number / seconds))} a second" if seconds > 0 else ""


def _each(number: float, guest_hours: float) -> str:
    return f"{_per_guest_hour(number, guest_hours)} a guest-hour"


def _per_guest_hour(number: float, guest_hours: float) -> str:
    return count(number / guest_hours) if guest_hours > 0 else count(None)
