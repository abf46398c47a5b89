"""Markup from Python values: everything that is not markup already is escaped, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import msgspec

VOID: Final = frozenset({"meta", "br"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | None


def tag(name: str, /, *children: Child, **attributes: Child | bool) -> Html:
    """One element. `class_` is `class`, `stroke_width` is `stroke-width`; None is left out."""
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        parts.append(label if value is True else f'{label}="{escape(_text(value))}"')
    opening = f"<{' '.join(parts)}>"
    if name in VOID:
        return Html(opening)
    return Html(f"{opening}{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Children beside each other, escaped where they are plain text."""
    return Html("".join(_markup(child) for child in children if child is not None))


def data(value: object) -> Html:
    """A JSON document for a script to read; no text in it can end the element."""
    text = msgspec.json.encode(value).decode().replace("<", "\\u003c").replace("&", "\\u0026")
    return Html(f'<script type="application/json">{text}</script>')


def table(
    columns: list[tuple[str, str]], rows: list[list[Child]], empty: str = "None in this run."
) -> Html:
    """A table; a column is its title and a class (`number` stands right)."""
    if not rows:
        return tag("p", empty, class_="empty")
    head = tag(
        "tr", *(tag("th", title, class_=kind or None, scope="col") for title, kind in columns)
    )
    body = (
        tag(
            "tr",
            *(
                tag("td", cell, class_=kind or None)
                for cell, (_, kind) in zip(row, columns, strict=True)
            ),
        )
        for row in rows
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")


def section(title: str, *children: Child) -> Html:
    """A part of the page below its heading."""
    return tag("section", tag("h2", title), *children)


def folded(title: str, text: str) -> Html:
    """Text that is shown when somebody wants it."""
    return tag("details", tag("summary", title), tag("pre", text))


def plan_text(plan: Mapping[str, Any]) -> str:
    """A plan as a file for --replay."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode()


def _markup(child: str | int | float) -> str:
    return child if isinstance(child, Html) else escape(_text(child))


def _text(value: str | int | float) -> str:
    """A number short enough for a coordinate."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
