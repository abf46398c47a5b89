"""The bucket of the packages: its owner is named in every call, its content counts by digest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backends import get_backend

from infra import packages_bucket
from infra.target import Target

ACCOUNT = "123456789012"
CALLS = ("HeadBucket", "PutPublicAccessBlock", "PutBucketPolicy", "HeadObject", "PutObject")


class Uploads:
    """A build, where it goes, and the owner that each call of S3 has named."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.named: list[tuple[str, str | None]] = []
        self.target = Target("us-east-1")
        files = {"chalice_zip": "deployment.zip", "functions_zip": "functions.zip"}
        for name in files.values():
            (folder / name).write_bytes(b"the right content")
        (folder / "sam.json").write_text('{"Resources": {}}')
        paths = {field: folder / name for field, name in files.items()}
        self.build: Any = SimpleNamespace(digest="d1", template=folder / "sam.json", **paths)
        make = Target.client

        def client(target: Target, service: str) -> Any:
            made = make(target, service)
            if service == "s3":
                made.meta.events.register("before-call.s3", self._note)
            return made

        patch.setattr(Target, "client", client)

    def _note(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        self.named.append((model.name, params["headers"].get("x-amz-expected-bucket-owner")))
        if model.name != "PutBucketPolicy":
            return None
        # moto reads no conditions, and would refuse everything from here on.
        self.policy = json.loads(params["body"])
        return SimpleNamespace(status_code=204), {}

    def upload(self) -> list[str]:
        said: list[str] = []
        self.bucket = packages_bucket.upload(self.target, "coffer", self.build, said.append)
        return said


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Uploads(tmp_path, monkeypatch)


def test_every_call_names_the_owner_it_expects(uploads: Uploads) -> None:
    uploads.upload()
    calls = [(name, owner) for name, owner in uploads.named if name != "CreateBucket"]
    assert {name for name, _ in calls} == set(CALLS)
    assert {owner for _, owner in calls} == {ACCOUNT}


def test_the_bucket_refuses_what_comes_without_tls(uploads: Uploads) -> None:
    uploads.upload()
    (statement,) = uploads.policy["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    bucket = f"arn:aws:s3:::{uploads.bucket}"
    assert statement["Resource"] == [bucket, f"{bucket}/*"]


def test_what_lies_there_already_is_not_sent_again(uploads: Uploads) -> None:
    assert len(uploads.upload()) == 2
    assert uploads.upload() == []


def test_content_of_the_same_size_is_replaced(uploads: Uploads) -> None:
    uploads.upload()
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.put_object(Bucket=uploads.bucket, Key="d1/functions.zip", Body=b"the wrong content")
    assert len(uploads.upload()) == 1
    found = s3.get_object(Bucket=uploads.bucket, Key="d1/functions.zip")
    assert found["Body"].read() == b"the right content"


def releases(uploads: Uploads) -> set[str]:
    """The folders in the bucket; each release is whole or gone."""
    listed = boto3.client("s3", region_name="us-east-1").list_objects_v2(Bucket=uploads.bucket)
    names: dict[str, set[str]] = {}
    for item in listed["Contents"]:
        folder, _, name = item["Key"].partition("/")
        names.setdefault(folder, set()).add(name)
    whole = {"deployment.zip", "functions.zip", "sam.json"}
    assert all(found == whole for folder, found in names.items() if folder != "plans")
    return set(names)


@pytest.fixture
def history(uploads: Uploads) -> Uploads:
    """Nine releases, a day after each other, and the template of a plan."""
    for day in range(1, 10):
        uploads.build.digest = f"d{day}"
        uploads.upload()
        made = get_backend("s3")[ACCOUNT]["aws"].buckets[uploads.bucket].keys[f"d{day}/sam.json"]
        made.last_modified = datetime(2026, 1, day, tzinfo=UTC)
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.put_object(Bucket=uploads.bucket, Key="plans/d1/sam.json", Body=b"{}")
    return uploads


def test_old_releases_go_but_what_runs_and_what_a_rollback_reaches(history: Uploads) -> None:
    said: list[str] = []
    history.named.clear()
    packages_bucket.prune(history.target, "coffer", {"d1", "d3"}, said.append)
    newest = {"d5", "d6", "d7", "d8", "d9"}
    assert len(newest) == packages_bucket.RELEASES_KEPT
    assert releases(history) == {"d1", "d3", "plans"} | newest
    assert said == [f"2 old releases removed from {history.bucket}"]
    assert {owner for _, owner in history.named} == {ACCOUNT}
    packages_bucket.prune(history.target, "coffer", {"d1", "d3"}, said.append)
    assert len(said) == 1, "nothing is left to do"


def test_old_releases_that_may_not_be_deleted_are_told(
    history: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = history.target.client("s3")

    def refused(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteObject")

    monkeypatch.setattr(s3, "delete_object", refused)
    monkeypatch.setattr(packages_bucket, "account_of", lambda _: ACCOUNT)
    monkeypatch.setattr(Target, "client", lambda *_: s3)
    said: list[str] = []
    packages_bucket.prune(history.target, "coffer", {"d9", "d8"}, said.append)
    (told,) = said
    assert told.startswith(f"4 old releases stay in {history.bucket}: ")
    assert "AccessDenied" in told
