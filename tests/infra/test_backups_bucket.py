"""The bucket of the backups: made closed and without versions, kept, never another account's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import backups_bucket, remove
from infra.buckets import Bucket
from infra.errors import DeployError
from infra.target import Target

ACCOUNT = "123456789012"
TARGET = Target("eu-west-1")
NAME = f"dbs-backups-{ACCOUNT}-eu-west-1"


@pytest.fixture(autouse=True)
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("s3", region_name="eu-west-1")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The calls of S3 with the owner that each has named; the policy is read, and not obeyed."""
    made: list[tuple[str, str | None]] = []
    make = Target.client

    def note(model: Any, params: dict[str, Any], **_: Any) -> Any:
        made.append((model.name, params["headers"].get("x-amz-expected-bucket-owner")))
        # moto reads no conditions, and would refuse everything from here on.
        return (SimpleNamespace(status_code=204), {}) if model.name == "PutBucketPolicy" else None

    def client(target: Target, service: str) -> Any:
        found = make(target, service)
        if service == "s3":
            found.meta.events.register("before-call.s3", note)
        return found

    monkeypatch.setattr(Target, "client", client)
    return made


def test_it_is_made_closed_without_versions_and_ends_what_is_unfinished(
    s3: Any, calls: list[tuple[str, str | None]]
) -> None:
    assert backups_bucket.ensure(TARGET, "dbs", NAME)
    block = s3.get_public_access_block(Bucket=NAME)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert "Status" not in s3.get_bucket_versioning(Bucket=NAME)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "PutBucketPolicy" in dict(calls)
    assert {owner for call, owner in calls if call != "CreateBucket"} == {ACCOUNT}


@pytest.mark.usefixtures("calls")
def test_a_second_deploy_leaves_it_as_it_is(s3: Any) -> None:
    backups_bucket.ensure(TARGET, "dbs", NAME)
    s3.put_object(Bucket=NAME, Key="t/b/manifest", Body=b"kept")
    own = {"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 9}}
    s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [own]})
    assert not backups_bucket.ensure(TARGET, "dbs", NAME)
    assert s3.get_object(Bucket=NAME, Key="t/b/manifest")["Body"].read() == b"kept"
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    assert rule["ID"] == "mine"


@pytest.mark.usefixtures("calls")
def test_one_whose_making_was_cut_short_is_finished(s3: Any) -> None:
    s3.create_bucket(Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert not backups_bucket.ensure(TARGET, "dbs", NAME)
    assert s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    assert s3.get_public_access_block(Bucket=NAME)


def test_an_operators_own_is_not_touched(calls: list[tuple[str, str | None]]) -> None:
    assert not backups_bucket.ensure(TARGET, "dbs", "ours-alone")
    assert calls == []


def test_a_bucket_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    bucket = Bucket(TARGET, NAME)
    monkeypatch.setattr(bucket.s3, "head_bucket", refused)
    with pytest.raises(DeployError, match="can't be used"):
        bucket.ensure()


def test_its_name_is_a_buckets_also_where_all_of_its_parts_are_long() -> None:
    longest = backups_bucket.name_of(Target("ap-southeast-99"), "a" * 20)
    assert len(longest) <= 63


@pytest.fixture
def stack_with(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a stack that says where its backups lie, and five objects there."""
    make = Target.client
    nothing = SimpleNamespace(delete_stack=lambda **_: None)

    def client(target: Target, service: str) -> Any:
        return nothing if service == "cloudformation" else make(target, service)

    def made(bucket: str) -> None:
        said = [{"ParameterKey": "BackupsBucket", "ParameterValue": bucket}]
        monkeypatch.setattr(remove, "describe", lambda *_: {"Parameters": said})
        place = {"LocationConstraint": "eu-west-1"}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        for number in range(5):
            s3.put_object(Bucket=bucket, Key=f"t/b/{number}", Body=b"x")

    monkeypatch.setattr(Target, "client", client)
    monkeypatch.setattr(remove, "wait_until_still", lambda *_: None)
    return made


def test_it_outlives_its_stack_until_all_of_it_is_to_go(
    s3: Any, stack_with: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.buckets.MOST_DELETED", 2)
    stack_with(NAME)
    assert remove.remove(TARGET, "dbs", "/dbs", tables=False).backups == NAME
    assert s3.list_objects_v2(Bucket=NAME)["KeyCount"] == 5
    assert remove.remove(TARGET, "dbs", "/dbs", tables=True).backups is None
    assert s3.list_buckets()["Buckets"] == []


def test_an_operators_own_stays_in_any_case(s3: Any, stack_with: Callable[[str], None]) -> None:
    stack_with("ours-alone")
    assert remove.remove(TARGET, "dbs", "/dbs", tables=True).backups == "ours-alone"
    assert s3.list_objects_v2(Bucket="ours-alone")["KeyCount"] == 5


def test_an_object_that_may_not_go_is_told(
    stack_with: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_with(NAME)
    bucket = Bucket(TARGET, NAME)
    errors = [{"Key": "t/b/0", "Code": "AccessDenied", "Message": "held by a lock"}]
    monkeypatch.setattr(bucket.s3, "delete_objects", lambda **_: {"Errors": errors})
    with pytest.raises(DeployError, match=r"1 objects of .* stay: held by a lock"):
        bucket.remove()
