"""The composed template: what it declares is what the code and the API need."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from pynamodb.attributes import TTLAttribute

from chalicelib.domain.flows import FLOWS, LOOK
from chalicelib.settings import LIMITS, TIMEOUTS, Settings
from chalicelib.store.base import Table
from chalicelib.store.models import TABLES
from infra.package.sources import PROJECT_ROOT
from infra.package.template import FUNCTIONS, compose, merge, policy

POLICIES = PROJECT_ROOT / "infra" / "policies"
# A task token is the authority for these; AWS takes no resource for them.
WITHOUT_RESOURCE = {"states:SendTaskSuccess"}
FUNCTION_TIMEOUT_SECONDS = 20


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return compose(PROJECT_ROOT, "x86_64")


def declared_tables(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables of the template by their name behind the prefix."""
    return {
        resource["Properties"]["TableName"]["Fn::Sub"].removeprefix("${Prefix}-"): resource
        for resource in template["Resources"].values()
        if resource.get("Type") == "AWS::DynamoDB::Table"
    }


def keys(schema: Any) -> set[tuple[str, str]]:
    return {(key["AttributeName"], key["KeyType"]) for key in schema}


def types(definitions: Any) -> dict[str, str]:
    return {item["AttributeName"]: item["AttributeType"] for item in definitions}


@pytest.mark.parametrize("model", TABLES)
def test_a_table_has_the_keys_and_indexes_of_its_model(
    model: type[Table], template: dict[str, Any]
) -> None:
    name = model.Meta.table_name.removeprefix("coffer-")
    declared = declared_tables(template)[name]["Properties"]
    schema: dict[str, Any] = dict(model._get_schema())
    assert keys(declared["KeySchema"]) == keys(schema["key_schema"])
    expected = {
        index["index_name"]: (keys(index["key_schema"]), index["projection"])
        for index in schema["global_secondary_indexes"]
    }
    present = {
        index["IndexName"]: (keys(index["KeySchema"]), index["Projection"])
        for index in declared.get("GlobalSecondaryIndexes", [])
    }
    assert present == expected
    assert types(declared["AttributeDefinitions"]) == types(schema["attribute_definitions"])


@pytest.mark.parametrize("model", TABLES)
def test_a_table_expires_rows_where_its_model_says_so(
    model: type[Table], template: dict[str, Any]
) -> None:
    declared = declared_tables(template)[model.Meta.table_name.removeprefix("coffer-")]
    expiring = [
        attribute.attr_name
        for attribute in model.get_attributes().values()
        if isinstance(attribute, TTLAttribute)
    ]
    ttl = declared["Properties"].get("TimeToLiveSpecification", {})
    assert ([ttl["AttributeName"]] if ttl else []) == expiring


def test_there_is_no_table_without_a_model(template: dict[str, Any]) -> None:
    modelled = {model.Meta.table_name.removeprefix("coffer-") for model in TABLES}
    assert set(declared_tables(template)) == modelled


def test_every_variable_of_the_functions_is_a_setting(template: dict[str, Any]) -> None:
    given = set(template["Globals"]["Function"]["Environment"]["Variables"])
    for resource in template["Resources"].values():
        given |= set(resource.get("Properties", {}).get("Environment", {}).get("Variables", {}))
    known = {
        name.upper() if name.startswith("os_") else f"COFFER_{name.upper()}"
        for name in (field.name for field in msgspec.structs.fields(Settings))
    }
    assert given <= known | {TIMEOUTS, LIMITS}


def test_every_timeout_is_given_to_the_functions(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    told = dict(each.split("=") for each in variables[TIMEOUTS]["Fn::Sub"].split())
    names = [name.removesuffix("_timeout_seconds") for name in Settings.__struct_fields__]
    assert told == {
        name: f"${{{name.title()}TimeoutSeconds}}"
        for name in names
        if f"{name}_timeout_seconds" in Settings.__struct_fields__
    }


def test_the_bound_of_each_flow_is_a_parameter_with_the_settings_own_default(
    template: dict[str, Any],
) -> None:
    bounds = {flow.timeout for flow in FLOWS.values()}
    bounds |= {each.timeout for flow in FLOWS.values() for each in (*flow.steps, *flow.undo)} - {""}
    for name in bounds:
        parameter = f"{name.removesuffix('_timeout_seconds').title()}TimeoutSeconds"
        assert template["Parameters"][parameter]["Default"] == getattr(Settings(), name), name


def test_a_message_is_hidden_for_six_times_the_function_timeout(template: dict[str, Any]) -> None:
    default = template["Parameters"]["QueueVisibilitySeconds"]["Default"]
    assert default >= 6 * FUNCTION_TIMEOUT_SECONDS
    queues = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource.get("Type") == "AWS::SQS::Queue"
    ]
    assert len(queues) == 4
    assert all(queue["VisibilityTimeout"] == {"Ref": "QueueVisibilitySeconds"} for queue in queues)


def test_the_task_manager_and_conductor_queues_have_dead_letters(template: dict[str, Any]) -> None:
    for name in ("TaskManagerQueue", "ConductorQueue"):
        redrive = template["Resources"][name]["Properties"]["RedrivePolicy"]
        assert redrive == {
            "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLettersQueue", "Arn"]},
            "maxReceiveCount": 5,
        }
    heartbeats = template["Resources"]["HeartbeatsQueue"]["Properties"]
    assert "RedrivePolicy" not in heartbeats
    assert heartbeats["MessageRetentionPeriod"] == 300


def test_batches_answer_with_what_failed(template: dict[str, Any]) -> None:
    sources = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource.get("Type") == "AWS::Lambda::EventSourceMapping"
    ]
    assert len(sources) == 4
    assert all(item["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for item in sources)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_each_function_has_a_role_and_a_log_group_of_its_own(
    function: Any, template: dict[str, Any]
) -> None:
    resources = template["Resources"]
    assert resources[function.logical_id]["Properties"]["Role"] == {
        "Fn::GetAtt": [function.role, "Arn"]
    }
    statement = resources[function.role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement[0]["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert resources[f"{function.logical_id}Logs"]["Properties"]["RetentionInDays"] == {
        "Ref": "LogRetentionDays"
    }


def test_what_ends_operations_has_executions_of_its_own(template: dict[str, Any]) -> None:
    """However many requests the API is busy with."""
    reserved = {function.name: function.reserved for function in FUNCTIONS}
    for name in ("dispatcher", "conductor", "heartbeats", "taskmanager", "taskmanager-cloud"):
        assert reserved[name] > 0
    assert reserved["api"] == 0
    for function in FUNCTIONS:
        declared = template["Parameters"][f"{function.logical_id}Concurrency"]
        assert declared["Default"] == str(function.reserved)


def test_a_condition_compares_texts(template: dict[str, Any]) -> None:
    """LocalStack takes no number for a text: a function with 0 for "none" would never run."""
    equals = re.findall(r'\{"Fn::Equals": \[\{"Ref": "(\w+)"\}, ([^]]+)\]\}', json.dumps(template))
    assert {name for name, _ in equals} >= {f"{each.logical_id}Concurrency" for each in FUNCTIONS}
    for name, value in equals:
        assert isinstance(json.loads(value), str), name
        assert isinstance(template["Parameters"][name].get("Default", ""), str), name


def test_the_stage_throttles_all_of_its_methods(template: dict[str, Any]) -> None:
    (settings,) = template["Resources"]["RestAPI"]["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
        assert template["Parameters"][settings[limit]["Ref"]]["MinValue"] == 1


@pytest.mark.parametrize("name", sorted(file.stem for file in POLICIES.glob("*.json")))
def test_a_policy_names_its_actions_and_resources(name: str) -> None:
    for statement in policy(POLICIES, name)["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        for resource in statement["Resource"]:
            if resource == "*":
                assert set(statement["Action"]) <= WITHOUT_RESOURCE
            else:
                own = ("${Prefix}", "${SecretsPath}", "${PackageBucket}", "${BackupsBucket}")
                assert any(each in resource["Fn::Sub"] for each in own)


def test_a_guest_may_reach_queues_and_objects_of_backups_and_nothing_else() -> None:
    actions = {
        action
        for statement in policy(POLICIES, "guest")["Statement"]
        for action in statement["Action"]
    }
    assert actions == {
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
        *("sqs:SendMessage", "s3:PutObject", "s3:GetObject"),
    }


@pytest.mark.parametrize("name", sorted(file.stem for file in POLICIES.glob("*.json")))
def test_buckets_are_those_of_the_account_alone(name: str) -> None:
    """Of one that was removed anybody can take the name."""
    own = {"StringEquals": {"aws:ResourceAccount": {"Fn::Sub": "${AWS::AccountId}"}}}
    for statement in policy(POLICIES, name)["Statement"]:
        of_bucket = "Bucket}" in json.dumps(statement["Resource"])
        assert statement.get("Condition") == (own if of_bucket else None)


def test_only_the_api_may_lend_the_guest_role(template: dict[str, Any]) -> None:
    trust = template["Resources"]["GuestRole"]["Properties"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"AWS": {"Fn::GetAtt": ["APIHandlerRole", "Arn"]}}
    lenders = [
        function.name
        for function in FUNCTIONS
        if "sts:AssumeRole" in json.dumps(policy(POLICIES, function.name))
    ]
    assert lenders == ["api"]


def test_each_definition_is_deployed_with_what_it_refers_to(template: dict[str, Any]) -> None:
    machines = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource.get("Type") == "AWS::StepFunctions::StateMachine"
    ]
    assert len(machines) == len([*FLOWS, LOOK])
    for machine in machines:
        referred = set(re.findall(r"\$\{(\w+)\}", machine["DefinitionString"]))
        assert referred <= set(machine["DefinitionSubstitutions"])


def test_the_gateway_refuses_in_troves_words(template: dict[str, Any]) -> None:
    responses = template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
    for response in responses.values():
        text = response["ResponseTemplates"]["application/json"]
        fault = json.loads(text.replace("$context.error.messageString", '"a message"'))
        ((_, body),) = fault.items()
        assert body["code"] == response["StatusCode"]
        assert body["message"]


@pytest.mark.parametrize(
    "part",
    [*PROJECT_ROOT.glob("infra/**/*.yaml"), *PROJECT_ROOT.glob(".github/workflows/*.yml")],
    ids=lambda part: part.name,
)
def test_no_part_says_anything_twice(part: Path) -> None:
    """Of two values of one key YAML's reader takes the last, in silence."""

    def pairs(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
        if isinstance(node, yaml.MappingNode):
            yield node
            for _, value in node.value:
                yield from pairs(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                yield from pairs(value)

    for mapping in pairs(yaml.compose(part.read_text(), Loader=yaml.SafeLoader)):
        keys = [key.value for key, _ in mapping.value]
        assert len(keys) == len(set(keys)), f"{part.name}:{mapping.start_mark.line}: {keys}"


def test_merging_replaces_values_and_joins_mappings() -> None:
    into = {"a": {"b": 1, "c": [1]}, "d": 1}
    merge(into, {"a": {"c": [2], "e": 3}, "d": {"f": 4}})
    assert into == {"a": {"b": 1, "c": [2], "e": 3}, "d": {"f": 4}}
