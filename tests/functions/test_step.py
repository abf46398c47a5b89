"""The frame around a step: whose turn it is, when a step is not run, and what is recorded."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from chalicelib.cloud.errors import CloudAway, OverQuota, Refused
from chalicelib.domain.operations import OperationStatus
from chalicelib.settings import settings
from chalicelib.store import accepting, events, instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Operation
from chalicelib.store.spans import place_of
from functions import quotas, step
from functions.outcomes import REFUSED_SECONDS, SOON_SECONDS, Busy, Done, Failed, Outcome, Wait
from functions.step import Step
from tests.support.bare import World
from tests.support.definitions import definition
from tests.support.lines import lines_of
from tests.support.rows import TENANT, accepted, delete_operation


class Recorder:
    """A step that counts its runs and comes to whatever is asked of it."""

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        self.outcome = outcome or Done({"made": "thing-1"})
        self.runs = 0

    def __call__(self, operation: Operation, token: str | None) -> Outcome:
        self.runs += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def operation(world: World) -> Operation:
    return accepted()[1]


def run(
    operation: Operation, recorder: Recorder, name: str = "create_instance.volume", **kind: Any
) -> dict[str, Any]:
    steps = {name: Step(recorder, **kind)}
    return step.run(steps, {"step": name, "operation_id": operation.id})


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def test_what_a_step_made_is_recorded_under_its_operation(operation: Operation) -> None:
    assert run(operation, Recorder()) == {"outcome": "done"}
    row = stored(operation)
    assert as_dict(row.resources) == {"made": "thing-1"}
    assert set(as_dict(row.ended)) == {"volume"}
    assert row.lease_id is None


def test_a_step_that_is_done_is_not_run_again(operation: Operation) -> None:
    recorder = Recorder()
    run(operation, recorder)
    assert run(operation, recorder) == {"outcome": "done"}
    assert recorder.runs == 1


def test_a_step_that_waits_is_run_again_and_says_why(operation: Operation) -> None:
    recorder = Recorder(Wait(3, {"server_id": "1"}, note="the server is in BUILD"))
    assert run(operation, recorder) == {"outcome": "wait", "seconds": 3}
    assert as_dict(stored(operation).notes) == {"volume": "the server is in BUILD"}
    runs = recorder.runs
    run(operation, recorder)
    assert recorder.runs == runs + 1


def test_a_step_looks_again_itself_in_its_first_seconds_and_no_longer(
    world: World, operation: Operation
) -> None:
    recorder, begin = Recorder(Wait(1, {"server_id": "1"})), world.now
    assert run(operation, recorder)["outcome"] == "wait"
    assert recorder.runs > 10
    assert begin + SOON_SECONDS - 1 < world.now <= begin + SOON_SECONDS
    assert as_dict(stored(operation).resources) == {"server_id": "1"}


def test_what_is_there_after_a_moment_needs_no_poll(world: World, operation: Operation) -> None:
    recorder, begin = Recorder(Wait(1)), world.now

    def there() -> None:
        if world.now >= begin + 1:
            recorder.outcome = Done()

    world.provider.on_sleep = there
    assert run(operation, recorder) == {"outcome": "done"}
    assert world.now < begin + 1.5


def test_an_error_of_the_cloud_is_not_asked_for_again_at_once(operation: Operation) -> None:
    recorder = Recorder(CloudAway("The cloud is away."))
    assert run(operation, recorder)["outcome"] == "wait"
    assert recorder.runs == 1


def test_a_step_that_somebody_else_runs_is_busy(world: World, operation: Operation) -> None:
    operations.take_lease(operation.id, "volume")
    recorder = Recorder()
    with pytest.raises(Busy):
        run(operation, recorder)
    world.run(settings().lease_seconds + 1)
    assert run(operation, recorder) == {"outcome": "done"}
    assert recorder.runs == 1


def test_a_worker_that_overran_its_lease_records_nothing(
    world: World, operation: Operation
) -> None:
    class Slow(Recorder):
        def __call__(self, operation: Operation, token: str | None) -> Outcome:
            world.run(settings().lease_seconds + 1)
            operations.take_lease(operation.id, "volume")
            return Done({"made": "too late"})

    with pytest.raises(Busy, match="overran"):
        run(operation, Slow())
    assert as_dict(stored(operation).resources) == {}
    assert stored(operation).lease_id is not None


def test_the_retries_of_the_state_machine_outlast_a_lease() -> None:
    """A worker that died holds its lease; the retries after it must still be there then."""
    for flow in ("create_instance", "delete_instance"):
        for name, state in definition(flow)["States"].items():
            if state["Type"] != "Task":
                continue
            (retry,) = state["Retry"]
            waited, pause = 0.0, float(retry["IntervalSeconds"])
            for _ in range(retry["MaxAttempts"]):
                waited += min(pause, retry["MaxDelaySeconds"])
                pause *= retry["BackoffRate"]
            assert waited > settings().lease_seconds, f"{flow}.{name}"
            assert state["TimeoutSeconds"] > settings().lease_seconds


@pytest.mark.parametrize(
    ("kind", "expected"),
    [({}, "failed"), ({"backwards": True}, "done"), ({"ends": True}, "done")],
    ids=["forward", "backwards", "ends"],
)
def test_a_step_of_an_operation_that_ended_is_not_run(
    operation: Operation, kind: dict[str, Any], expected: str
) -> None:
    ending = Ending(OperationStatus.SUCCEEDED)
    end_operation(operation, ending)
    recorder = Recorder()
    assert run(operation, recorder, **kind) == {"outcome": expected}
    assert recorder.runs == 0


def test_a_step_of_an_operation_that_is_not_known_fails(world: World) -> None:
    recorder = Recorder()
    assert run(Operation("no-such-operation"), recorder) == {"outcome": "failed"}
    assert recorder.runs == 0


def test_a_cancelled_operation_goes_no_further_and_goes_back(operation: Operation) -> None:
    instances.reset_status(instances.get_instance(operation.instance_id), "forced by an operator")
    recorder = Recorder()
    assert run(operation, recorder) == {"outcome": "failed"}
    assert run(operation, recorder, "create_instance.complete", ends=True) == {"outcome": "failed"}
    assert recorder.runs == 0
    assert stored(operation).compensating
    assert stored(operation).reason == "forced by an operator"
    assert run(operation, recorder, "remove_server", backwards=True) == {"outcome": "done"}
    assert recorder.runs == 1


def test_a_late_step_is_not_run_and_says_what_it_waited_for(
    world: World, operation: Operation
) -> None:
    run(operation, Recorder(Wait(1, note="the server is in BUILD")), "create_instance.server")
    world.run_until(operation.deadline + 1)
    recorder = Recorder()
    assert run(operation, recorder, "create_instance.server") == {"outcome": "failed"}
    assert recorder.runs == 0
    assert stored(operation).reason == "server was not done in time: the server is in BUILD"


def test_the_removals_of_a_late_create_have_time_of_their_own(
    world: World, operation: Operation
) -> None:
    recorder = Recorder(Wait(1, note="waiting for the server to be gone"))
    world.run_until(operation.deadline + 1)
    assert run(operation, recorder, "remove_server", backwards=True)["outcome"] == "wait"
    world.run_until(operation.deadline + 1 + settings().delete_timeout_seconds)
    assert run(operation, recorder, "remove_server", backwards=True)["outcome"] == "wait"
    world.run(1)
    assert run(operation, recorder, "remove_server", backwards=True)["outcome"] == "failed"


@pytest.mark.parametrize("backwards", [True, False], ids=["fail", "complete"])
def test_what_ends_an_operation_is_never_too_late(
    world: World, operation: Operation, backwards: bool
) -> None:
    world.run_until(operation.deadline + 100_000)
    recorder = Recorder()
    name = "create_instance.fail" if backwards else "create_instance.complete"
    assert run(operation, recorder, name, ends=True, backwards=backwards) == {"outcome": "done"}
    assert recorder.runs == 1


def test_a_create_that_reaches_its_removals_tells_which_step_it_stuck_in(
    operation: Operation,
) -> None:
    run(operation, Recorder(), "create_instance.volume")
    run(operation, Recorder(Wait(1, note="the server is in BUILD")), "create_instance.server")
    run(operation, Recorder(), "remove_server", backwards=True)
    assert stored(operation).compensating
    assert stored(operation).reason == "The step server did not finish: the server is in BUILD."


def test_a_delete_is_not_turned_back_by_its_own_steps(world: World, operation: Operation) -> None:
    ending = Ending(OperationStatus.SUCCEEDED)
    end_operation(operation, ending)
    instance = instances.get_instance(operation.instance_id, TENANT)
    deletion = delete_operation(instance)
    accepting.accept(instance, deletion)
    run(deletion, Recorder(), "remove_server", backwards=True)
    assert not stored(deletion).compensating


def test_what_the_cloud_refuses_for_good_is_an_outcome(operation: Operation) -> None:
    recorder = Recorder(Refused("The cloud refused to create: quota exceeded"))
    assert run(operation, recorder) == {"outcome": "failed"}
    assert stored(operation).reason == "The cloud refused to create: quota exceeded"
    assert stored(operation).lease_id is None


def test_what_the_cloud_may_do_later_is_waited_for(operation: Operation) -> None:
    recorder = Recorder(CloudAway("The cloud could not create: gateway timeout"))
    assert run(operation, recorder) == {"outcome": "wait", "seconds": 1}
    row = stored(operation)
    assert row.lease_id is None
    assert not row.compensating
    assert as_dict(row.notes) == {"volume": "The cloud could not create: gateway timeout"}


def test_a_removal_that_is_refused_for_a_minute_is_told_and_not_waited_for(
    world: World, operation: Operation
) -> None:
    recorder = Recorder(Refused("The cloud refused to delete"))
    for _ in range(3):
        assert run(operation, recorder, "remove_volume", backwards=True)["outcome"] == "wait"
    world.run(REFUSED_SECONDS)
    assert run(operation, recorder, "remove_volume", backwards=True)["outcome"] == "failed"
    assert "refused to delete" in as_dict(stored(operation).notes)["remove_volume"]


def test_a_removal_that_meets_another_refusal_asks_once_more(
    world: World, operation: Operation
) -> None:
    run(operation, Recorder(CloudAway("it is away")), "remove_volume", backwards=True)
    world.run(REFUSED_SECONDS + 1)
    recorder = Recorder(Refused("The cloud refused to delete"))
    assert run(operation, recorder, "remove_volume", backwards=True)["outcome"] == "wait"
    assert run(operation, recorder, "remove_volume", backwards=True)["outcome"] == "failed"


def test_a_quota_is_told_to_the_operators_once_an_hour_with_the_command_that_raises_it(
    world: World, operation: Operation
) -> None:
    told = "Quota exceeded for cores: Requested 2, but already used 20 of 20 cores"
    error = OverQuota("The deployment has no room.", "cores", told)
    assert run(operation, Recorder(error)) == {"outcome": "failed"}
    quotas.alarm(error)
    (event,) = events.events_of(events.OPERATORS)
    assert event.kind == "quota.cores"
    assert told in event.message
    assert "openstack quota set --cores NUMBER service" in event.message
    assert stored(operation).reason == "The deployment has no room."
    world.run(quotas.ALARM_SECONDS)
    quotas.alarm(error)
    assert len(events.events_of(events.OPERATORS)) == 2


def test_a_removal_that_is_done_is_never_too_late(world: World, operation: Operation) -> None:
    recorder = Recorder(Refused("The cloud refused to delete"))
    run(operation, recorder, "remove_volume", backwards=True)
    world.run(settings().delete_timeout_seconds + 1)
    recorder.outcome = Done()
    assert run(operation, recorder, "remove_volume", backwards=True)["outcome"] == "done"


def test_the_first_failure_stays_the_reason(operation: Operation) -> None:
    run(operation, Recorder(Failed("the first")))
    run(operation, Recorder(Failed("the second")), "remove_server", backwards=True)
    assert stored(operation).reason == "the first"


def test_a_value_that_goes_to_the_state_machine_holds_no_resource(operation: Operation) -> None:
    assert set(run(operation, Recorder(Wait(1, {"address": "127.77.1.2"})))) == {
        "outcome",
        "seconds",
    }


@pytest.mark.parametrize("outcome", [Done(), Wait(1), Failed("no"), KeyError("secret")])
def test_a_run_is_one_line_that_says_whose_it_was_and_how_it_ended(
    operation: Operation, outcome: Outcome | Exception
) -> None:
    with lines_of("functions") as lines, contextlib.suppress(KeyError):
        run(operation, Recorder(outcome))
    (line,) = [each for each in lines if "kind" in each]
    assert (line["kind"], line["step"]) == ("step", "create_instance.volume")
    assert line["outcome"] == (
        "error" if isinstance(outcome, Exception) else type(outcome).__name__.lower()
    )
    place = place_of(operation)
    assert (line["trace_id"], line["parent_id"]) == (place.trace_id, place.span_id)
    assert (line["operation_id"], line["instance_id"], line["tenant_id"], line["request_id"]) == (
        *(operation.id, operation.instance_id, TENANT),
        operation.request_id,
    )


def test_the_end_of_an_operation_is_its_line_with_its_time(
    world: World, operation: Operation
) -> None:
    world.run(3.0)
    with lines_of("chalicelib") as lines:
        end_operation(operation, Ending(OperationStatus.SUCCEEDED))
        end_operation(operation, Ending(OperationStatus.SUCCEEDED))
    (line,) = [each for each in lines if each.get("kind") == "operation"]
    assert (line["outcome"], line["action"], line["operation_ms"]) == (
        *("succeeded", "create_instance"),
        pytest.approx(3000, abs=100),
    )
    assert line["span_id"] == place_of(operation).span_id
