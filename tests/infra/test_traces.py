"""A trace read back: lines found within bounds, a tree, a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from botocore.exceptions import ClientError

from infra.traces import lines, picture, tree
from infra.traces.lines import Line

TRACE = "a" * 32


def line(span: str, parent: str | None, began: float, **more: Any) -> Line:
    fields = {"trace_id": TRACE, "span_id": span, "parent_id": parent, "began": began}
    return Line("api", began, {"kind": "step", "took_ms": 500, "outcome": "done", **fields, **more})


class Logs:
    """CloudWatch as far as a look goes: pages of one group; the other one is not there."""

    def __init__(self, *pages: list[str]) -> None:
        self.pages = pages
        self.asked: list[dict[str, Any]] = []

    def filter_log_events(self, **asked: Any) -> dict[str, Any]:
        """One page."""
        self.asked.append(asked)
        if asked["logGroupName"] != "/known":
            error = {"Error": {"Code": "ResourceNotFoundException"}}
            raise ClientError(error, "FilterLogEvents")
        number = int(asked.get("nextToken", 0))
        page = self.pages[min(number, len(self.pages) - 1)]
        events = [{"timestamp": 1500, "message": message} for message in page]
        more = {"nextToken": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {"events": events, **more}


def test_lines_are_found_page_by_page_and_others_left_alone() -> None:
    told = json.dumps({"trace_id": TRACE})
    logs = Logs([told, "START RequestId: x"], [f"[INFO] {told}", '{"trace_id": "other"}'])
    found = lines.in_groups(logs, {"api": "/known", "none": "/unknown"}, TRACE, 1.0)
    assert [each.where for each in found.lines] == ["api", "api"]
    assert found.lines[0].at == 1.5
    assert not found.cut
    assert logs.asked[0]["filterPattern"] == f'"{TRACE}"'


def test_a_look_ends_at_its_bound_and_says_so() -> None:
    logs = Logs(*([["{}"]] * (lines.PAGES + 9)))
    assert lines.in_groups(logs, {"api": "/known"}, TRACE, 1.0).cut
    assert len(logs.asked) == lines.PAGES


def test_agents_tell_the_time_themselves(tmp_path: Path) -> None:
    file = tmp_path / "guest-agent.log"
    told = {"trace_id": TRACE, "time": "1970-01-01T00:00:02+00:00"}
    file.write_text(f'{json.dumps(told)}\nTraceback {TRACE}\n{{"trace_id": "{TRACE}"}}\n')
    found = lines.in_files([file], "guest", TRACE)
    assert [(each.where, each.at) for each in found.lines] == [("guest", 2.0)]


def test_a_tree_has_each_once_below_what_it_is_a_part_of() -> None:
    warned = Line("api", 3.0, {"trace_id": TRACE, "span_id": "2", "message": "look out"})
    found = [
        *(line("2", "1", 2.0), line("3", "2", 3.5), line("1", "client", 1.0, kind="request")),
        *(line("2", "1", 2.0), line("4", "lost", 9.0), line("5", "5", 9.5), warned),
        Line("api", 1.0, {**line("6", None, 1.0).fields, "trace_id": "other"}),
    ]
    walked = [(depth, span.kind, span.began) for depth, span in tree.walk(tree.tree(found, TRACE))]
    assert walked == [
        *((0, "request", 1.0), (1, "step", 2.0), (2, "", 3.0), (2, "step", 3.5)),
        *((0, "step", 9.0), (0, "step", 9.5)),
    ]


def test_a_trace_is_found_by_any_of_its_ids() -> None:
    found = [line("1", None, 1.0, request_id="req-1"), line("2", "1", 2.0, operation_id="o-1")]
    for asked in (TRACE, "req-1", "o-1"):
        assert tree.traces_of(found, asked) == [TRACE]
    assert tree.traces_of(found, "1") == []


def test_a_picture_has_a_bar_for_each_and_one_row_for_the_polls_of_a_step() -> None:
    found = [line("1", None, 1.0, kind="request", action="<POST> & more")]
    found += [line(f"poll-{each}", "1", 2.0 + each, step="server") for each in range(3)]
    drawn = Xml.fromstring(picture.svg(tree.tree(found, TRACE), "a & b"))  # noqa: S314
    bars = [each for each in drawn if each.tag.endswith("rect")]
    texts = [each.text for each in drawn if each.tag.endswith("text")]
    assert len(bars) == 1 + 4  # the ground, and one for each piece of work
    assert texts.count("step server") == 1
    assert "request <POST> & more" in texts
    for bar in bars[1:]:
        left, width = float(bar.attrib["x"]), float(bar.attrib["width"])
        assert picture.LABELS <= left <= left + width <= picture.WIDTH


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [(12.3, ["0 ms", "2.0 s", "4.0 s"]), (0.5, ["0 ms", "100 ms"]), (8.0, ["0 ms", "1.0 s"])],
)
def test_the_scale_of_a_picture_is_of_round_steps(seconds: float, ticks: list[str]) -> None:
    found = [line("1", None, 1.0, took_ms=seconds * 1000)]
    drawn = Xml.fromstring(picture.svg(tree.tree(found, TRACE), "scale"))  # noqa: S314
    texts = [each.text for each in drawn if each.attrib.get("text-anchor") == "middle"]
    assert texts[: len(ticks)] == ticks
    assert len(texts) <= picture.MOST_TICKS + 1


def test_the_picture_in_the_docs_is_of_a_create_from_http_to_sql_and_back() -> None:
    page = Path(__file__).parents[2] / "docs/trace-of-a-create.svg"
    drawn = Xml.parse(page).getroot()  # noqa: S314
    texts = [each.text for each in drawn if each.tag.endswith("text")]
    for part in ("request POST", "operation create", "guest prepare", "sql", "report result"):
        assert any(text and text.startswith(part) for text in texts), part
