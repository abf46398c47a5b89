"""Functions: containers, concurrency, timeouts, crashes, and asynchronous events."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.aws.lambda_ import Answer, Context, Fate, Function, Lambda
from simulator.kernel import START, Kernel


class Region:
    """Lambda alone, with one function that says which container ran it."""

    def __init__(self, **options: Any) -> None:
        self.kernel = Kernel(1)
        self.lambda_ = Lambda(self.kernel, concurrency=options.pop("account", 1000))
        self.containers = 0
        self.answers: list[Answer] = []
        self.cleaned = 0
        options = {"initialisation_seconds": 0.0, "timeout_seconds": 10.0} | options
        self.function = self.lambda_.add(Function("f", self._make_handler, **options))

    def _make_handler(self) -> Any:
        self.containers += 1
        number = self.containers

        def handler(event: Any, _: Context) -> Any:
            try:
                if "raise" in event:
                    raise LookupError(event["raise"])
                if "exit" in event:
                    raise SystemExit(3)
                if "odd" in event:
                    return {1j}
                self.kernel.sleep(event.get("sleep", 0))
                return number
            finally:
                self.cleaned += 1

        return handler

    def invoke(self, **event: Any) -> None:
        self.lambda_.invoke("f", event, self.answers.append, "test")

    def run(self, seconds: float) -> None:
        self.kernel.run(self.kernel.now + seconds)

    @property
    def results(self) -> list[Any]:
        return [answer.error or answer.result for answer in self.answers]


def test_a_container_runs_one_invocation_at_a_time_and_the_last_used_is_used_first() -> None:
    region = Region()
    region.invoke(sleep=1)
    region.invoke(sleep=2)
    region.run(5)
    region.invoke()
    region.run(1)
    assert region.results == [1, 2, 2]
    assert (region.function.cold_starts, region.function.most_busy) == (2, 2)


def test_an_update_lets_what_runs_end_beside_the_new_containers() -> None:
    region = Region()
    region.invoke()
    region.run(1)
    region.invoke(sleep=5)
    region.run(1)
    region.lambda_.update(region.function)
    region.invoke()
    region.run(1)
    assert region.results == [1, 2]
    region.run(10)
    assert region.results == [1, 2, 1]
    region.invoke()
    region.run(1)
    assert region.results[-1] == 2


def test_an_idle_container_is_gone_after_ten_minutes_and_costs_no_event() -> None:
    region = Region()
    region.invoke()
    region.run(599)
    region.invoke()
    region.run(20)
    events = region.kernel.events
    region.run(600)
    assert region.kernel.events == events
    region.invoke()
    region.run(1)
    assert region.results == [1, 1, 2]


def test_a_new_container_takes_its_time_which_is_not_the_invocations() -> None:
    region = Region(initialisation_seconds=0.5, timeout_seconds=1.0)
    region.invoke(sleep=0.9)
    region.run(1.3)
    assert region.results == []
    region.run(0.2)
    assert region.results == [1]
    assert region.function.seconds == pytest.approx(0.9)


def test_a_timeout_kills_without_cleaning_up_and_takes_the_container() -> None:
    region = Region()
    region.invoke(sleep=100)
    region.run(9.9)
    assert region.results == []
    region.run(0.2)
    assert region.results == ["Sandbox.Timedout"]
    assert "Task timed out after 10.00 seconds" in region.answers[0].message
    region.run(200)
    assert region.cleaned == 0
    region.invoke()
    region.run(1)
    assert region.results[1] == 2
    assert region.function.busy == 0


def test_each_invocation_has_its_own_deadline() -> None:
    region = Region()
    for _ in range(3):
        region.invoke(sleep=100)
        region.run(0.5)
    region.run(8.6)
    for ended in (1, 2, 3):
        assert region.results == ["Sandbox.Timedout"] * ended
        region.run(0.5)


def test_a_crash_is_told_at_once_and_cleans_nothing_up() -> None:
    region = Region()
    region.invoke(sleep=5)
    region.run(1)
    (running,) = region.function.running
    assert running.coroutine is not None
    region.lambda_.crash(running.coroutine)
    region.run(0)
    assert region.results == ["Runtime.ExitError"]
    assert (region.cleaned, region.function.busy) == (0, 0)


def test_a_kill_that_nobody_told_of_is_found_at_the_deadline() -> None:
    region = Region()
    region.invoke(sleep=5)
    region.run(1)
    (running,) = region.function.running
    assert running.coroutine is not None
    region.kernel.kill(running.coroutine)
    region.run(10)
    assert region.results == ["Runtime.ExitError"]


def test_errors_of_a_function_leave_its_container_usable() -> None:
    region = Region()
    for event in ({"raise": "a"}, {"odd": 1}, {"exit": 1}, {}):
        region.invoke(**event)
        region.run(1)
    assert region.results == ["LookupError", "Runtime.MarshalError", "Runtime.ExitError", 2]
    assert region.answers[0].document()["errorMessage"] == "a"
    assert dict(region.function.errors) == dict.fromkeys(region.results[:3], 1)


def test_reserved_concurrency_throttles_and_is_taken_from_the_account() -> None:
    region = Region(concurrency=2, account=3)
    region.lambda_.add(Function("other", lambda: lambda event, _: region.kernel.sleep(1)))
    for _ in range(3):
        region.invoke(sleep=1)
    for _ in range(2):
        region.lambda_.invoke("other", {}, region.answers.append)
    region.run(5)
    assert sorted(map(str, region.results)) == [
        *("1", "2", "None", "TooManyRequestsException", "TooManyRequestsException")
    ]
    assert (region.function.throttles, region.function.most_busy) == (1, 2)
    region.invoke()
    region.run(1)
    assert region.results[-1] == 2


def test_a_handler_sees_its_deadline_and_ids() -> None:
    kernel = Kernel(1)
    lambda_ = Lambda(kernel)
    seen: list[Any] = []

    def handler(_: Any, context: Context) -> None:
        kernel.sleep(4)
        seen.append((context.function_name, context.get_remaining_time_in_millis()))
        seen.append(context.aws_request_id)

    lambda_.add(Function("f", lambda: handler, timeout_seconds=10.0))
    lambda_.invoke("f", {})
    lambda_.invoke("arn:aws:lambda:us-east-1:000000000000:function:f", {})
    kernel.run(START + 20)
    assert seen[0] == ("f", 6000)
    assert len(set(seen)) == 3


def test_a_scope_may_depend_on_the_event() -> None:
    kernel = Kernel(1)
    lambda_ = Lambda(kernel)
    names: list[str] = []

    def handler(_: Any, __: Context) -> None:
        assert kernel.current is not None
        names.append(kernel.current.name)

    lambda_.add(Function("f", lambda: handler, scope=lambda event: f"f/{event['step']}"))
    lambda_.invoke("f", {"step": "a"})
    kernel.run(START + 1)
    assert names == ["f/a"]


def test_a_coroutine_can_wait_for_an_answer() -> None:
    region = Region()
    got: list[Any] = []

    def caller() -> None:
        got.append(region.lambda_.call("f", {"sleep": 3}).result)
        got.append(region.lambda_.call("none", {}).error)

    region.kernel.spawn(caller, "caller")
    region.run(5)
    assert got == [1, "ResourceNotFoundException"]


def test_an_asynchronous_event_is_tried_three_times_and_then_discarded() -> None:
    region = Region()
    discarded: list[Any] = []
    region.lambda_.discarded = lambda name, event, answer: discarded.append((event, answer.error))
    region.lambda_.send("f", {"raise": "a"})
    for passed, count in ((1, 1), (58, 1), (3, 2), (117, 2), (3, 3), (9999, 3)):
        region.run(passed)
        assert region.function.invocations == count
    assert discarded == [({"raise": "a"}, "LookupError")]


def test_a_throttled_asynchronous_event_comes_back_for_six_hours() -> None:
    region = Region(concurrency=0)
    discarded: list[Any] = []
    region.lambda_.discarded = lambda *what: discarded.append(what)
    region.lambda_.send("f", {})
    region.run(3600)
    region.function.concurrency = 1
    region.run(301)
    assert region.function.invocations == 1
    region.function.concurrency = 0
    region.lambda_.send("f", {})
    region.run(7 * 3600)
    assert len(discarded) == 1
    assert region.kernel.pending() == 0


def test_fates_reach_every_kind_of_invocation() -> None:
    region = Region()
    asked: list[Any] = []

    def decide(function: Function, event: Any, source: str) -> Fate:
        asked.append((function.name, event, source))
        return Fate.TWICE

    region.lambda_.decide = decide
    region.invoke(sleep=1)
    region.run(5)
    assert asked == [("f", {"sleep": 1}, "test")]
    assert region.results == [1]
    assert region.function.invocations == 2


def test_what_is_deployed_anew_starts_without_containers() -> None:
    region = Region()
    region.invoke()
    region.run(1)
    region.lambda_.add(Function("f", lambda: lambda event, _: "new", timeout_seconds=5.0))
    region.invoke()
    region.run(1)
    assert region.results == [1, "new"]
