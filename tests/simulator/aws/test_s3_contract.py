"""The same calls to the simulated S3, to moto and to MiniStack: the same outcomes.

Where an emulator is known to be wrong, the call is judged as docs/simulator/differences.md says.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from simulator.aws.s3 import S3

UNHURRIED = settings(max_examples=25, suppress_health_check=list(HealthCheck))
# As Coffer's clients: no sums that nobody asked for.
PLAIN: Final = Config(
    request_checksum_calculation="when_required", response_checksum_validation="when_required"
)
NOTHING_ELSE: Final = b"what was sent"
_numbers = itertools.count()

Call = tuple[str, dict[str, Any]]


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


KEYS: Final = st.sampled_from(["a/1", "a/2", "a/b/1", "ab", "b/é", "b/z"])
BODIES: Final = st.sampled_from([b"", b"one", b"another"])
SUMS: Final = st.sampled_from(
    [
        lambda _: {},
        lambda body: {"ChecksumSHA256": sha256(body)},
        lambda body: {"ContentMD5": md5(body)},
        lambda _: {"ChecksumSHA256": sha256(NOTHING_ELSE)},
        lambda _: {"ContentMD5": md5(NOTHING_ELSE)},
        lambda _: {"ContentMD5": "no sum"},
        lambda _: {"IfNoneMatch": "*"},
    ]
)
PUT: Final = st.builds(
    lambda key, body, sums: ("put_object", {"Key": key, "Body": body, **sums(body)}),
    KEYS,
    BODIES,
    SUMS,
)
READ: Final = st.builds(
    lambda name, key: (name, {"Key": key}),
    st.sampled_from(["get_object", "head_object", "delete_object"]),
    KEYS,
)
PART: Final = st.builds(
    lambda key, part: ("get_object", {"Key": key, "Range": f"bytes={part}"}),
    KEYS,
    st.sampled_from(["0-1", "1-", "-2", "9-"]),
)
DELETE: Final = st.builds(
    lambda keys, quiet: (
        "delete_objects",
        {"Delete": {"Objects": [{"Key": key} for key in keys], "Quiet": quiet}},
    ),
    st.lists(KEYS, min_size=1, max_size=3, unique=True),
    st.booleans(),
)
LIST: Final = st.builds(
    lambda prefix, most, after, delimiter: (
        "list_objects_v2",
        {"Prefix": prefix, "MaxKeys": most, "StartAfter": after, "Delimiter": delimiter},
    ),
    st.sampled_from(["", "a", "a/", "b/", "none"]),
    st.integers(1, 4),
    st.sampled_from(["", "a/1", "a/15", "b"]),
    st.sampled_from(["", "/"]),
)
SEQUENCES: Final[st.SearchStrategy[list[Call]]] = st.builds(
    lambda written, rest: [*written, *rest],
    st.lists(PUT, min_size=2, max_size=5),
    st.lists(st.one_of(PUT, READ, PART, DELETE, LIST, LIST), min_size=2, max_size=8),
)


def outcome(client: Any, bucket: str, method: str, asked: dict[str, Any]) -> Any:
    """What a call came to, in a form that can be compared; a listing with all of its pages."""
    try:
        answer = getattr(client, method)(Bucket=bucket, **asked)
    except ClientError as error:
        return error.response["Error"]["Code"]
    if method == "list_objects_v2":
        return [*_pages(client, bucket, asked, answer)]
    if method == "get_object":
        return answer["Body"].read(), answer["ETag"], answer["ContentLength"]
    if method == "delete_objects":
        return sorted(each["Key"] for each in answer.get("Deleted", ())), "Errors" in answer
    return {name: answer[name] for name in ("ETag", "ContentLength") if name in answer}


def _pages(client: Any, bucket: str, asked: dict[str, Any], page: Any) -> Iterator[Any]:
    while True:
        keys = [(each["Key"], each["Size"]) for each in page.get("Contents", ())]
        groups = [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        yield keys, groups, page["IsTruncated"], page["KeyCount"]
        if not page["IsTruncated"]:
            return
        token = page["NextContinuationToken"]
        page = client.list_objects_v2(Bucket=bucket, **asked, ContinuationToken=token)


Known = Callable[[str, dict[str, Any], Any, Any], bool]
"""Whether an emulator's outcome is a known mistake: method, request, its outcome, ours."""


def compare(client: Any, sequence: list[Call], wrong: Known) -> None:
    """Run a sequence on both, in fresh buckets, until the emulator makes a known mistake."""
    ours, bucket = S3(lambda: 1_800_000_000.0), f"bucket-{next(_numbers)}"
    for each in (ours, client):
        each.create_bucket(Bucket=bucket)
    for number, (method, asked) in enumerate(sequence):
        found = outcome(ours, bucket, method, asked)
        expected = outcome(client, bucket, method, asked)
        if found != expected and wrong(method, asked, expected, found):
            return
        assert found == expected, (number, method, asked)


def ministack_is_wrong(method: str, asked: dict[str, Any], theirs: Any, ours: Any) -> bool:
    return bool(ours == "InvalidRange" and theirs[0] == b"")  # the end of an empty object


def moto_is_wrong(method: str, asked: dict[str, Any], theirs: Any, ours: Any) -> bool:
    if method == "delete_objects":
        return bool(asked["Delete"]["Quiet"])  # it tells them all
    return method == "put_object" and ours in ("BadDigest", "InvalidDigest")  # it checks no sum


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """moto's S3."""
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1", config=PLAIN)


@pytest.fixture(scope="module")
def emulated(ministack: dict[str, Any]) -> Any:
    """MiniStack's S3."""
    return boto3.client("s3", config=PLAIN, **ministack)


@UNHURRIED
@given(sequence=SEQUENCES)
def test_ministack_answers_alike(emulated: Any, sequence: list[Call]) -> None:
    compare(emulated, sequence, ministack_is_wrong)


@UNHURRIED
@given(sequence=SEQUENCES)
def test_moto_answers_alike(moto: Any, sequence: list[Call]) -> None:
    compare(moto, sequence, moto_is_wrong)


@pytest.mark.parametrize("key", ["a/\x01", "a/\x1f", "a/\uffff"])
def test_a_key_that_no_xml_can_hold_is_deleted_alone(emulated: Any, key: str) -> None:
    sequence: list[Call] = [
        ("put_object", {"Key": key, "Body": b"one"}),
        ("put_object", {"Key": "a/2", "Body": b"two"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "a/2"}, {"Key": key}], "Quiet": True}}),
        ("list_objects_v2", {"Prefix": "a/"}),
        ("delete_object", {"Key": key}),
        ("list_objects_v2", {"Prefix": "a/"}),
    ]
    compare(emulated, sequence, lambda *_: False)
