"""What a definition may hold: everything else is refused when it is loaded, and named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.package.state_machines import rendered
from simulator import template
from simulator.aws.stepfunctions import DefinitionError
from simulator.aws.stepfunctions.definition import from_text
from tests.simulator.flows.flows import AND_WAIT, FUNCTION, Flows, machine, only, task

ARNS = {"TaskManagerArn": FUNCTION, "TaskManagerCloudArn": FUNCTION}
PASS = {"Type": "Pass", "End": True}


def test_the_shipped_definitions_load_under_the_names_of_the_template(flows: Flows) -> None:
    arns = flows.service.create_all(template.flows(), ARNS)
    names = [arn.rsplit(":", 1)[1] for arn in arns]
    assert {"coffer-create-instance", "coffer-delete-instance"} <= set(names)
    assert len(names) == len(rendered())


def test_a_substitution_that_is_missing_is_named() -> None:
    with pytest.raises(DefinitionError, match="TaskManagerCloudArn"):
        from_text(rendered()["create_instance"], {"TaskManagerArn": FUNCTION})


def retry(**more: Any) -> dict[str, Any]:
    """A Task with one entry of Retry."""
    return only(task(Retry=[{"ErrorEquals": ["A"], **more}]))


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"StartAt": "A", "States": {}}, "States must be an object"),
        ({"StartAt": "B", "States": {"A": PASS}}, "no state 'B'"),
        (machine(A={"Type": "Pass", "Next": "B"}), "no state 'B'"),
        (machine(A={"Type": "Pass"}), "state 'A': needs either Next or End"),
        (machine(A=PASS | {"Next": "A"}), "needs either Next or End"),
        (machine(A={"Type": "Choices"}), "state 'A': the type must be one of Task"),
        (machine(A=PASS) | {"QueryLanguage": "JSONata"}, "only the query language JSONPath"),
        (machine(A=PASS | {"QueryLanguage": "JSONata"}), "only the query language JSONPath"),
        (machine(A=PASS) | {"Version": "2.0"}, "Version"),
        (machine(A=PASS) | {"Colour": 1}, "field 'Colour' is not supported"),
        (machine(A=PASS) | {"TimeoutSeconds": 0}, "TimeoutSeconds must be between"),
        (only(PASS | {"Assign": {"a": 1}}), "state 'Only': the field 'Assign' is not supported"),
        (only(PASS | {"Retry": []}), "field 'Retry'"),
        (only(task(Credentials={})), "field 'Credentials'"),
        (only(task(Resource="arn:aws:states:::sqs:sendMessage")), "resource .* is not supported"),
        (only(task(Resource="arn:aws:states:::lambda:invoke.sync")), "resource"),
        (only(task(Resource=AND_WAIT)), "needs Parameters"),
        (only(task(Resource=AND_WAIT, Parameters={"Payload": {}})), "need a FunctionName"),
        (
            only(task(Resource=AND_WAIT, Parameters={"FunctionName": "f", "Qualifier": "1"})),
            "'Qualifier'",
        ),
        (only(task(TimeoutSeconds="5")), "TimeoutSeconds must be a number"),
        (only(task(TimeoutSeconds=1.5)), "TimeoutSeconds must be a whole number"),
        (only(task(TimeoutSeconds=5, HeartbeatSeconds=5)), "HeartbeatSeconds must be less"),
        (only(task(TimeoutSeconds=5, TimeoutSecondsPath="$.t")), "exclude each other"),
        (only(task(InputPath="$..a")), "'\\$..a': this kind of path is not supported"),
        (only(task(InputPath="$.a[*]")), "this kind of path"),
        (only(task(InputPath="a")), "'a' is not a path"),
        (only(task(ResultPath="$$.a")), "context object can't be used"),
        (only(task(Parameters={"a.$": "States.UUID()"})), "intrinsic functions"),
        (only(task(Parameters={"a.$": 5})), "5 is not a path"),
        (only(task(Parameters={"a": 1, "a.$": "$"})), "stands twice"),
        (retry(IntervalSeconds=0), "IntervalSeconds must be between"),
        (retry(BackoffRate=0.5), "BackoffRate must be between"),
        (retry(MaxAttempts=True), "MaxAttempts must be a number"),
        (retry(MaxDelaySeconds=1), "MaxDelaySeconds must exceed"),
        (retry(JitterStrategy="SOME"), "JitterStrategy must be"),
        (retry(Delay=1), "Retry: the field 'Delay'"),
        (retry(ErrorEquals=[]), "ErrorEquals must be a list"),
        (retry(ErrorEquals=["States.ALL", "A"]), "must stand alone"),
        (
            only(task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}])),
            "must stand alone, and last",
        ),
        (only(task(Catch=[{"ErrorEquals": ["A"], "Next": "No"}])), "no state 'No'"),
        (only(task(Catch=[{"ErrorEquals": ["A"]}])), "no state 'None'"),
        (only({"Type": "Wait"}), "needs one of Seconds"),
        (only({"Type": "Wait", "Seconds": 1, "Timestamp": "x"}), "exclude each other"),
        (only({"Type": "Wait", "Timestamp": "tomorrow"}), "is not a timestamp"),
        (only({"Type": "Fail", "Error": 1}), "Error must be a text"),
        (only({"Type": "Parallel", "Branches": []}), "Branches must be a list"),
        (
            only({"Type": "Parallel", "Branches": [machine(A={"Type": "Pass", "Next": "Only"})]}),
            "branch 0: there is no state 'Only'",
        ),
        (only({"Type": "Map"}), "needs an ItemProcessor"),
        (
            only(
                {
                    "Type": "Map",
                    "ItemProcessor": {
                        "ProcessorConfig": {"Mode": "DISTRIBUTED"},
                        **machine(A=PASS),
                    },
                }
            ),
            "only the mode INLINE",
        ),
    ],
)
def test_what_is_refused(definition: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        from_text(json.dumps(definition), {})


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "one of And, Or, Not"),
        ({"Variable": "$.a"}, "needs one comparator"),
        ({"Variable": "$.a", "StringEquals": "a", "IsNull": True}, "needs one comparator"),
        ({"Variable": "$.a", "StringEquals": 5}, "can't compare with 5"),
        ({"Variable": "$.a", "BooleanLessThan": True}, "'BooleanLessThan' is not known"),
        ({"Variable": "$.a", "NumericEqual": 1}, "'NumericEqual' is not known"),
        ({"Variable": "$.a", "IsNull": "yes"}, "must be true or false"),
        ({"Xor": []}, "'Xor' is not supported"),
        ({"And": []}, "'And' is not supported"),
        ({"Not": {"Variable": "$.a", "IsNull": True, "Next": "Only"}}, "needs one comparator"),
    ],
)
def test_choice_rules_that_are_refused(rule: dict[str, Any], words: str) -> None:
    definition = machine(Only={"Type": "Choice", "Choices": [{**rule, "Next": "Only"}]})
    with pytest.raises(DefinitionError, match=words) as error:
        from_text(json.dumps(definition), {})
    assert "state 'Only'" in str(error.value)
