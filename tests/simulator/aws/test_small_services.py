"""STS with the policies that it hands out, SSM and S3."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from simulator import template
from simulator.aws.client import Client
from simulator.aws.s3 import S3
from simulator.aws.sqs.service import Sqs
from simulator.aws.ssm import Ssm
from simulator.aws.sts import Sts
from simulator.effects import Effects
from simulator.kernel import START, Kernel
from simulator.services import GUEST_ROLE, Services

ROLE = "arn:aws:iam::123456789012:role/guest"
PREFIX = "arn:aws:sqs:us-east-1:123456789012:"
SENDS = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": [f"{PREFIX}conductor"]}
RECEIVES = {"Effect": "Allow", "Action": ["sqs:ReceiveMessage"], "Resource": f"{PREFIX}guest-*"}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def code(function: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        function()
    error: Any = caught.value
    return str(error.response["Error"]["Code"])


class Account:
    """Queues of two guests and of the conductor, and clients with a guest's credentials."""

    def __init__(self) -> None:
        self.kernel = Kernel(1)
        self.effects = Effects(self.kernel)
        self.sqs = Sqs(self.kernel)
        self.sts = Sts(lambda: self.kernel.now, {ROLE: document(SENDS, RECEIVES)})
        for name in ("guest-1", "guest-2", "conductor", "taskmanager"):
            self.sqs.create_queue(QueueName=name)

    def client(self, policy: dict[str, Any] | None, token: str | None = None) -> Client:
        more: Any = {"Policy": json.dumps(policy)} if policy else {}
        made = self.sts.assume_role(RoleArn=ROLE, RoleSessionName="guest-1", **more)["Credentials"]
        guard = self.sts.guard("sqs", made["AccessKeyId"], token or made["SessionToken"])
        return Client("sqs", self.sqs, self.effects, guard)


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_session_allows_what_both_policies_allow(account: Account) -> None:
    own = {**RECEIVES, "Resource": f"{PREFIX}guest-1"}
    taskmanager = {**SENDS, "Resource": f"{PREFIX}*"}
    client = account.client(document(own, taskmanager))
    client.receive_message(QueueUrl=account.sqs.url("guest-1"))
    client.send_message(QueueUrl=account.sqs.url("conductor"), MessageBody="a")
    denied = [
        lambda: client.receive_message(QueueUrl=account.sqs.url("guest-2")),
        lambda: client.send_message(QueueUrl=account.sqs.url("taskmanager"), MessageBody="a"),
        lambda: client.delete_queue(QueueUrl=account.sqs.url("guest-1")),
    ]
    assert [code(call) for call in denied] == ["AccessDenied"] * 3
    account.client(None).receive_message(QueueUrl=account.sqs.url("guest-2"))


def test_a_batch_needs_the_right_of_its_single_call(account: Account) -> None:
    client = account.client(document(SENDS))
    entries = [{"Id": "1", "MessageBody": "a"}]
    client.send_message_batch(QueueUrl=account.sqs.url("conductor"), Entries=entries)


def test_credentials_end(account: Account) -> None:
    client = account.client(document(SENDS))
    account.kernel.run(START + 3600)
    url = account.sqs.url("conductor")
    assert code(lambda: client.send_message(QueueUrl=url, MessageBody="a")) == "ExpiredToken"
    forged = account.client(document(SENDS), token="another")
    wrong = code(lambda: forged.send_message(QueueUrl=url, MessageBody="a"))
    assert wrong == "InvalidClientTokenId"


def test_a_denial_is_stronger_than_any_permission(account: Account) -> None:
    deny = {"Effect": "Deny", "Action": "sqs:*", "Resource": f"{PREFIX}conductor"}
    client = account.client(document(SENDS, deny))
    url = account.sqs.url("conductor")
    assert code(lambda: client.send_message(QueueUrl=url, MessageBody="a")) == "AccessDenied"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/other"}, "AccessDenied"),
        ({"RoleSessionName": "x"}, "ValidationError"),
        ({"DurationSeconds": 3601}, "ValidationError"),
        ({"DurationSeconds": 899}, "ValidationError"),
        ({"Policy": "not JSON"}, "MalformedPolicyDocument"),
        ({"Policy": "x" * 2049}, "PackedPolicyTooLarge"),
    ],
)
def test_what_sts_refuses(account: Account, change: dict[str, Any], expected: str) -> None:
    asked = {"RoleArn": ROLE, "RoleSessionName": "guest-1", **change}
    assert code(lambda: account.sts.assume_role(**asked)) == expected


def test_a_parameter_is_readable_when_decrypted() -> None:
    ssm = Ssm({"/secrets": "value"})
    assert ssm.get_parameter(Name="/secrets", WithDecryption=True)["Parameter"]["Value"] == "value"
    assert "value" not in str(ssm.get_parameter(Name="/secrets")["Parameter"]["Value"])
    assert code(lambda: ssm.put_parameter(Name="/secrets", Value="2")) == "ParameterAlreadyExists"
    ssm.put_parameter(Name="/secrets", Value="2", Overwrite=True)
    assert ssm.get_parameter(Name="/secrets", WithDecryption=True)["Parameter"]["Version"] == 2
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="/other")


@pytest.fixture
def s3() -> S3:
    made = S3(lambda: START)
    made.create_bucket(Bucket="bucket")
    return made


def test_an_object_is_written_read_and_deleted(s3: S3) -> None:
    etag = s3.put_object(Bucket="bucket", Key="a", Body=b"content", Metadata={"x": "1"})["ETag"]
    found = s3.get_object(Bucket="bucket", Key="a")
    assert (found["Body"].read(), found["ETag"], found["Metadata"]) == (
        b"content",
        etag,
        {"x": "1"},
    )
    part = s3.get_object(Bucket="bucket", Key="a", Range="bytes=3-4")
    assert part["Body"].read() == b"te"
    assert s3.head_object(Bucket="bucket", Key="a")["ContentLength"] == 7
    for _ in range(2):
        s3.delete_object(Bucket="bucket", Key="a")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="bucket", Key="a")
    assert code(lambda: s3.head_object(Bucket="bucket", Key="a")) == "404"
    assert code(lambda: s3.get_object(Bucket="other", Key="a")) == "NoSuchBucket"


def test_a_conditional_write_loses_its_race(s3: S3) -> None:
    etag = s3.put_object(Bucket="bucket", Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    taken = code(lambda: s3.put_object(Bucket="bucket", Key="a", Body=b"2", IfNoneMatch="*"))
    assert taken == "PreconditionFailed"
    s3.put_object(Bucket="bucket", Key="a", Body=b"2", IfMatch=etag)
    late = code(lambda: s3.put_object(Bucket="bucket", Key="a", Body=b"3", IfMatch=etag))
    assert late == "PreconditionFailed"


def test_what_is_not_what_was_sent_is_not_written(s3: S3) -> None:
    sent = base64.b64encode(hashlib.sha256(b"sent").digest()).decode()
    s3.put_object(Bucket="bucket", Key="a", Body=b"sent", ChecksumSHA256=sent)
    torn = partial(s3.put_object, Bucket="bucket", Key="a", Body=b"se")
    assert code(lambda: torn(ChecksumSHA256=sent)) == "BadDigest"
    assert code(lambda: torn(ChecksumSHA256="x")) == "InvalidRequest"
    assert s3.get_object(Bucket="bucket", Key="a")["Body"].read() == b"sent"
    assert code(lambda: s3.put_object(Bucket="bucket", Key="k" * 1025)) == "KeyTooLongError"


def test_a_request_deletes_a_thousand_objects_at_most(s3: S3) -> None:
    for number in range(1002):
        s3.put_object(Bucket="bucket", Key=f"a/{number:04}")
    page = s3.list_objects_v2(Bucket="bucket", Prefix="a/")
    assert (page["KeyCount"], page["IsTruncated"]) == (1000, True)
    objects = [{"Key": each["Key"]} for each in page["Contents"]]
    for wrong in ([], [*objects, {"Key": "one more"}]):
        asked = partial(s3.delete_objects, Bucket="bucket", Delete={"Objects": wrong})
        assert code(asked) == "MalformedXML"
    for _ in range(2):  # what is gone is deleted, too
        answer = s3.delete_objects(Bucket="bucket", Delete={"Objects": objects, "Quiet": True})
        assert "Deleted" not in answer
    assert s3.list_objects_v2(Bucket="bucket", MaxKeys=0)["IsTruncated"] is False
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 2


def test_a_guest_reaches_the_objects_of_its_own_backup_alone() -> None:
    """What its role allows on all of the bucket, narrowed by the policy of its session."""
    region = Services(Effects(Kernel(1)), network_id="net")
    bucket, other = template.BACKUPS_BUCKET, template.PACKAGES_BUCKET
    for name in (bucket, other):
        region.s3.create_bucket(Bucket=name)
    own = {
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{bucket}/t/b/*",
    }
    lent = region.sts.assume_role(
        RoleArn=GUEST_ROLE, RoleSessionName="guest-1", Policy=json.dumps(document(own))
    )["Credentials"]
    client = region.provider.make_client(
        "s3", aws_access_key_id=lent["AccessKeyId"], aws_session_token=lent["SessionToken"]
    )
    client.put_object(Bucket=bucket, Key="t/b/1/0", Body=b"x")
    assert client.get_object(Bucket=bucket, Key="t/b/1/0")["Body"].read() == b"x"
    denied: list[Callable[[], Any]] = [
        lambda: client.put_object(Bucket=bucket, Key="t/c/1/0", Body=b"x"),
        lambda: client.put_object(Bucket=other, Key="t/b/1/0", Body=b"x"),
        lambda: client.get_object(Bucket=bucket, Key="t/b/1/missing"),
        lambda: client.head_object(Bucket=bucket, Key="t/b/1/missing"),
        lambda: client.list_objects_v2(Bucket=bucket, Prefix="t/b/"),
        lambda: client.delete_object(Bucket=bucket, Key="t/b/1/0"),
        lambda: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "t/b/1/0"}]}),
    ]
    assert [code(call) for call in denied] == ["AccessDenied"] * len(denied)


def test_a_listing_comes_in_pages_and_groups(s3: S3) -> None:
    for name in ("a/1", "a/2", "b/1", "c", "d/1"):
        s3.put_object(Bucket="bucket", Key=name)
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket="bucket", Delimiter="/", MaxKeys=2, **token)
        found += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        found += [each["Key"] for each in page.get("Contents", ())]
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert sorted(found) == ["a/", "b/", "c", "d/"]
    within = s3.list_objects_v2(Bucket="bucket", Prefix="a/")["Contents"]
    assert [each["Key"] for each in within] == ["a/1", "a/2"]
