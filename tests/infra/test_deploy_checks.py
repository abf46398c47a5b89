"""What `coffer deploy` finds wrong with an account, with its own options, and with both sides."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.cli import deploy
from infra.deploy import Stack
from infra.deployment import checks, given, run
from infra.deployment.checks import Finding
from infra.deployment.openstack import Cloud, CloudError
from infra.deployment.survey import Survey, Wanted
from infra.deployment.undeploy import InstancesLiveError, require_no_instances
from infra.errors import UnusableInputError
from infra.local import overlay
from infra.local.stack import OF_ONE_MACHINE
from infra.package.sources import PROJECT_ROOT
from infra.package.template import compose
from infra.target import Target
from tests.infra.test_cli import coffer

TARGET = Target("us-east-1")
LIMITS = {"ConcurrentExecutions": 250, "UnreservedConcurrentExecutions": 250}
OURS = Stack("CREATE_COMPLETE", {"PackageKey": "d1/functions.zip"}, {})


@pytest.fixture(autouse=True)
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of moto's, and no other credentials or clouds than those of a test."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "OS_CLOUD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COFFER_STATE", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def no_cloud() -> Cloud:
    raise CloudError("There is no cloud.")


def survey(
    wanted: Wanted | None = None, target: Target = TARGET, present: Stack | None = None
) -> Survey:
    made = Survey(wanted or Wanted("dbs"), lambda: target, no_cloud)
    vars(made)["present"] = present
    return made


def finding(looked_at: Survey, name: str) -> Finding:
    (found,) = checks.findings(looked_at, only=(name,))
    return found


def _with_client(made: Survey, monkeypatch: pytest.MonkeyPatch, **calls: Any) -> Survey:
    monkeypatch.setattr(Target, "client", lambda *_: SimpleNamespace(**calls))
    vars(made)["account"] = "1"
    return made


def _refused(code: str) -> Callable[..., Any]:
    def call(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Call")

    return call


def _no_region(_: pytest.MonkeyPatch) -> Survey:
    return Survey(Wanted("dbs"), lambda: Target.configured(None, None), no_cloud)


def _no_profile(_: pytest.MonkeyPatch) -> Survey:
    return Survey(Wanted("dbs"), lambda: Target.configured("nobody", None), no_cloud)


def _no_credentials(patch: pytest.MonkeyPatch) -> Survey:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.delenv(name)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setattr(boto3, "DEFAULT_SESSION", None)
    return survey()


def _taken_bucket(patch: pytest.MonkeyPatch) -> Survey:
    return _with_client(survey(), patch, head_bucket=_refused("403"), get_caller_identity=_account)


def _account() -> dict[str, str]:
    return {"Account": "1"}


def _bucket(name: str, *, versions: bool = False) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=name)
    if versions:
        status = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)


def _with(parameters: dict[str, str]) -> Callable[[pytest.MonkeyPatch], Survey]:
    return lambda _: survey(Wanted("dbs", parameters=parameters))


def _moved_backups(_: pytest.MonkeyPatch) -> Survey:
    _bucket("new")
    wanted = Wanted("dbs", parameters={"BackupsBucket": "new"})
    return survey(wanted, present=OURS._replace(parameters={"BackupsBucket": "old"}))


def _no_such_bucket(_: pytest.MonkeyPatch) -> Survey:
    return survey(Wanted("dbs", parameters={"BackupsBucket": "nowhere"}))


def _old_tables(_: pytest.MonkeyPatch) -> Survey:
    boto3.client("dynamodb", region_name="us-east-1").create_table(
        TableName="dbs-instances",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return survey()


def _small_account(patch: pytest.MonkeyPatch) -> Survey:
    return _with_client(survey(), patch, get_account_settings=lambda: {"AccountLimit": LIMITS})


class Case(NamedTuple):
    """A check, what makes it fail, and words of what is said and advised."""

    check: str
    survey: Callable[[pytest.MonkeyPatch], Survey]
    said: str
    advice: str


CASES = (
    Case("aws-region", _no_region, "No AWS region is named", "--region"),
    Case("aws-region", _no_profile, "nobody", "aws configure list-profiles"),
    Case("aws-credentials", _no_credentials, "no AWS credentials", "--profile NAME"),
    Case("stack", lambda _: survey(Wanted("D B")), "can't be a deployment's name", "--stack"),
    Case(
        "stack",
        lambda _: survey(present=Stack("CREATE_COMPLETE", {}, {})),
        "no coffer has deployed it",
        "--stack NAME",
    ),
    Case(
        "parameters",
        lambda _: survey(Wanted("dbs", parameters={"HeartbeatSecond": "5"})),
        "no parameter HeartbeatSecond",
        "HeartbeatSeconds?",
    ),
    *(
        Case("parameters", _with(given), said, advice)
        for given, said, advice in (
            ({"HeartbeatSeconds": "soon"}, "'soon' and has to be a whole number from 1 to 300", ""),
            ({"HeartbeatSeconds": "301"}, "'301' and has to be a whole number from 1 to 300", ""),
            ({"TaskManagerConcurrency": "1.5"}, "'1.5' and has to be a whole number from 0", ""),
            ({"LogLevel": "info"}, "has to be one of DEBUG, INFO, WARNING, ERROR", ""),
            ({"VolumeZones": "az1"}, "VolumeZones is 'az1' and has to be like", ""),
            ({"OpenStackCaCertificate": "x" * 1801}, "1801 characters, and has to have 1800", ""),
            ({"Limits": "quota_instance=5"}, "Limits names 'quota_instance', and there", ""),
            ({"Limits": "page_size=0"}, "page_size in Limits is '0' and has to be", "docs/limits"),
            ({"Limits": "quota_instances=x"}, "'quota_instances=x' and has to be like", ""),
            ({"Prefix": "other"}, "coffer deploy decides Prefix itself", "--stack NAME"),
            ({"SecretsPath": "/x"}, "coffer deploy decides SecretsPath itself", "--stack NAME"),
            ({"OpenStackProjectName": "x"}, "OpenStackProjectName itself", "--service-project"),
            ({"HeartbeatSeconds": "200"}, "at least twice HeartbeatSeconds (200)", "the other"),
            ({"RebuildTimeoutSeconds": "7200"}, "more than RebuildTimeoutSeconds", "the other"),
            ({"SubnetIds": "subnet-1"}, "both SubnetIds and SecurityGroupIds", "the other"),
            ({"RequestsPerAddress": "9"}, "0, or at least 10", "the other"),
            ({"DomainName": "db.example.org"}, "DomainName needs CertificateArn", "the other"),
            ({"AlarmEmail": "a@b", "AlarmTopicArn": "arn"}, "AlarmEmail is for the", "the other"),
            (
                {"DomainName": "a.org", "CertificateArn": "arn:aws:acm:eu-west-1:1:certificate/1"},
                "has to be of this region's ACM (acm:us-east-1)",
                "Correct it",
            ),
            ({"PublicEndpoint": "db.example.org"}, "has to be the root of the API", "Correct it"),
            ({"PublicEndpoint": "https://[db"}, "has to be the root of the API", "Correct it"),
            ({"PublicEndpoint": "https://a.org/v1.0"}, "Coffer puts /v1.0 behind", "Correct it"),
        )
    ),
    Case("bucket", _taken_bucket, "belongs to another account", "--stack NAME"),
    Case("backups", _taken_bucket, "belongs to another account", "--stack NAME"),
    Case("backups", _moved_backups, "Backups lie in old", "aws s3 sync s3://old s3://new"),
    Case("backups", _no_such_bucket, "no bucket nowhere", "leave BackupsBucket out"),
    Case("tables", _old_tables, "still there: dbs-instances", "coffer undeploy --tables"),
    Case(
        "lambda-concurrency",
        _small_account,
        "may run 250 executions at once",
        "request-service-quota-increase --service-code lambda --quota-code L-B99A9384",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}: {case.said[:20]}")
def test_a_check_says_what_is_wrong_and_what_to_do(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = finding(case.survey(monkeypatch), case.check)
    assert found.verdict == "failure"
    assert case.said in found.said
    assert case.advice in found.advice


def test_wrong_values_are_told_together() -> None:
    wrong = {"HeartbeatSeconds": "0", "LogLevel": "LOUD"}
    found = finding(survey(Wanted("dbs", parameters=wrong)), "parameters")
    assert "HeartbeatSeconds is '0'" in found.said
    assert "LogLevel is 'LOUD'" in found.said


def test_a_value_is_held_against_what_the_stack_keeps() -> None:
    slow = OURS._replace(parameters={"HeartbeatExpirySeconds": "600"})
    wanted = Wanted("dbs", parameters={"HeartbeatSeconds": "200"})
    assert finding(survey(wanted, present=slow), "parameters").verdict == "ok"
    back = Wanted("dbs", parameters={"HeartbeatExpirySeconds": "360"})
    fast = OURS._replace(parameters={"HeartbeatSeconds": "200"})
    assert finding(survey(back, present=fast), "parameters").verdict == "failure"


def test_limits_that_are_kept_are_looked_at_again() -> None:
    """A later release may have others, and a function with a wrong one does not start."""
    old = OURS._replace(parameters={"Limits": "of_another_release=5"})
    found = finding(survey(Wanted("dbs"), present=old), "parameters")
    assert "Limits names 'of_another_release'" in found.said
    given = Wanted("dbs", parameters={"Limits": ""})
    assert finding(survey(given, present=old), "parameters").verdict == "ok"


def test_a_deployment_that_stands_keeps_its_id() -> None:
    """What carries another one in the cloud is nobody's business."""
    given = Wanted("dbs", parameters={"DeploymentId": "of-staging"})
    stands = OURS._replace(parameters={"DeploymentId": "of-production"})
    found = finding(survey(given, present=stands), "parameters")
    assert "its id, of-production; by DeploymentId of-staging it would find none" in found.said
    assert finding(survey(given), "parameters").verdict == "ok", "tables that stayed are taken over"
    same = OURS._replace(parameters={"DeploymentId": "of-staging"})
    assert finding(survey(given, present=same), "parameters").verdict == "ok"


def test_what_is_decided_may_be_given_as_it_is() -> None:
    given = Wanted("dbs", parameters={"Prefix": "dbs", "SecretsPath": "/dbs"})
    assert finding(survey(given), "parameters").verdict == "ok"


def test_an_endpoint_may_have_a_path_and_capitals() -> None:
    domain = {"DomainName": "DB.example.org", "CertificateArn": "arn:aws:acm:us-east-1:1:c/1"}
    for endpoint in ("https://db.example.org", "https://DB.example.org/database"):
        wanted = Wanted("dbs", parameters=domain, public_endpoint=endpoint)
        assert finding(survey(wanted), "parameters").verdict == "ok"


def test_every_default_of_the_template_passes_its_own_check() -> None:
    known = compose(PROJECT_ROOT, "x86_64")["Parameters"]
    defaults = {name: str(each["Default"]) for name, each in known.items() if "Default" in each}
    assert given.require(defaults, {}) == len(known)
    assert given.require(OF_ONE_MACHINE, {}) == len(known)
    there = overlay.parameters()
    assert given.require({"CrashPlan": "/tmp/plan"}, OF_ONE_MACHINE, there) == len(known) + 1


def test_an_endpoint_that_is_not_the_domain_is_refused() -> None:
    domain = {"DomainName": "db.example.org", "CertificateArn": "arn:aws:acm:us-east-1:1:c/1"}
    for endpoint, verdict in (("https://db.example.org", "ok"), ("https://x.org", "failure")):
        wanted = Wanted("dbs", parameters=domain, public_endpoint=endpoint)
        assert finding(survey(wanted), "parameters").verdict == verdict


def test_backups_go_where_they_lie_already_or_where_nobody_else_is() -> None:
    made = "dbs-backups-123456789012-us-east-1"
    assert finding(survey(), "backups") == Finding("backups", "ok", f"{made} will be made")
    _bucket(made)
    assert finding(survey(), "backups").said == f"{made} is there"
    _bucket("ours", versions=True)
    kept = survey(present=OURS._replace(parameters={"BackupsBucket": "ours"}))
    assert kept.backups_bucket == "ours"
    found = finding(kept, "backups")
    assert found.verdict == "warning"
    assert "its versioning is Enabled: what is deleted stays" in found.said
    assert "nothing ends uploads in parts" in found.said


def test_a_bucket_of_ones_own_ends_uploads_and_archives_nothing() -> None:
    """Ours gets its rule with the deployment; theirs is not changed."""
    _bucket("theirs")
    s3 = boto3.client("s3", region_name="us-east-1")
    every = {"Status": "Enabled", "Filter": {"Prefix": ""}}
    ends = {**every, "ID": "1", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    moves = {**every, "ID": "2", "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}
    kept = OURS._replace(parameters={"BackupsBucket": "theirs"})
    for rules, told in (([ends], "ok"), ([ends, moves], "warning"), ([moves], "warning")):
        s3.put_bucket_lifecycle_configuration(
            Bucket="theirs", LifecycleConfiguration={"Rules": rules}
        )
        found = finding(survey(present=kept), "backups")
        assert (found.verdict, "archive" in found.said) == (told, moves in rules)
        assert ("nothing ends" in found.said) == (ends not in rules)


def test_a_ring_that_is_lost_is_told_before_a_new_one_takes_its_place() -> None:
    now = OURS._replace(parameters={"BackupsBucket": "ours"})
    assert finding(survey(), "rings").verdict == "ok", "a new stack has none"
    ssm = boto3.client("ssm", region_name="us-east-1")
    for name in ("guest-keys", "control-keys"):
        ssm.put_parameter(Name=f"/dbs/{name}", Value="{}", Type="SecureString")
    assert finding(survey(present=OURS), "rings").verdict == "ok", "of a release before backups"
    lost = finding(survey(present=now), "rings")
    assert (lost.verdict, "no backup-keys below /dbs" in lost.said) == ("warning", True)
    ssm.put_parameter(Name="/dbs/backup-keys", Value="{}", Type="SecureString")
    found = finding(survey(present=now), "rings")
    assert found.verdict == "ok", "the containers' ring of a release before is made without a word"


def test_a_vpc_without_a_way_to_kms_is_told_of_once() -> None:
    inside = {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}
    stands = OURS._replace(parameters=inside)
    found = finding(survey(present=stands), "backup-keys")
    assert (found.verdict, "an endpoint of KMS" in found.advice) == ("warning", True)
    by_ring = Wanted("dbs", parameters={"SealBackupsWith": "ring"})
    assert finding(survey(by_ring, present=stands), "backup-keys").verdict == "ok"
    outside = OURS._replace(parameters={"SealBackupsWith": "key"})
    moves = Wanted("dbs", parameters=inside)
    assert finding(survey(moves, present=outside), "backup-keys").verdict == "warning"
    knows = Wanted("dbs", parameters={**inside, "SealBackupsWith": "key"})
    assert finding(survey(knows, present=outside), "backup-keys").verdict == "ok"
    told = stands._replace(parameters={**inside, "SealBackupsWith": "key"})
    for present in (told, OURS, None):
        assert finding(survey(present=present), "backup-keys").said == "KMS seals them"


def test_a_bucket_whose_objects_no_guest_could_write_is_told() -> None:
    _bucket("ours")
    kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    boto3.client("s3", region_name="us-east-1").put_bucket_encryption(
        Bucket="ours", ServerSideEncryptionConfiguration={"Rules": [kms]}
    )
    found = finding(survey(Wanted("dbs", parameters={"BackupsBucket": "ours"})), "backups")
    assert (found.verdict, "KMS" in found.said) == ("warning", True)


def log_role(name: str, service: str = "apigateway.amazonaws.com", *, used: bool = True) -> str:
    """A role that trusts a service; `used`, it is the one that API Gateway writes its logs by."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = boto3.client("iam", region_name="us-east-1")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    return use_log_role(made) if used else made


def use_log_role(arn: str) -> str:
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}
    gateway = boto3.client("apigateway", region_name="us-east-1")
    gateway.update_account(patchOperations=[change])
    return arn


def logs_of(given: str = "", present: Stack | None = None) -> Finding:
    parameters = {"ApiGatewayLogRoleArn": given} if given else {}
    return finding(survey(Wanted("dbs", parameters=parameters), present=present), "gateway-logs")


def test_the_role_of_api_gateways_logs_is_looked_up_before_it_is_replaced() -> None:
    assert logs_of() == Finding("gateway-logs", "ok", "a role will be made")
    theirs = log_role("theirs")
    replaced = logs_of()
    assert (replaced.verdict, theirs in replaced.said) == ("warning", True)
    assert replaced.advice.endswith(f"--parameter ApiGatewayLogRoleArn={theirs}")
    assert logs_of(theirs).said == f"written by {theirs}"
    other = logs_of(log_role("other", used=False))
    assert (other.verdict, theirs in other.advice) == ("warning", True)
    own = log_role("dbs-GatewayLogRole-1XYZ")
    assert logs_of(present=OURS).said == f"written by {own}"


def test_a_role_that_writes_no_access_logs_is_told_with_what_to_do() -> None:
    half = Stack("ROLLBACK_COMPLETE", OURS.parameters, {})
    assert logs_of(present=half).verdict == "ok", "its next deployment makes the role"
    lost = logs_of(present=OURS)
    assert (lost.verdict, "update-account" in lost.advice) == ("failure", True)
    wrong = logs_of(log_role("wrong", "lambda.amazonaws.com"))
    assert "does not trust apigateway.amazonaws.com" in wrong.said
    gone = logs_of("arn:aws:iam::123456789012:role/gone")
    use_log_role("arn:aws:iam::123456789012:role/dbs-GatewayLogRole-1XYZ")
    for found in (wrong, gone, logs_of(present=OURS)):
        assert found.verdict == "failure"
        assert "AmazonAPIGatewayPushToCloudWatchLogs" in found.advice
    assert "is gone" in gone.said


def test_what_the_stack_has_reserved_already_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"ConcurrentExecutions": 280, "UnreservedConcurrentExecutions": 100}
    made = _with_client(
        survey(present=OURS), monkeypatch, get_account_settings=lambda: {"AccountLimit": limits}
    )
    assert finding(made, "lambda-concurrency").verdict == "ok"


def test_a_taken_port_is_told_with_the_option_that_chooses_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        emulator = Target("us-east-1", "http://127.0.0.1:1")
        found = finding(survey(Wanted("dbs", front_port=port), emulator), "api-address")
    assert found.verdict == "failure"
    assert f"--front-port {port + 1}" in found.advice


def test_all_failures_are_told_at_once_and_nothing_is_changed(tmp_path: Path) -> None:
    done = coffer(tmp_path, "deploy", "--stack", "NO")
    assert done.returncode == 1
    for said in ("No AWS region is named", "OS_AUTH_URL", "2 checks failed; nothing was changed"):
        assert said in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_check_cannot_be_ignored(tmp_path: Path) -> None:
    done = coffer(tmp_path, "deploy", "--ignore", "everything")
    assert done.returncode == 2
    assert "lambda-concurrency" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "plan", "said"),
    [
        (Wanted("dbs"), True, "--rollback shows no plan"),
        (Wanted("dbs", parameters={"LogLevel": "DEBUG"}), False, "takes no other choice"),
        (Wanted("dbs", network="private"), False, "takes no other choice"),
    ],
    ids=["plan", "parameter", "network"],
)
def test_a_rollback_does_nothing_that_it_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, wanted: Wanted, plan: bool, said: str
) -> None:
    monkeypatch.setattr(run, "roll_back", pytest.fail)
    given = [f"{name}={value}" for name, value in wanted.parameters.items()]
    with pytest.raises(UnusableInputError, match=said):
        deploy.command(
            stack=wanted.stack, plan=plan, rollback=True, parameter=given, network=wanted.network
        )


@pytest.mark.parametrize("more", [{"ignore": ["stack"]}, {"service_user": "u"}])
def test_a_rollback_asks_for_no_password_and_leaves_no_check_out(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    monkeypatch.setattr(run, "roll_back", pytest.fail)
    with pytest.raises(UnusableInputError, match="takes no other choice"):
        deploy.command(stack="dbs", rollback=True, **more)


def test_a_password_file_that_is_empty_is_no_password(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    given = ("--service-user", "u", "--service-password-file", str(tmp_path / "empty"))
    done = coffer(tmp_path, "deploy", *given)
    assert done.returncode == 2
    assert "holds no password" in done.stderr


def test_undeploy_refuses_while_instances_live() -> None:
    _old_tables(pytest.MonkeyPatch())
    table = boto3.resource("dynamodb", region_name="us-east-1").Table("dbs-instances")
    for number, row in enumerate(({"index_tenant": "a"}, {"index_tenant": "b"}, {})):
        table.put_item(Item={"id": str(number), **row})
    with pytest.raises(InstancesLiveError, match="2 instances live") as raised:
        require_no_instances(survey())
    assert "--even-with-instances" in raised.value.advice
    assert "coffer_deployment=" in raised.value.advice
