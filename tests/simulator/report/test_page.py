"""The report: well formed, self-contained, escaped, and whole with few samples or none."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import msgspec
import pytest

from simulator import report
from simulator.report import POLICY, page
from simulator.result import (
    Cost,
    ErrorResult,
    InvariantResult,
    Result,
    Series,
    Shortest,
    ViolationResult,
)
from tests.simulator.report import samples

VOID = {"meta", "br"}
EVIL = "<script>alert(1)</script>\"'&</script>"


class Reader(HTMLParser):
    """Checks that elements close in their order, and collects what a test asks for."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends: it must be the one that began last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, of a script or of the page."""
        inside = self.open[-1] if self.open else ""
        (self.scripts if inside == "script" else self.texts).append(data)


def read(document: str) -> Reader:
    """A document that is well formed."""
    reader = Reader()
    reader.feed(document)
    reader.close()
    assert reader.open == []
    return reader


def bare() -> Result:
    """A run of which nothing is known."""
    return Result(
        *("bare", 1, 0, 0.0, 0.0, 0.0, 0, "", 0.0),
        *({}, {}, {}, {}, 0, 0, {}),
        cost=Cost(0.0, {}, []),
        series=Series(),
        plan={},
    )


def evil() -> Result:
    """A run whose every name is an attack."""
    result = samples.result(samples=3)
    result.scenario = EVIL
    result.operations = {EVIL: result.operations["create"]}
    result.replies = {EVIL: 1}
    result.calls = {EVIL: {EVIL: 1}}
    result.plan = {EVIL: EVIL}
    result.cost = Cost(1.0, {EVIL: 1.0}, [EVIL])
    result.series.status = {EVIL: [1, 2, 3]}
    result.series.queues = {EVIL: [1, 2, 3]}
    result.series.faults[0].fault = EVIL
    violation = ViolationResult(1.0, EVIL, EVIL, [EVIL])
    result.invariants = {EVIL: InvariantResult(EVIL, "broken", EVIL, [violation])}
    return result


@pytest.mark.parametrize("count", [0, 1, 2, 289, 5000])
@pytest.mark.parametrize("broken", [False, True])
def test_it_is_well_formed_with_any_number_of_samples(count: int, broken: bool) -> None:
    reader = read(page(samples.result(samples=count, broken=broken)))
    assert "NaN" not in "".join(str(value) for _, value in reader.attributes)
    assert {"header", "table"} <= set(reader.tags)
    assert ("svg" in reader.tags) == (count > 0 or "rect" in reader.tags)


def test_a_run_of_which_nothing_is_known_still_has_a_page() -> None:
    text = " ".join(read(page(bare())).texts)
    assert "No invariant was reached" in text
    assert "No samples in this run." in text


@pytest.mark.parametrize(
    "name", ["status", "queues", "live_operations", "latency_p50", "latency_p95", "cost", "calls"]
)
def test_a_missing_or_short_series_leaves_the_others(name: str) -> None:
    result = samples.result(samples=20)
    empty: dict[str, list[int]] | list[int] = {} if name in ("status", "queues") else []
    setattr(result.series, name, empty)
    assert read(page(result)).tags.count("svg") >= 6
    result.series.latency_p95 = [1.0]
    read(page(result))


def test_many_samples_are_thinned() -> None:
    assert len(page(samples.result(samples=20_000))) < 400_000


def test_it_needs_no_network() -> None:
    document = page(samples.result(broken=True))
    assert "://" not in document
    assert not re.search(r"@import|url\(", document)
    names = {name for name, _ in read(document).attributes}
    assert names.isdisjoint({"src", "href", "srcset", "action", "xlink:href"})
    assert ("content", POLICY) in read(document).attributes


def test_every_value_is_escaped() -> None:
    reader = read(page(evil()))
    assert "alert(1)" not in "".join(text for text in reader.scripts if not text.startswith("{"))
    assert sum(EVIL in text for text in reader.texts) > 10
    for text in reader.scripts:
        if text.startswith("{"):
            msgspec.json.decode(text)
    assert reader.tags.count("script") == reader.tags.count("svg") + 1


def test_each_read_out_has_a_word_for_each_sample() -> None:
    reader = read(page(samples.result()))
    documents = [msgspec.json.decode(text) for text in reader.scripts if text.startswith("{")]
    assert documents
    for document in documents:
        assert document["at"] == sorted(document["at"])
        for series in document["series"]:
            assert len(series["values"]) == len(document["at"]) == len(document["labels"])


def test_it_says_the_verdict_first_and_shows_what_broke() -> None:
    good = " ".join(read(page(samples.result())).texts)
    assert good.index("All 5 reached invariants hold") < good.index("Fleet")
    bad = " ".join(read(page(samples.result(broken=True))).texts)
    for part in ("1 of 5 reached invariants broken", "two live operations", "made twice"):
        assert part in bad


def test_it_shows_the_shortest_plan_that_still_fails() -> None:
    result = samples.result(broken=True)
    assert "The shortest plan" not in page(result)
    first = result.invariants["I3"].violations[0]
    result.shortest = Shortest("I3", {"guests": 2}, first, 12, 4.5, complete=False)
    result.shortest.violation.timeline.append("+  1.500  I3   two live operations")
    text = page(result)
    for part in ("same failure, I3", "&quot;guests&quot;: 2", "12 smaller plans", "no time for"):
        assert part in text
    assert text.index("The shortest plan") < text.index("At most one live operation")
    assert "<mark>+  1.500  I3   two live operations</mark>" in text


def test_an_unexpected_error_is_no_success() -> None:
    result = samples.result()
    result.errors = [ErrorResult("the agent of server-1", "KeyError", "KeyError: 'x'")] * 7
    text = " ".join(read(page(result)).texts)
    assert text.index("7 unexpected errors") < text.index("All 5 reached invariants hold")
    assert "KeyError in the agent of server-1" in text
    assert "and 2 more" in text
    assert 'class="verdict bad"' in page(result)


def test_it_says_what_the_charts_mark() -> None:
    text = " ".join(read(page(samples.result(broken=True))).texts)
    for part in ("the faults are over", "a violation", "in each 5 min", "empty: dead-letters"):
        assert part in text
    assert "a violation" not in " ".join(read(page(samples.result())).texts)


STYLE = Path(report.__file__).with_name("style.css").read_text()
INKS = ("ink", "soft", "faint")
GROUNDS = ("page", "card", "code", "calm")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [*product(INKS, GROUNDS), ("good-ink", "good"), ("bad-ink", "bad"), ("idle-ink", "idle")],
)
def test_text_stands_out_from_its_ground(dark: bool, ink: str, ground: str) -> None:
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", STYLE.split("@media")[int(dark)]))
    lights = sorted(luminance(colours[name]) + 0.05 for name in (ink, ground))
    assert lights[1] / lights[0] >= 4.5  # WCAG 2.2, 1.4.3


def luminance(colour: str) -> float:
    """How light a colour is (WCAG 2.2, relative luminance)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_result_survives_its_json() -> None:
    result = samples.result(broken=True)
    document = msgspec.json.encode(result)
    assert msgspec.json.decode(document, type=Result) == result
    wanted = {"trace_hash", "seed", "virtual_seconds", "wall_seconds", "events", "operations"}
    wanted |= {"faults", "invariants", "calls", "cost", "series", "plan"}
    assert wanted <= set(msgspec.json.decode(document))
