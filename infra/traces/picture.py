"""A trace as a picture: a bar for each piece of work, below each other as they belong together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from infra.traces.tree import Span, walk

WIDTH: Final = 1000
LABELS: Final = 330
ROW: Final = 17
TOP: Final = 46
INDENT: Final = 14
MOST_ROWS: Final = 400
LEAST_BAR: Final = 1.5
MOST_TICKS: Final = 8
COLOURS: Final = {
    "request": "#2f6fab",
    "operation": "#b9c4cf",
    "dispatch": "#7a5ca8",
    "step": "#3a8f6f",
    "cloud": "#9fcdb9",
    "guest": "#c7762c",
    "sql": "#e8b98c",
    "enrolment": "#2f6fab",
    "report": "#a83f5b",
}
OTHER: Final = "#888888"


class Row(NamedTuple):
    """Pieces of work of one name that belong to the same whole: the polls of a step are one row."""

    depth: int
    label: str
    bars: list[Span]


def svg(spans: Sequence[Span], title: str) -> str:
    """The picture, with a scale in seconds (or milliseconds) from the first begin."""
    rows = list(_rows(spans))[:MOST_ROWS]
    begin = min(bar.began for row in rows for bar in row.bars)
    length = max(max(bar.ended for row in rows for bar in row.bars) - begin, 0.001)
    height = TOP + ROW * len(rows) + 8
    wide = WIDTH - LABELS - 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="16" font-size="13" font-weight="bold">{escape(title)}</text>',
        *_scale(length, wide, height),
    ]
    for number, row in enumerate(rows):
        y = TOP + ROW * number
        x = 8 + INDENT * min(row.depth, 12)
        parts.append(f'<text x="{x}" y="{y + 12}">{escape(row.label[:52])}</text>')
        for bar in row.bars:
            left = LABELS + wide * (bar.began - begin) / length
            width = max(wide * bar.took / length, LEAST_BAR)
            colour = COLOURS.get(bar.kind, OTHER)
            parts.append(
                f'<rect x="{left:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" '
                f'fill="{colour}"/>'
            )
        last = max(LABELS + wide * (bar.ended - begin) / length for bar in row.bars)
        took = sum(bar.took for bar in row.bars)
        parts.append(f'<text x="{last + 4:.1f}" y="{y + 12}" fill="#555">{_seconds(took)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _rows(spans: Iterable[Span]) -> Iterable[Row]:
    rows: list[Row] = []
    whole: list[dict[str, Row]] = [{}]
    for depth, span in walk(spans):
        if not span.kind:
            continue
        del whole[depth + 1 :]
        whole.append({})
        known = whole[depth].get(span.label)
        if known is not None and not span.parts:
            known.bars.append(span)
            continue
        row = Row(depth, span.label, [span])
        whole[depth][span.label] = row
        rows.append(row)
    return rows


def _scale(length: float, wide: int, height: int) -> Iterable[str]:
    apart = _round_step(length / MOST_TICKS)
    for tick in range(int(length / apart) + 1):
        x = LABELS + wide * tick * apart / length
        yield f'<path d="M{x:.1f} {TOP - 6}V{height - 6}" stroke="#ddd"/>'
        yield (
            f'<text x="{x:.1f}" y="{TOP - 10}" fill="#555" text-anchor="middle">'
            f"{_seconds(tick * apart)}</text>"
        )


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, … and their tenths that is not less."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(decade * each for each in (1, 2, 5, 10) if decade * each >= least)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
