"""Tasks that wait for their token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulator.flows.flows import LONG, Flows, machine, only, waiting


def token_of(flows: Flows) -> str:
    """The token that the function was given last."""
    return str(flows.seen[-1]["token"])


def refused(flows: Flows, token: str, output: str = "1") -> str:
    """The error code of an answer."""
    with pytest.raises(ClientError) as error:
        flows.client.send_task_success(taskToken=token, output=output)
    return str(error.value.response["Error"]["Code"])


def test_the_result_is_what_was_sent_not_what_the_function_returned(flows: Flows) -> None:
    arn = flows.start(only(waiting([["return", "mine"]])))
    flows.run(1000)
    assert flows.told(arn) == ("RUNNING", None)
    flows.client.send_task_success(taskToken=token_of(flows), output='{"a": 1}')
    assert flows.told(arn) == {"a": 1}


def test_an_answer_may_come_before_the_function_ends(flows: Flows) -> None:
    assert flows.outcome(only(waiting([["answer", 5]]))) == 5


def test_a_function_that_raises_fails_the_task_and_closes_its_token(flows: Flows) -> None:
    retry = [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 1}]
    arn = flows.start(only(waiting([["raise", "Odd"], ["return", None]], Retry=retry)))
    flows.run(5)
    first, second = (event["token"] for event in flows.seen)
    assert first != second
    assert refused(flows, first) == "TaskTimedOut"
    flows.client.send_task_success(taskToken=second, output="2")
    assert flows.told(arn) == 2


def test_a_token_is_good_once_and_not_after_its_time_or_its_execution(flows: Flows) -> None:
    arn = flows.start(only(waiting([["answer", 5]])))
    flows.run(5)
    assert refused(flows, token_of(flows)) == "TaskTimedOut"
    timed_out = flows.start(only(waiting([["return", 1]], key="2", TimeoutSeconds=10)), name="2")
    flows.run(11)
    assert refused(flows, token_of(flows)) == "TaskTimedOut"
    assert flows.told(timed_out) == ("FAILED", "States.Timeout")
    stopped = flows.start(only(waiting([["return", 1]], key="3")), name="3")
    flows.run(5)
    flows.client.stop_execution(executionArn=stopped, error="Enough", cause="because")
    assert refused(flows, token_of(flows)) == "TaskTimedOut"
    assert flows.told(stopped) == ("ABORTED", "Enough")
    assert flows.told(arn) == 5


@pytest.mark.parametrize("token", ["", "nonsense", "1.2", "99.abc", "٣.x"])
def test_a_token_that_was_never_given_out_is_invalid(flows: Flows, token: str) -> None:
    flows.start(only(waiting([["return", 1]])))
    flows.run(5)
    assert refused(flows, token) == "InvalidToken"


@pytest.mark.parametrize("output", ["{", "", '"' + "x" * 262_143 + '"'])
def test_an_output_that_is_no_json_or_too_large_is_refused(flows: Flows, output: str) -> None:
    arn = flows.start(only(waiting([["return", 1]])))
    flows.run(5)
    assert refused(flows, token_of(flows), output) == "InvalidOutput"
    flows.client.send_task_success(taskToken=token_of(flows), output="1")
    assert flows.told(arn) == 1


def test_heartbeats_keep_a_task_alive(flows: Flows) -> None:
    arn = flows.start(only(waiting([["return", 1]], HeartbeatSeconds=10)))
    for _ in range(5):
        flows.run(8)
        flows.client.send_task_heartbeat(taskToken=token_of(flows))
    flows.run(9)
    assert flows.told(arn) == ("RUNNING", None)
    flows.run(2)
    assert flows.told(arn) == ("FAILED", "States.HeartbeatTimeout")


def test_a_failure_has_the_name_that_was_sent(flows: Flows) -> None:
    arn = flows.start(only(waiting([["return", 1]])))
    flows.run(5)
    flows.client.send_task_failure(taskToken=token_of(flows), error="Mine", cause="so")
    assert flows.told(arn) == ("FAILED", "Mine")


def test_two_branches_wait_for_tokens_of_their_own(flows: Flows) -> None:
    branches = [machine(A=waiting([["return", 1]], key=key)) for key in ("a", "b")]
    arn = flows.start(only({"Type": "Parallel", "Branches": branches}))
    flows.run(5)
    for number, event in enumerate(reversed(flows.seen)):
        answer: Any = {event["key"]: number}
        flows.client.send_task_success(taskToken=event["token"], output=json.dumps(answer))
    assert flows.told(arn) == [{"a": 1}, {"b": 0}]


def test_a_waiting_execution_costs_no_event(flows: Flows) -> None:
    arn = flows.start(only(waiting([["return", 1]])))
    flows.run(100)
    before = flows.kernel.events
    flows.run(LONG)
    assert flows.kernel.events == before
    assert flows.kernel.pending() == 0
    flows.client.send_task_success(taskToken=token_of(flows), output="1")
    assert flows.told(arn) == 1


def test_a_fault_may_let_a_task_time_out_early(flows: Flows) -> None:
    arn = flows.start(only(waiting([["return", 1]], TimeoutSeconds=1800)))
    flows.run(5)
    flows.service.expire(token_of(flows))
    assert flows.told(arn) == ("FAILED", "States.Timeout")
