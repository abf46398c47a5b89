"""Executions as a client sees them: names, limits, descriptions, lists, and their end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulator.aws.stepfunctions import StepFunctions, StepFunctionsClient, faults
from tests.simulator.flows.flows import Flows, machine, only, task

DAY = 86400.0
WAIT = only({"Type": "Wait", "Seconds": 100})


def refused(call: Any, **arguments: Any) -> str:
    """The error code that a call is answered with."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def start(flows: Flows, text: str = "{}", name: str = "name") -> dict[str, Any]:
    """Start an execution that waits."""
    arn = flows.create(WAIT)
    return flows.client.start_execution(stateMachineArn=arn, name=name, input=text)


def test_the_same_name_and_input_is_the_same_execution_while_it_runs(flows: Flows) -> None:
    first = start(flows)
    flows.run(10)
    assert start(flows) == first
    assert len(flows.service.executions) == 1


def test_a_name_is_taken_by_another_input_and_for_90_days_after_the_end(flows: Flows) -> None:
    start(flows)
    machine_arn = flows.create(WAIT)
    again = {"stateMachineArn": machine_arn, "name": "name"}
    call = flows.client.start_execution
    assert refused(call, **again, input='{"other": 1}') == "ExecutionAlreadyExists"
    flows.run(101)
    assert refused(call, **again, input="{}") == "ExecutionAlreadyExists"
    flows.run(90 * DAY - 2)
    assert refused(call, **again, input="{}") == "ExecutionAlreadyExists"
    flows.run(2)
    assert start(flows)["startDate"].timestamp() == flows.kernel.now


def test_modeled_exceptions_can_be_caught_by_class(flows: Flows) -> None:
    with pytest.raises(flows.client.exceptions.ExecutionDoesNotExist):
        flows.client.describe_execution(executionArn="arn:aws:states:r:a:execution:m:none")


def test_what_a_start_refuses(flows: Flows) -> None:
    call = flows.client.start_execution
    arn = flows.create(WAIT)
    missing = f"{arn}-not"
    assert refused(call, stateMachineArn=missing, name="a") == "StateMachineDoesNotExist"
    for name in ("", "a b", "a:b", "x" * 81, "a/b"):
        assert refused(call, stateMachineArn=arn, name=name) == "InvalidName"
    for text in ("", "{", '"' + "é" * 131_072 + '"'):
        assert refused(call, stateMachineArn=arn, name="a", input=text) == "InvalidExecutionInput"
    flows.service.most_open = 1
    start(flows)
    assert refused(call, stateMachineArn=arn, name="a") == "ExecutionLimitExceeded"
    flows.run(101)
    call(stateMachineArn=arn, name="a")


def test_a_description_tells_the_whole_story(flows: Flows) -> None:
    arn = start(flows, '{"a": 1}')["executionArn"]
    told = flows.client.describe_execution(executionArn=arn)
    assert told["status"] == "RUNNING"
    assert told["input"] == '{"a": 1}'
    assert "stopDate" not in told
    flows.run(101)
    told = flows.client.describe_execution(executionArn=arn)
    assert (told["status"], told["output"]) == ("SUCCEEDED", '{"a":1}')
    assert 100 < (told["stopDate"] - told["startDate"]).total_seconds() < 101


def test_a_description_may_lag_behind(flows: Flows) -> None:
    arn = start(flows)["executionArn"]
    flows.service.lag = lambda: 50.0
    describe = flows.client.describe_execution
    assert refused(describe, executionArn=arn) == "ExecutionDoesNotExist"
    flows.run(120)
    assert describe(executionArn=arn)["status"] == "RUNNING"
    flows.run(40)
    assert describe(executionArn=arn)["status"] == "SUCCEEDED"


def test_stopping_twice_changes_nothing(flows: Flows) -> None:
    arn = start(flows)["executionArn"]
    first = flows.client.stop_execution(executionArn=arn)
    flows.run(10)
    assert flows.client.stop_execution(executionArn=arn, error="Late") == first
    assert flows.told(arn) == ("ABORTED", None)
    assert refused(flows.client.stop_execution, executionArn="nonsense") == "InvalidArn"


def test_a_machine_has_a_time_of_its_own(flows: Flows) -> None:
    slow = task([["sleep", 50]], Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Caught"}])
    definition = machine(Work=slow, Caught={"Type": "Succeed"}) | {"TimeoutSeconds": 20}
    arn = flows.start(definition)
    flows.run(21)
    assert flows.told(arn)[0] == "TIMED_OUT"


def test_an_open_execution_goes_on_with_its_own_definition(flows: Flows) -> None:
    first = flows.start(only(task([["sleep", 10]])))
    flows.run(1)
    second = flows.start(only({"Type": "Fail", "Error": "New"}), name="second")
    flows.run(20)
    assert flows.told(first) is None
    assert flows.told(second) == ("FAILED", "New")


def test_an_update_changes_the_next_executions_and_a_start_soon_after_it_may_miss_it(
    flows: Flows,
) -> None:
    arn = flows.create(only(task([["sleep", 30]])))
    new = json.dumps(only({"Type": "Fail", "Error": "New"}))

    def start(name: str) -> str:
        started = flows.client.start_execution(stateMachineArn=arn, name=name, input="{}")
        return str(started["executionArn"])

    before = start("before")
    flows.run(1)
    flows.service.update("machine", new, {})
    soon = [start(f"soon-{number}") for number in range(20)]
    flows.run(10)
    after = start("after")
    flows.run(100)
    assert flows.told(before) is None
    told = [flows.told(each) for each in soon]
    assert {each is None for each in told} == {True, False}
    assert flows.told(after) == ("FAILED", "New")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (faults.TIMEOUT, "caught"),
        (faults.HEARTBEAT_TIMEOUT, "caught"),
        (faults.DATA_LIMIT, ("FAILED", faults.DATA_LIMIT)),
    ],
)
def test_a_task_that_is_disturbed_ends_while_its_function_goes_on(
    flows: Flows, error: str, told: Any
) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Caught"}]
    work = task([["sleep", 20], ["return", 1]], Catch=catch)
    caught = {"Type": "Pass", "Result": "caught", "End": True}
    arn = flows.start(machine(Work=work, Caught=caught))
    flows.run(5)
    (execution,) = flows.service.executions.values()
    assert flows.service.disturb(execution, faults.StateError(error, "")) == 1
    flows.run(1)
    assert flows.told(arn) == told
    assert flows.function.busy == 1
    flows.run(30)
    assert flows.told(arn) == told
    assert flows.service.disturb(execution, faults.StateError(error, "")) == 0


def test_a_pause_before_a_retry_is_no_task_that_could_be_disturbed(flows: Flows) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60}]
    flows.start(only(task([["raise", "Odd"], ["return", 1]], Retry=retry)))
    flows.run(10)
    (execution,) = flows.service.executions.values()
    assert flows.service.disturb(execution, faults.StateError(faults.TIMEOUT, "")) == 0


def test_the_history_ends_an_endless_execution_at_its_limit(flows: Flows) -> None:
    loop = machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"})
    arn = flows.start(loop)
    flows.run(1)
    history = flows.history(arn)
    assert len(history) == 25_000
    assert history[-1]["type"] == "ExecutionFailed"
    assert "25000" in history[-1]["executionFailedEventDetails"]["cause"]
    assert [event["id"] for event in history] == list(range(1, 25_001))


def test_a_history_that_is_full_may_still_succeed(flows: Flows) -> None:
    states: dict[str, Any] = {
        f"S{number}": {"Type": "Pass", "Next": f"S{number + 1}"} for number in range(12_498)
    }
    last = {"S12498": {"Type": "Succeed"}}
    arn = flows.start(machine(**states, **last))
    assert flows.told(arn, until=1) == {}
    assert len(flows.history(arn)) == 25_000


def test_the_history_names_every_event(flows: Flows) -> None:
    state = task([["raise", "Odd"], ["return", 1]], Retry=[{"ErrorEquals": ["States.ALL"]}])
    arn = flows.start(only(state))
    flows.run(10)
    assert [event["type"] for event in flows.history(arn)] == [
        "ExecutionStarted",
        "TaskStateEntered",
        *("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed"),
        *("LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"),
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    backwards = flows.client.get_execution_history(executionArn=arn, reverseOrder=True)
    assert backwards["events"][0]["type"] == "ExecutionSucceeded"


def test_old_histories_are_dropped_and_that_is_said(flows: Flows) -> None:
    flows.service = StepFunctions(flows.kernel, flows.lambda_, kept_histories=2)
    flows.client = StepFunctionsClient(flows.service, flows.effects)
    arns = [flows.start(only({"Type": "Pass"}), name=str(number)) for number in range(3)]
    flows.run(1)
    assert len(flows.history(arns[1])) == len(flows.history(arns[2])) == 4
    with pytest.raises(LookupError, match="kept_histories"):
        flows.history(arns[0])
    assert flows.told(arns[0]) == {}


def test_lists_page_from_the_youngest_and_filter(flows: Flows) -> None:
    arn = flows.create(WAIT)
    for number in range(5):
        start(flows, name=f"n{number}")
    flows.client.stop_execution(executionArn=arn.replace("stateMachine", "execution") + ":n3")
    call = flows.client.list_executions
    page = call(stateMachineArn=arn, maxResults=2)
    more = call(stateMachineArn=arn, maxResults=9, nextToken=page["nextToken"])
    names = [each["name"] for each in page["executions"] + more["executions"]]
    assert names == ["n4", "n3", "n2", "n1", "n0"]
    aborted = call(stateMachineArn=arn, statusFilter="ABORTED")["executions"]
    assert [each["name"] for each in aborted] == ["n3"]


def test_the_same_seed_leaves_the_same_trace() -> None:
    def trace(seed: int) -> str:
        flows = Flows(seed)
        retry = [{"ErrorEquals": ["States.ALL"], "JitterStrategy": "FULL"}]
        flows.outcome(only(task([["raise", "Odd"]], Retry=retry)))
        return flows.kernel.trace_hash

    assert trace(1) == trace(1) != trace(2)
