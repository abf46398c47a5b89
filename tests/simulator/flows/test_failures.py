"""Errors of tasks: their names, retries with their pauses, and catches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.aws.lambda_ import Fate
from tests.simulator.flows.flows import FUNCTION, Flows, machine, only, task, waiting


def retry(*names: str, **more: Any) -> dict[str, Any]:
    """One entry of Retry."""
    return {"ErrorEquals": list(names), **more}


def test_an_uncaught_error_ends_the_execution_with_the_name_of_the_class(flows: Flows) -> None:
    arn = flows.start(only(task([["raise", "Odd"]])))
    flows.run(5)
    told = flows.client.describe_execution(executionArn=arn)
    assert (told["status"], told["error"]) == ("FAILED", "Odd")
    assert json.loads(told["cause"])["errorMessage"] == "as the script says"


def test_pauses_grow_to_their_bound_and_attempts_end(flows: Flows) -> None:
    policy = retry(
        *("States.TaskFailed", "States.Timeout"),
        IntervalSeconds=1,
        BackoffRate=2,
        MaxDelaySeconds=8,
        MaxAttempts=6,
    )
    arn = flows.start(only(task([["raise", "Odd"]], Retry=[policy])))
    flows.run(100)
    assert flows.told(arn) == ("FAILED", "Odd")
    failed = [
        event["timestamp"].timestamp()
        for event in flows.history(arn)
        if event["type"] in ("LambdaFunctionFailed", "LambdaFunctionScheduled")
    ]
    pauses = [
        round(after - before) for before, after in zip(failed[1::2], failed[2::2], strict=False)
    ]
    assert pauses == [1, 2, 4, 8, 8, 8]
    assert flows.calls["key"] == 7


def test_full_jitter_draws_from_the_seed_and_stays_below_the_pause() -> None:
    def seconds(seed: int) -> float:
        flows = Flows(seed)
        policy = retry("States.ALL", IntervalSeconds=100, MaxAttempts=1, JitterStrategy="FULL")
        arn = flows.start(only(task([["raise", "Odd"], ["return", 1]], Retry=[policy])))
        flows.run(200)
        told = flows.client.describe_execution(executionArn=arn)
        assert told["status"] == "SUCCEEDED"
        return float((told["stopDate"] - told["startDate"]).total_seconds())

    assert seconds(1) == seconds(1) != seconds(2)
    assert seconds(1) < 101


def test_retriers_count_apart_and_an_exhausted_one_is_not_passed_over(flows: Flows) -> None:
    policies = [retry("A", MaxAttempts=1), retry("B", MaxAttempts=2), retry("States.ALL")]
    script = [["raise", "A"], ["raise", "B"], ["raise", "B"], ["raise", "A"], ["return", 1]]
    assert flows.outcome(only(task(script, Retry=policies))) == ("FAILED", "A")


def test_no_attempts_means_no_retry(flows: Flows) -> None:
    policies = [retry("A", MaxAttempts=0), retry("States.ALL")]
    assert flows.outcome(only(task([["raise", "A"], ["return", 1]], Retry=policies)))[1] == "A"


def test_counts_begin_again_when_the_state_is_entered_again(flows: Flows) -> None:
    script = [["raise", "A"], ["return", "again"], ["raise", "A"], ["return", "done"]]
    definition = machine(
        Work=task(script, Retry=[retry("A", MaxAttempts=1)], Next="Look"),
        Look={
            "Type": "Choice",
            "Choices": [{"Variable": "$", "StringEquals": "again", "Next": "Work"}],
            "Default": "Done",
        },
        Done={"Type": "Succeed"},
    )
    assert flows.outcome(definition) == "done"


@pytest.mark.parametrize(
    ("result_path", "expected"),
    [
        ({"ResultPath": None}, {"a": 1}),
        ({"ResultPath": "$.e"}, {"a": 1, "e": {"Error": "Odd", "Cause": "scripted"}}),
        ({}, {"Error": "Odd", "Cause": "scripted"}),
    ],
)
def test_a_catch_puts_the_error_into_the_raw_input(
    flows: Flows, result_path: dict[str, Any], expected: Any
) -> None:
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught", **result_path}]
    failing = waiting([["fail", "Odd"]], Catch=catch, InputPath=None, OutputPath="$.never")
    definition = machine(Work=failing, Caught={"Type": "Succeed"})
    assert flows.outcome(definition, {"a": 1}) == expected


def test_the_first_catcher_that_matches_is_taken(flows: Flows) -> None:
    definition = machine(
        Work=task(
            [["raise", "Odd"]],
            Catch=[
                {"ErrorEquals": ["Other", "States.Timeout"], "Next": "No"},
                {"ErrorEquals": ["Odd"], "ResultPath": None, "Next": "Yes"},
                {"ErrorEquals": ["States.ALL"], "Next": "No"},
            ],
        ),
        Yes={"Type": "Succeed"},
        No={"Type": "Fail", "Error": "wrong"},
    )
    assert flows.outcome(definition, {}) == {}


def caught(flows: Flows, state: dict[str, Any], *names: str, document: Any = None) -> Any:
    """What a Catch of one entry is told of a state's failure."""
    catch = [{"ErrorEquals": list(names), "Next": "Caught"}]
    definition = machine(Work=state | {"Catch": catch}, Caught={"Type": "Succeed"})
    return flows.outcome(definition, {} if document is None else document)


def test_a_task_times_out_while_its_function_goes_on(flows: Flows) -> None:
    definition = only(task([["sleep", 20]], TimeoutSeconds=5))
    arn = flows.start(definition)
    flows.run(7)
    assert flows.told(arn) == ("FAILED", "States.Timeout")
    assert len(flows.function.running) == 1
    flows.run(20)
    assert not flows.function.running
    assert flows.function.errors == {}


def test_task_failed_does_not_match_a_timeout(flows: Flows) -> None:
    slow = task([["sleep", 20]], TimeoutSeconds=5)
    assert caught(flows, slow, "States.TaskFailed") == ("FAILED", "States.Timeout")
    assert caught(Flows(), slow, "States.TaskFailed", "States.Timeout")["Error"] == "States.Timeout"
    assert caught(Flows(), slow, "States.ALL")["Error"] == "States.Timeout"


def test_a_task_without_heartbeats_times_out_and_task_failed_matches_that(flows: Flows) -> None:
    quiet = waiting([["return", None]], HeartbeatSeconds=5, TimeoutSeconds=100)
    assert caught(flows, quiet, "States.TaskFailed")["Error"] == "States.HeartbeatTimeout"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (task([["exit", None]]), "Lambda.Unknown"),
        (task([["sleep", 100]]), "Sandbox.Timedout"),
        (task([["large", 262_143]]), "States.DataLimitExceeded"),
        (task(Resource=FUNCTION.replace("scripted", "none")), "Lambda.ResourceNotFoundException"),
        (task(Parameters={"x.$": "$.nowhere"}), "States.ParameterPathFailure"),
    ],
)
def test_names_of_errors(flows: Flows, state: dict[str, Any], error: str) -> None:
    assert flows.outcome(only(state)) == ("FAILED", error)


@pytest.mark.parametrize(
    ("fate", "error"),
    [
        (Fate.THROTTLE, "Lambda.TooManyRequestsException"),
        (Fate.FAIL, "Lambda.ServiceException"),
    ],
)
def test_what_lambda_itself_refuses(flows: Flows, fate: Fate, error: str) -> None:
    fates = [fate, Fate.RUN]
    flows.lambda_.decide = lambda *_: fates.pop(0)
    state = task([["return", 1]], Retry=[retry("States.TaskFailed", MaxAttempts=1)])
    assert flows.outcome(only(state)) == 1
    flows = Flows()
    flows.lambda_.decide = lambda *_: fate
    assert flows.outcome(only(state)) == ("FAILED", error)


@pytest.mark.parametrize("name", ["States.ALL", "States.TaskFailed"])
def test_no_wildcard_matches_what_ends_an_execution(flows: Flows, name: str) -> None:
    large = task([["large", 262_143]])
    assert caught(flows, large, name) == ("FAILED", "States.DataLimitExceeded")
    flows = Flows()
    nowhere = {"Type": "Task", "Resource": FUNCTION, "InputPath": "$.no", "End": True}
    assert caught(flows, nowhere, name) == ("FAILED", "States.Runtime")


def test_a_doubled_invocation_answers_once(flows: Flows) -> None:
    flows.lambda_.decide = lambda *_: Fate.TWICE
    assert flows.outcome(only(task([["return", 1], ["return", 2]]))) == 1
    assert flows.calls["key"] == 2


def test_the_payload_limit_counts_bytes_in_utf8(flows: Flows) -> None:
    fits = "é" * (131_072 - 1)
    flows.function.make_handler = lambda: lambda event, _: fits + event["more"]
    first = flows.start(only(task()), {"more": ""}, name="first")
    second = flows.start(only(task()), {"more": "é"}, name="second")
    flows.run(5)
    assert flows.told(first) == fits
    assert flows.told(second) == ("FAILED", "States.DataLimitExceeded")
