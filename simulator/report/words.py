"""Numbers as people read them: durations, counts, money; for the terminal and the report.

Also what both say in the same words: how large a plan is, and how a promise broke.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from simulator.result import ViolationResult

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
NONE: Final = "–"  # noqa: RUF001 - a dash stands where there is no number

SERVICES: Final = {
    "dynamodb": "DynamoDB",
    "keystone": "Keystone",
    "lambda": "Lambda",
    "openstack": "OpenStack",
    "s3": "S3",
    "sqs": "SQS",
    "ssm": "SSM",
    "kms": "KMS",
    "stepfunctions": "Step Functions",
    "sts": "STS",
}
CLOUD: Final = frozenset({"keystone", "openstack"})
"""The services that are called and are not AWS's."""


def service(name: str) -> str:
    """A service's name as it writes it itself."""
    return SERVICES.get(name, name)


def aws_calls(calls: Mapping[str, Mapping[str, int]]) -> int:
    """How many of the calls, by service and call, went to AWS."""
    return sum(sum(each.values()) for name, each in calls.items() if name not in CLOUD)


def duration(seconds: float | None) -> str:
    """Two units at most: `0`, `350 ms`, `4.2 s`, `12 min 30 s`, `3 h 20 min`, `2 d 4 h`."""
    if seconds is None:
        return NONE
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds == 0:
        return "0"
    if seconds < 0.9995:
        return f"{_short(seconds * 1000)} ms"
    if seconds < 59.95:
        return f"{_short(seconds)} s"
    for unit, name, part, part_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1.0, "s"),
    ):
        parts = round(seconds / part)
        whole, rest = divmod(parts, round(unit / part))
        if whole:
            return f"{whole:,} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{_short(seconds)} s"


def moment(seconds: float) -> str:
    """A time of the run as timelines write it, and in words: `3307.760 s (55 min 8 s)`."""
    return f"{seconds:.3f} s ({duration(seconds)})"


def count(number: float | None) -> str:
    """`12,345`; a number that is not whole keeps three digits."""
    if number is None:
        return NONE
    if number == int(number):
        return f"{int(number):,}"
    return f"{number:,.0f}" if abs(number) >= 1000 else _short(number)


def many(number: int, name: str) -> str:
    """A number of things: `1 run`, `2,000 runs`."""
    return f"{count(number)} {name}{'' if number == 1 else 's'}"


def compact(number: float) -> str:
    """`950`, `12.3 k`, `4.56 M`: for places where a number has little room."""
    for bound, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= bound:
            return f"{_short(number / (1e3 if name == 'k' else bound))} {name}"
    return count(number)


def money(dollars: float | None) -> str:
    """`$12.30`, `$0.0973`, `$0.0000012`: two decimals, below a dollar three digits."""
    if dollars is None:
        return NONE
    if dollars < 0:
        return f"-{money(-dollars)}"
    if dollars == 0:
        return "$0"
    if dollars >= 0.995:
        return f"${dollars:,.2f}"
    if dollars < 1e-9:
        return "under $0.000000001"
    text = f"{dollars:.{_zeros(dollars) + 3}f}".rstrip("0")
    return f"${text}{'0' * (4 - len(text))}"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent."""
    return f"{_short(100 * part / whole)} %" if whole else NONE


def ordered(ids: list[str]) -> list[str]:
    """Ids such as F2, F10, I1, L3 in the order of their numbers."""

    def key(text: str) -> tuple[str, int, str]:
        found = re.fullmatch(r"(\D*)(\d+)(.*)", text)
        return (found[1], int(found[2]), found[3]) if found else (text, -1, "")

    return sorted(ids, key=key)


def size(plan: Mapping[str, Any]) -> str:
    """How large a plan is, as it stands in a result: `3 faults, 2 guests, 0.25 h`."""
    faults = len(plan.get("faults", ())) + len(plan.get("outages", ()))
    guests, hours = plan.get("guests", 0), plan.get("hours", 0.0)
    return f"{many(faults, 'fault')}, {many(guests, 'guest')}, {hours:g} h"


def violation(each: ViolationResult) -> str:
    """When, whom and how, in a line."""
    where = f", instance {each.instance_id}" if each.instance_id else ""
    return f"at {moment(each.time)}{where}: {each.text}"


def _short(number: float) -> str:
    """Three digits, no needless zero."""
    digits = 0 if abs(number) >= 99.95 else 1 if abs(number) >= 9.995 else 2
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _zeros(fraction: float) -> int:
    """How many zeros follow the point of a fraction below one."""
    decimals = f"{fraction:.12f}"[2:]
    return len(decimals) - len(decimals.lstrip("0"))
