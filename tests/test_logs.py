"""Log lines: what they hold, their place in a trace, their metrics; and what the docs say."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import tracing
from chalicelib.api.application import ROUTES
from chalicelib.logs import FIELDS
from chalicelib.metrics import GUEST_CALL_MS, HEARTBEATS, METRICS, REQUEST_MS, Measured, embedded
from tests.support.lines import lines_of

PAGE = (Path(__file__).parents[1] / "docs/observability.md").read_text()
log = logging.getLogger("chalicelib.tests")


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    with lines_of(log.name) as written:
        yield written


def table(title: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = PAGE.partition(f"\n## {title}")[2].partition("\n\n|")[2].partition("\n\n")[0]
    return [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in text.splitlines()[2:]
    ]


def test_each_field_is_described_in_the_words_of_its_declaration() -> None:
    said = {name: text.replace("`", "") for name, text in FIELDS.items()}
    assert dict(table("The lines")) == said


def test_each_metric_is_described_in_the_words_of_its_declaration() -> None:
    told = [(name, unit, by, said) for name, unit, by, said in table("Metrics")]
    assert told == [
        (each.name, each.unit, by_of(each.dimensions), each.said.replace("`", ""))
        for each in METRICS
    ]


def by_of(dimensions: tuple[tuple[str, ...], ...]) -> str:
    return "; ".join(" + ".join(names) or "none" for names in dimensions)


def test_each_kind_of_line_is_described() -> None:
    sources = [*Path("chalicelib").rglob("*.py"), *Path("functions").rglob("*.py")]
    sources += Path("guest_agent").rglob("*.py")
    written = {
        kind
        for source in sources
        for kind in re.findall(
            r'tracing\.(?:span|detail|past)\(\s*_?log,\s*"(\w+)"', source.read_text()
        )
    }
    row = re.compile(r"^\| `(\w+)` (?:\| [^|]+){2}\|$", re.MULTILINE)
    kinds = row.findall(PAGE.partition("| kind |")[2])
    assert written == set(kinds)


@pytest.mark.parametrize(
    "said",
    [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "  00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff ",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-of-another-version",
    ],
)
def test_a_valid_traceparent_is_gone_on_with(said: str) -> None:
    found = tracing.parse(said)
    assert found == tracing.Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


@pytest.mark.parametrize(
    "said",
    [
        *(None, "", 7, ["00"], {"v": 1}, float("nan"), b"00", "00-trace", "x" * 300),
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-\u0660af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n{}",
    ],
)
def test_a_strange_traceparent_is_none(said: object) -> None:
    assert tracing.parse(said) is None


def test_a_request_of_its_own_trace_has_the_id_of_the_request() -> None:
    place = tracing.of_request("req-0af76519-16cd-43dd-8448-eb211c80319c", "nonsense")
    assert place == tracing.Trace("0af7651916cd43dd8448eb211c80319c")


def test_any_request_id_names_a_valid_trace() -> None:
    place = tracing.within("request-1")
    assert tracing.parse(str(place)) == place


def test_parts_belong_to_the_span_around_them_and_other_lines_too(
    lines: list[dict[str, Any]],
) -> None:
    with tracing.span(log, "step", operation_id="o-1", step="prepare") as outer:
        log.warning("look out")
        with tracing.span(log, "cloud", method="get") as inner:
            inner.tell(outcome="wait")
    warned, part, whole = lines
    assert {each["trace_id"] for each in lines} == {outer.trace.trace_id}
    assert (part["parent_id"], part["outcome"]) == (whole["span_id"], "wait")
    assert (part["operation_id"], "step" in part) == ("o-1", False)
    assert (warned["span_id"], warned["operation_id"]) == (whole["span_id"], "o-1")
    assert "kind" not in warned
    assert "parent_id" not in whole


def test_what_raises_says_so_and_goes_on_raising(lines: list[dict[str, Any]]) -> None:
    with pytest.raises(KeyError), tracing.span(log, "step"):
        raise KeyError("a secret")
    assert (lines[0]["outcome"], lines[0]["error"]) == ("error", "KeyError")
    assert "a secret" not in json.dumps(lines)


def test_details_are_written_in_sampled_traces_only(lines: list[dict[str, Any]]) -> None:
    with tracing.detail(log, "sql") as told:
        told(count=3)
    place = tracing.Trace("0" * 31 + "1", "0" * 15 + "1", sampled=False)
    with tracing.span(log, "step", place) as span, tracing.detail(log, "cloud"):
        assert str(span.trace).endswith("-00")
    assert [each["kind"] for each in lines] == ["step"]


def test_metrics_are_in_the_line_as_cloudwatch_reads_them(lines: list[dict[str, Any]]) -> None:
    with tracing.span(log, "request", status=404) as span:
        span.measure(REQUEST_MS, 12, route="GET /", status_class="4xx")
        span.measure(HEARTBEATS, 3)
    (line,) = lines
    assert (line["request_ms"], line["heartbeats"], line["deployment"]) == (12, 3, "prefix")
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "Coffer"
        for names in directive["Dimensions"]:
            assert len(names) <= 30
            assert all(isinstance(line[name], str) for name in names)
        for metric in directive["Metrics"]:
            assert isinstance(line[metric["Name"]], int | float)
            assert metric["Unit"] in {"Milliseconds", "Count"}


def test_a_line_without_metrics_has_nothing_of_them() -> None:
    assert embedded([], "prefix", 1.0) == {}
    assert embedded([Measured(GUEST_CALL_MS, 1)], "p", 1.5)["_aws"]["Timestamp"] == 1500


def test_no_dimension_is_what_users_make() -> None:
    names = {name for each in METRICS for names in each.dimensions for name in names}
    assert names == {"route", "status_class", "action", "outcome", "method", "reason", "engine"}
    assert len(ROUTES) < 200
