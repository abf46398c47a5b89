"""The report of a run: one HTML file with everything in it, for a browser without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from simulator.report import failed, sections
from simulator.report.html import Html, joined, tag
from simulator.result import Result

HERE: Final = Path(__file__).resolve().parent
# The page may run what it carries and fetch nothing.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(result: Result) -> str:
    """The whole report as a document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{result.scenario}, seed {result.seed} – Coffer simulation"),  # noqa: RUF001
        tag("style", _asset("style.css")),
    )
    main = tag(
        "main",
        sections.header(result),
        failed.failures(result),
        sections.over_time(result),
        sections.tables(result),
    )
    tip = tag("div", id="tip", role="status", hidden=True)
    body = tag("body", main, tip, tag("script", _asset("script.js")))
    return "<!doctype html>\n" + joined(tag("html", head, body, lang="en")) + "\n"


def _asset(name: str) -> Html:
    """A file of ours, which is markup as it stands."""
    return Html((HERE / name).read_text())
