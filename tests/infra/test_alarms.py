"""The alarms: each leads to a section of the runbook, and each section to an alarm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.package import dashboard
from infra.package.alarm import TOPIC, Alarm, Metric
from infra.package.alarms import alarms
from infra.package.sources import PROJECT_ROOT, source_files
from infra.package.template import FUNCTIONS, compose

NAMES = [(function.logical_id, function.name) for function in FUNCTIONS]
ALARMS = list(alarms(NAMES))
RUNBOOK = (PROJECT_ROOT / "docs" / "runbook.md").read_text()


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found: dict[str, Any] = compose(PROJECT_ROOT, "x86_64")["Resources"]
    return found


def headings(level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} ([a-z][A-Za-z.-]*)$", RUNBOOK, re.MULTILINE)


def logged_kinds() -> set[str]:
    """The kinds that the code logs as alarms; what a name has from its error is NAME."""
    sources = source_files(PROJECT_ROOT, ("chalicelib", "functions"))
    return {
        re.sub(r"\{.*?\}", "NAME", kind)
        for file in sources
        for kind in re.findall(
            r'(?:events\.alarm\(\s*f?|extra={"alarm": )"([^"]+)"', file.read_text()
        )
    }


def test_each_alarm_has_its_section_and_each_section_its_alarm() -> None:
    assert set(headings(2)) == {alarm.section for alarm in ALARMS}
    assert len(headings(2)) == len(set(headings(2)))


def test_each_alarm_stands_in_the_table_of_the_runbook() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| (.+?) \|", RUNBOOK, re.MULTILINE)
    told = {section: re.findall(r"`([^`]+)`", names) for section, names in rows}
    for alarm in ALARMS:
        patterns = [re.sub(r"<\w+>", "[a-z-]+", name) for name in told[alarm.section]]
        assert any(re.fullmatch(pattern, alarm.name) for pattern in patterns), alarm.name


def test_the_price_of_the_alarms_is_told() -> None:
    page = (PROJECT_ROOT / "docs" / "on-aws.md").read_text()
    metrics = sum(len(alarm.metrics) for alarm in ALARMS)
    assert f"{len(ALARMS)} alarms look at {metrics} | ${metrics * 0.10:.0f} |" in page


def test_each_kind_of_line_that_is_an_alarm_has_a_section() -> None:
    assert set(headings(3)) == logged_kinds()


def test_every_function_is_watched_and_its_lines_are_counted(resources: dict[str, Any]) -> None:
    for function in FUNCTIONS:
        assert {f"{function.logical_id}Errors", f"{function.logical_id}Throttled"} <= set(resources)
        counter = resources[f"{function.logical_id}LogAlarms"]["Properties"]
        assert counter["LogGroupName"] == {"Ref": f"{function.logical_id}Logs"}
        assert counter["FilterPattern"] == "{ $.alarm = * }"


def test_every_queue_that_keeps_messages_is_watched() -> None:
    late = {alarm.metrics[0].dimensions["QueueName"]["Fn::GetAtt"][0] for alarm in of_queues()}
    assert late == {"TaskManagerQueue", "ConductorQueue", "HeartbeatsQueue", "DeadLettersQueue"}


def of_queues() -> Iterator[Alarm]:
    return (each for each in ALARMS if each.metrics[0].name == "ApproximateAgeOfOldestMessage")


def test_silence_rings_where_silence_is_the_fault(resources: dict[str, Any]) -> None:
    silent = [each.name for each in ALARMS if each.falls_below]
    assert silent == ["sweeper-silent"]
    for alarm in ALARMS:
        properties = resources[alarm.logical_id]["Properties"]
        missing = "breaching" if alarm.falls_below else "notBreaching"
        assert properties["TreatMissingData"] == missing
        assert properties["AlarmActions"] == [TOPIC]
        assert properties["AlarmDescription"].endswith(f"docs/runbook.md, {alarm.section}.")


def test_math_stays_within_what_an_alarm_may_refer_to() -> None:
    """Ten metrics (CloudWatch's quotas), each named in the expression."""
    for alarm in ALARMS:
        assert bool(alarm.expression) == (len(alarm.metrics) > 1), alarm.name
        assert len(alarm.metrics) <= 10
        for number in range(1, len(alarm.metrics) + 1):
            assert not alarm.expression or f"m{number}" in alarm.expression


def test_what_is_watched_exists(resources: dict[str, Any]) -> None:
    for alarm in ALARMS:
        for metric in alarm.metrics:
            assert referred(metric) <= {*resources, "Prefix"}, alarm.name


def referred(metric: Metric) -> set[str]:
    values = [each for each in metric.dimensions.values() if isinstance(each, dict)]
    return {each["Ref"] if "Ref" in each else each["Fn::GetAtt"][0] for each in values}


def test_the_dashboard_names_only_what_it_resolves(resources: dict[str, Any]) -> None:
    body, names = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert set(re.findall(r"\$\{([^}]+)\}", body)) - {"AWS::Region"} == set(names)
    assert set(names) <= {*resources, "Prefix"}
    widgets = json.loads(body)["widgets"]
    assert len(widgets) == len(dashboard.graphs(NAMES))
    places = {(each["x"], each["y"]) for each in widgets}
    assert len(places) == len(widgets)
