"""Each type of state, and the paths in and out of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.flows.flows import FUNCTION, INVOKE, Flows, machine, only, task


def test_input_goes_through_paths_and_parameters_to_the_function(flows: Flows) -> None:
    definition = only(
        {
            "Type": "Task",
            "Resource": FUNCTION,
            "InputPath": "$.a",
            "Parameters": {"x.$": "$.list[1]", "fixed": {"y.$": "$"}, "id.$": "$$.Execution.Name"},
            "ResultSelector": {"got.$": "$.x", "name.$": "$.id"},
            "ResultPath": "$.deep.result",
            "OutputPath": "$.deep",
        }
    )
    result = flows.outcome(definition, {"a": {"list": [1, 2]}, "b": 3})
    assert flows.seen == [{"x": 2, "fixed": {"y": {"list": [1, 2]}}, "id": "execution"}]
    assert result == {"result": {"got": 2, "name": "execution"}}


def test_a_function_gets_a_copy_and_cannot_change_the_document(flows: Flows) -> None:
    flows.lambda_.functions["scripted"].make_handler = lambda: lambda event, _: event["l"].append(1)
    definition = only({"Type": "Task", "Resource": FUNCTION, "ResultPath": None})
    assert flows.outcome(definition, {"l": []}) == {"l": []}


@pytest.mark.parametrize(
    ("result_path", "expected"),
    [
        ({}, 7),
        ({"ResultPath": "$"}, 7),
        ({"ResultPath": None}, {"a": 1}),
        ({"ResultPath": "$.a"}, {"a": 7}),
        ({"ResultPath": "$.b.c"}, {"a": 1, "b": {"c": 7}}),
        ({"ResultPath": "$.a.b"}, ("FAILED", "States.ResultPathMatchFailure")),
    ],
)
def test_result_path(flows: Flows, result_path: dict[str, Any], expected: Any) -> None:
    assert flows.outcome(only({"Type": "Pass", "Result": 7, **result_path}), {"a": 1}) == expected


def test_null_paths_stand_for_an_empty_object(flows: Flows) -> None:
    assert flows.outcome(only({"Type": "Pass", "InputPath": None}), {"a": 1}) == {}
    flows = Flows()
    assert flows.outcome(only({"Type": "Pass", "OutputPath": None}), {"a": 1}) == {}


def test_the_invoke_integration_wraps_the_result(flows: Flows) -> None:
    parameters = {"FunctionName": FUNCTION, "Payload": {"script": [["return", 5]], "key": "k"}}
    state = {"Type": "Task", "Resource": INVOKE, "Parameters": parameters}
    result = flows.outcome(only(state))
    assert (result["Payload"], result["StatusCode"]) == (5, 200)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ({"Variable": "$.s", "StringEquals": "abc"}, True),
        ({"Variable": "$.n", "StringEquals": "5"}, False),
        ({"Variable": "$.s", "StringLessThan": "abd"}, True),
        ({"Variable": "$.s", "StringGreaterThanEquals": "abd"}, False),
        ({"Variable": "$.s", "StringMatches": "a*c"}, True),
        ({"Variable": "$.star", "StringMatches": "a\\*c"}, True),
        ({"Variable": "$.s", "StringMatches": "a\\*c"}, False),
        ({"Variable": "$.n", "NumericEquals": 5.0}, True),
        ({"Variable": "$.yes", "NumericEquals": 1}, False),
        ({"Variable": "$.n", "NumericLessThanEqualsPath": "$.m"}, True),
        ({"Variable": "$.n", "NumericGreaterThanPath": "$.m"}, False),
        ({"Variable": "$.yes", "BooleanEquals": True}, True),
        ({"Variable": "$.yes", "BooleanEqualsPath": "$.s"}, False),
        ({"Variable": "$.t", "TimestampLessThan": "2027-01-01T00:00:00+01:00"}, True),
        ({"Variable": "$.t", "TimestampEquals": "2026-01-01T01:00:00+01:00"}, True),
        ({"Variable": "$.null", "IsNull": True}, True),
        ({"Variable": "$.none.at.all", "IsPresent": False}, True),
        ({"Variable": "$.s", "IsNumeric": False}, True),
        ({"Variable": "$.t", "IsTimestamp": True}, True),
        ({"Variable": "$.t", "IsString": True}, True),
        ({"Variable": "$.yes", "IsBoolean": False}, False),
        ({"Variable": "$$.Execution.Name", "StringEquals": "execution"}, True),
        ({"Not": {"Variable": "$.yes", "BooleanEquals": True}}, False),
        (
            {
                "And": [
                    {"Variable": "$.s", "IsPresent": True},
                    {"Or": [{"Variable": "$.n", "NumericLessThan": 0},
                            {"Variable": "$.s", "StringEquals": "abc"}]},
                ]
            },
            True,
        ),
    ],
)  # fmt: skip
def test_choice_rules(flows: Flows, rule: dict[str, Any], chosen: bool) -> None:
    document = {
        "s": "abc",
        "star": "a*c",
        "n": 5,
        "m": 6.5,
        "yes": True,
        "null": None,
        "t": "2026-01-01T00:00:00Z",
    }
    definition = machine(
        Choose={"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        Yes={"Type": "Pass", "Result": True, "End": True},
        No={"Type": "Pass", "Result": False, "End": True},
    )
    assert flows.outcome(definition, document) is chosen


def test_a_choice_without_a_match_or_with_a_missing_variable_fails(flows: Flows) -> None:
    rule = {"Variable": "$.a", "NumericEquals": 1, "Next": "Yes"}
    definition = machine(Choose={"Type": "Choice", "Choices": [rule]}, Yes={"Type": "Succeed"})
    assert flows.outcome(definition, {"a": 2}) == ("FAILED", "States.NoChoiceMatched")
    assert Flows().outcome(definition, {}) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(
    ("way", "seconds"),
    [
        ({"Seconds": 90}, 90),
        ({"SecondsPath": "$.s"}, 7),
        ({"Timestamp": "2027-01-15T08:01:00Z"}, 60),
        ({"TimestampPath": "$.t"}, 120),
        ({"Timestamp": "2001-01-01T00:00:00Z"}, 0),
    ],
)
def test_waits_end_in_time(flows: Flows, way: dict[str, Any], seconds: float) -> None:
    document = {"s": 7, "t": "2027-01-15T08:02:00Z"}
    arn = flows.start(only({"Type": "Wait", **way}), document)
    flows.run(seconds + 1)
    assert flows.told(arn) == document
    stopped = flows.client.describe_execution(executionArn=arn)["stopDate"].timestamp()
    assert stopped - 1_800_000_000 == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("found", [-1, 1.5, "5", None, True])
def test_a_wait_for_no_number_of_seconds_fails(flows: Flows, found: Any) -> None:
    definition = only({"Type": "Wait", "SecondsPath": "$.s"})
    assert flows.outcome(definition, {"s": found}) == ("FAILED", "States.Runtime")


def test_fail_tells_its_error_and_cause(flows: Flows) -> None:
    arn = flows.start(only({"Type": "Fail", "Error": "Mine", "CausePath": "$.why"}), {"why": "so"})
    flows.run(1)
    told = flows.client.describe_execution(executionArn=arn)
    assert (told["status"], told["error"], told["cause"]) == ("FAILED", "Mine", "so")


def test_parallel_branches_run_beside_each_other(flows: Flows) -> None:
    branches = [
        machine(Slow={"Type": "Wait", "Seconds": 10, "Next": "Last"}, Last=task([["return", 1]])),
        machine(Quick=task([["return", 2]], key="other")),
    ]
    state = {"Type": "Parallel", "Branches": branches, "ResultPath": "$.r"}
    arn = flows.start(only(state), {"a": 0})
    assert flows.told(arn, until=12) == {"a": 0, "r": [1, 2]}


def test_a_failed_branch_stops_the_others_and_is_caught(flows: Flows) -> None:
    branches = [
        machine(Slow={"Type": "Wait", "Seconds": 10, "Next": "Last"}, Last=task([["return", 1]])),
        machine(Bad={"Type": "Fail", "Error": "Bad", "Cause": "why"}),
    ]
    catch = [{"ErrorEquals": ["Bad"], "ResultPath": "$.error", "Next": "Caught"}]
    definition = machine(
        Both={"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True},
        Caught={"Type": "Succeed"},
    )
    expected = {"a": 0, "error": {"Error": "Bad", "Cause": "why"}}
    assert flows.outcome(definition, {"a": 0}) == expected
    assert flows.seen == []


def test_a_parallel_state_is_retried_as_a_whole(flows: Flows) -> None:
    branches = [
        machine(One=task([["return", 1]], key="one")),
        machine(Two=task([["raise", "Odd"], ["return", 2]], key="two")),
    ]
    retry = [{"ErrorEquals": ["Odd"], "MaxAttempts": 1}]
    assert flows.outcome(only({"Type": "Parallel", "Branches": branches, "Retry": retry})) == [1, 2]
    assert flows.calls == {"one": 2, "two": 2}


def test_map_runs_each_item_in_its_bounds_and_keeps_their_order(flows: Flows) -> None:
    wait = {"Type": "Wait", "SecondsPath": "$.item", "Next": "Done"}
    state = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"item.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index", "k.$": "$.k"},
        "MaxConcurrency": 2,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            **machine(Sleep=wait, Done={"Type": "Pass", "OutputPath": "$.at", "End": True}),
        },
    }
    arn = flows.start(only(state), {"items": [30, 10, 5, 20], "k": 1})
    flows.run(34)
    assert flows.told(arn) == ("RUNNING", None)
    flows.run(2)
    assert flows.told(arn) == [0, 1, 2, 3]


def test_map_over_nothing_is_an_empty_list(flows: Flows) -> None:
    state = {"Type": "Map", "ItemProcessor": machine(Nothing={"Type": "Succeed"})}
    assert flows.outcome(only(state), []) == []
    assert Flows().outcome(only(state), {}) == ("FAILED", "States.Runtime")
