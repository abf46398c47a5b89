"""Generated machines go the way that the reference says, in the time that it says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.flows.flows import FUNCTION, Definition, Flows
from tests.simulator.flows.reference import evaluate

NAMES = ["A", "B", "States.TaskFailed", "States.Timeout"]
FIELDS = ["a", "b", "c"]
values = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]))
documents = st.fixed_dictionaries(dict.fromkeys(FIELDS, values))
result_paths = st.sampled_from([None, *(f"$.{name}" for name in FIELDS)])
actions = st.one_of(
    st.tuples(st.just("raise"), st.sampled_from(["A", "B"])),
    st.tuples(st.just("return"), values),
    st.tuples(st.just("sleep"), st.sampled_from([1, 50])),
)


@st.composite
def entries(draw: st.DrawFn, extra: st.SearchStrategy[dict[str, Any]]) -> list[dict[str, Any]]:
    """A Retry or a Catch: some names, perhaps States.ALL at the end."""
    some = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
    names = draw(st.lists(some, max_size=2))
    if draw(st.booleans()):
        names.append(["States.ALL"])
    return [{"ErrorEquals": each, **draw(extra)} for each in names]


retries = st.fixed_dictionaries(
    {
        "IntervalSeconds": st.integers(1, 5),
        "BackoffRate": st.sampled_from([1.0, 1.5, 2.0]),
        "MaxAttempts": st.integers(0, 3),
    },
    optional={"MaxDelaySeconds": st.integers(6, 9)},
)
comparisons = st.one_of(
    st.builds(
        lambda name, rule: {"Variable": f"$.{name}", **rule},
        st.sampled_from(FIELDS),
        st.sampled_from(
            [
                {"NumericEquals": 1},
                {"NumericLessThan": 2},
                {"StringEquals": "x"},
                {"IsPresent": True},
            ]
        ),
    ),
    st.just({"Variable": "$.none", "IsPresent": True}),
)
rules = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda rule: {"Not": rule}, inner),
        st.builds(
            lambda name, of: {name: of},
            st.sampled_from(["And", "Or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=4,
)  # fmt: skip


@st.composite
def machines(draw: st.DrawFn) -> Definition:
    """A machine whose states lead forward only, so that it ends."""
    count = draw(st.integers(1, 7))
    states = {
        f"S{n}": draw(one_state(f"S{n}", [f"S{m}" for m in range(n + 1, count + 1)]))
        for n in range(count)
    }
    states[f"S{count}"] = draw(
        st.sampled_from([{"Type": "Succeed"}, {"Type": "Fail", "Error": "E"}])
    )
    return {"StartAt": "S0", "States": states}  # fmt: skip


@st.composite
def one_state(draw: st.DrawFn, name: str, later: list[str]) -> Definition:
    """A state that leads to one of the later ones, or ends."""
    targets = st.sampled_from(later)
    kind = draw(st.sampled_from(["Task", "Task", "Task", "Choice", "Pass", "Wait"]))
    if kind == "Choice":
        choices = draw(st.lists(st.tuples(rules, targets), min_size=1, max_size=3))
        written = {"Type": kind, "Choices": [{**rule, "Next": to} for rule, to in choices]}
        return written | draw(st.fixed_dictionaries({}, optional={"Default": targets}))
    ends = draw(st.integers(0, 9)) == 0
    state: Definition = {"Type": kind, **({"End": True} if ends else {"Next": draw(targets)})}
    if kind == "Wait":
        return state | {"Seconds": draw(st.integers(0, 100))}
    if kind == "Pass":
        return state | {"Result": draw(values), "ResultPath": draw(result_paths)}
    catches = st.fixed_dictionaries({"Next": targets, "ResultPath": st.sampled_from([None, "$.d"])})
    return state | {
        "Resource": FUNCTION,
        "Parameters": {"key": name, "script": draw(st.lists(actions, min_size=1, max_size=4))},
        "TimeoutSeconds": 10,
        "ResultPath": draw(result_paths),
        "Retry": draw(entries(retries)),
        "Catch": draw(entries(catches)),
    }


@settings(max_examples=250, deadline=None)
@given(definition=machines(), document=documents)
def test_the_interpreter_agrees_with_the_reference(
    definition: Definition, document: dict[str, Any]
) -> None:
    flows = Flows()
    flows.function.initialisation_seconds = 0.0
    expected = evaluate(definition, document)
    arn = flows.start(definition, document)
    flows.run(1_000_000)
    told = flows.client.describe_execution(executionArn=arn)
    assert flows.path(arn) == expected.path
    assert (told["status"], told.get("error")) == (expected.status, expected.error)
    if expected.status == "SUCCEEDED":
        output = json.loads(told["output"])
        if isinstance(output, dict) and "d" in output:
            output["d"] = "an error"
        assert output == expected.output
    took = (told["stopDate"] - told["startDate"]).total_seconds()
    assert -0.001 <= took - expected.seconds < 0.05 * (1 + len(flows.seen))
    assert flows.kernel.pending() == 0
