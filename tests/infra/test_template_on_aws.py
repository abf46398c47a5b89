"""What an account gets that no emulator has, what is kept, and what only the parameters bring."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local.overlay import OVERLAY, overlaid
from infra.local.settings import REGION
from infra.package.alarms import alarms
from infra.package.build import Build
from infra.package.conditions import Chosen
from infra.package.key import READ_SECRET, SEALING_ACTIONS, resources_of
from infra.package.sources import PROJECT_ROOT
from infra.package.template import FUNCTIONS, TAGS, compose, policy

NAMES = [(function.logical_id, function.name) for function in FUNCTIONS]
POLICIES = PROJECT_ROOT / "infra" / "policies"
MADE_AGAIN = {
    "rollouts": "history: a rollout under way goes on without its row",
    "commands": "what guests are asked: asked again",
    "service-statuses": "what guests report: reported again",
    "calls": "who calls guests at this moment",
    "kept-replies": "answers to requests with a key, for a day",
    "flavors": "a mirror of the cloud's, made anew every ten minutes",
    "jobs": "where the maintenance is: it begins again",
}
"""Tables that nobody misses, each with what comes instead."""
ONLY_ON_AWS = Counter(
    {
        "AWS::ApiGateway::Account": 1,
        "AWS::CloudWatch::Alarm": len(list(alarms(NAMES))),
        "AWS::CloudWatch::Dashboard": 1,
        "AWS::IAM::Role": 1,
        "AWS::Logs::LogGroup": 2,
        "AWS::Logs::MetricFilter": len(FUNCTIONS),
        "AWS::SNS::Topic": 1,
    }
)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return compose(PROJECT_ROOT, "x86_64")


def kinds(resources: dict[str, Any]) -> Counter[str]:
    return Counter(each.get("Type", "of Chalice") for each in resources.values())


def of_kind(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: each for name, each in resources.items() if each.get("Type") == kind}


def test_an_emulator_lacks_these_and_nothing_else(template: dict[str, Any]) -> None:
    on_aws = Chosen(template).resources
    emulated = Chosen(template, Emulated="true").resources
    assert kinds(on_aws) - kinds(emulated) == ONLY_ON_AWS
    assert not kinds(emulated) - kinds(on_aws)
    machine = on_aws["CreateInstance"]["Properties"]["LoggingConfiguration"]
    assert machine["IncludeExecutionData"] is False
    assert "LoggingConfiguration" not in emulated["CreateInstance"]["Properties"]
    assert "AccessLogSetting" not in emulated["RestAPI"]["Properties"]


def test_what_is_deployed_to_an_account_has_no_parameter_of_the_tests(
    template: dict[str, Any], tmp_path: Path
) -> None:
    assert json.dumps(template).lower().count("crash") == 0
    plain = tmp_path / "sam.json"
    plain.write_text(json.dumps({"Parameters": {"Prefix": {}}, "Globals": {"Function": {}}}))
    built = Build("a digest", plain, tmp_path, tmp_path)
    local = overlaid(built)
    assert local.digest != built.digest
    assert overlaid(built) == local
    added = yaml.safe_load(OVERLAY.read_text())["Parameters"]
    assert json.loads(local.template.read_text())["Parameters"] == {"Prefix": {}, **added}


@pytest.mark.parametrize("protects", ["true", "false"])
def test_a_table_is_kept_in_every_way_or_fills_itself(
    protects: str, template: dict[str, Any]
) -> None:
    chosen = Chosen(template, DeletionProtection=protects).resources
    for table in of_kind(chosen, "AWS::DynamoDB::Table").values():
        properties = table["Properties"]
        name = properties["TableName"]["Fn::Sub"].removeprefix("${Prefix}-")
        ways = {
            "recovery": "PointInTimeRecoverySpecification" in properties,
            "protection": properties.get("DeletionProtectionEnabled", False),
            "deletion": table.get("DeletionPolicy") == "RetainExceptOnCreate",
            "replacement": table.get("UpdateReplacePolicy") == "Retain",
        }
        kept = name not in MADE_AGAIN
        assert ways == dict.fromkeys(ways, kept) | {"protection": kept and protects == "true"}, name


def test_the_key_encrypts_all_that_stays_or_the_secrets_alone(template: dict[str, Any]) -> None:
    def encrypted(**given: str) -> Counter[str]:
        resources = Chosen(template, **given).resources
        ways = {"SSESpecification", "KmsKeyId", "KmsMasterKeyId"}
        return Counter(
            each["Type"] for each in resources.values() if ways & set(each.get("Properties", ()))
        )

    everything = kinds(Chosen(template).resources)
    stays = ("AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::SNS::Topic")
    assert encrypted() == {kind: everything[kind] for kind in stays}
    assert encrypted(EncryptWithKey="secrets") == {}


def test_the_key_opens_a_secret_for_whom_its_policy_lets_read_it(template: dict[str, Any]) -> None:
    statements = template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
    opened = {
        statement["Principal"]["AWS"][0]["Fn::GetAtt"][0]: statement["Condition"]["StringEquals"]
        for statement in statements
        if statement["Action"] == ["kms:Decrypt"]
    }
    readers = {
        function.role: resources_of(policy(POLICIES, function.name), READ_SECRET)
        for function in FUNCTIONS
    }
    assert {role: each["kms:EncryptionContext:PARAMETER_ARN"] for role, each in opened.items()} == {
        role: secrets for role, secrets in readers.items() if secrets
    }
    assert all(each["kms:ViaService"]["Fn::Sub"].startswith("ssm.") for each in opened.values())


def test_the_key_seals_backups_for_who_reads_their_ring_and_each_for_a_project(
    template: dict[str, Any],
) -> None:
    statements = template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
    (sealing,) = [each for each in statements if each["Action"] == list(SEALING_ACTIONS)]
    assert sealing["Principal"] == {"AWS": [{"Fn::GetAtt": ["APIHandlerRole", "Arn"]}]}
    assert sealing["Condition"] == {
        "StringEquals": {"kms:EncryptionContext:deployment": {"Ref": "DeploymentId"}},
        "StringLike": {"kms:EncryptionContext:project": "?*"},
    }


def test_the_key_seals_backups_in_an_account_and_the_ring_on_one_machine(
    template: dict[str, Any],
) -> None:
    def chosen(**given: str) -> Any:
        function = Chosen(template, **given).resources["APIHandler"]["Properties"]
        return function["Environment"]["Variables"]["COFFER_SEAL_BACKUPS_WITH"]

    assert chosen() == {"Ref": "SealBackupsWith"}
    assert template["Parameters"]["SealBackupsWith"]["Default"] == "key"
    assert chosen(Emulated="true") == "ring"


def test_whoever_uses_tables_may_use_their_key(template: dict[str, Any]) -> None:
    statements = template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
    (tables,) = [each for each in statements if each["Sid"] == "FunctionsUseTables"]
    users = {each["Fn::GetAtt"][0] for each in tables["Principal"]["AWS"]}
    assert users == {function.role for function in FUNCTIONS}
    assert "kms:ViaService" in tables["Condition"]["StringEquals"]


def test_no_one_but_the_account_and_services_may_use_the_key_without_a_condition(
    template: dict[str, Any],
) -> None:
    statements = template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
    free = [each["Sid"] for each in statements if "Condition" not in each]
    assert free == ["TheAccountAdministers"]
    assert not any(each["Principal"] == "*" or "*" in each["Principal"] for each in statements)


def test_everything_that_takes_tags_has_the_deployments(template: dict[str, Any]) -> None:
    # Each worker of a run loads this module, and cfn-lint takes a second of it.
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    for name, resource in template["Resources"].items():
        kind = resource.get("Type", "AWS::Serverless::Api")
        if kind.startswith("AWS::Serverless::"):
            continue
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
        taggable = schema.get("tagging", {}).get("taggable", False)
        tags = {each["Key"] for each in resource["Properties"].get("Tags", [])}
        assert tags == (set(TAGS) if taggable else set()), name
    assert template["Globals"]["Function"]["Tags"] == TAGS
    assert template["Resources"]["RestAPI"]["Properties"]["Tags"] == TAGS


def test_every_log_group_forgets(template: dict[str, Any]) -> None:
    groups = of_kind(template["Resources"], "AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + 2
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_access_log_is_a_line_of_json_without_a_header(template: dict[str, Any]) -> None:
    setting = Chosen(template).resources["RestAPI"]["Properties"]["AccessLogSetting"]
    line = json.loads(setting["Format"])
    assert {"request_id", "status", "route", "function_request_id"} <= set(line)
    for written_freely in ("header", "userAgent", "querystring", "body", "authorizer"):
        assert written_freely not in setting["Format"]


def test_every_role_takes_the_boundary(template: dict[str, Any]) -> None:
    bounded = Chosen(template, PermissionsBoundaryArn="arn:boundary").resources
    free = Chosen(template).resources
    for name, role in of_kind(bounded, "AWS::IAM::Role").items():
        assert role["Properties"]["PermissionsBoundary"] == {"Ref": "PermissionsBoundaryArn"}
        assert "PermissionsBoundary" not in free[name]["Properties"]


def test_who_calls_the_cloud_is_in_the_vpc_and_its_code_has_no_right_there(
    template: dict[str, Any],
) -> None:
    given = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}
    inside, outside = Chosen(template, **given).resources, Chosen(template).resources
    for function in FUNCTIONS:
        properties = inside[function.logical_id]["Properties"]
        policies = inside[function.role]["Properties"]["Policies"]
        assert ("VpcConfig" in properties) == function.calls_cloud
        assert "VpcConfig" not in outside[function.logical_id]["Properties"]
        assert len(outside[function.role]["Properties"]["Policies"]) == 1
        if function.calls_cloud:
            allowed, denied = policies[1]["PolicyDocument"]["Statement"]
            assert (allowed["Action"], denied["Effect"]) == (denied["Action"], "Deny")
            itself = denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]["Fn::Sub"]
            assert itself.endswith(f":function:${{Prefix}}-{function.name}")
    assert {function.name for function in FUNCTIONS if function.calls_cloud} == {
        "api",
        "taskmanager-cloud",
    }


@pytest.mark.parametrize(
    ("given", "added"),
    [
        (
            {"DomainName": "database.example.org", "CertificateArn": "arn:certificate"},
            {"Domain", "DomainMapping"},
        ),
        ({"RequestsPerAddress": "2000"}, {"WebAcl", "WebAclOfStage"}),
        ({"WebAclArn": "arn:acl"}, {"GivenWebAclOfStage"}),
        ({"AlarmEmail": "operator@example.org"}, {"AlarmSubscription"}),
        ({"AlarmTopicArn": "arn:topic"}, {"-AlarmTopic"}),
        ({"ApiGatewayLogRoleArn": "arn:role"}, {"-GatewayLogRole"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_brings_what_it_names(
    given: dict[str, str], added: set[str], template: dict[str, Any]
) -> None:
    before, after = set(Chosen(template).resources), set(Chosen(template, **given).resources)
    assert (after - before) | {f"-{name}" for name in before - after} == added


def test_links_begin_with_the_domain(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["COFFER_PUBLIC_ENDPOINT"]["Fn::If"] == [
        "HasDomain",
        {"Fn::Sub": "https://${DomainName}"},
        {"Ref": "PublicEndpoint"},
    ]
