"""The bucket of a deployment: its releases, each under the digest of what it was built from.

Anybody can make a bucket of that name first: each call names the owner that it expects, and what
lies there counts by its digest.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError

from chalicelib.bus.bundles import key_of
from infra.buckets import GONE, Bucket
from infra.errors import DeployError
from infra.image.bundle import Bundle
from infra.package.build import Build
from infra.package.template import Document
from infra.target import Target, account_of

TEMPLATE_NAME: Final = "sam.json"
SHA256: Final = "sha256"
"""Name of the metadata that holds an object's digest."""
RELEASES_KEPT: Final = 5
"""The newest by their upload: what somebody else is about to deploy is among them."""

Say = Callable[[str], None]


def name_of(target: Target, stack: str) -> str:
    """The bucket that a stack's packages are uploaded to."""
    return f"{stack}-packages-{account_of(target)}-{target.region}"


def upload(target: Target, stack: str, build: Build, say: Say) -> str:
    """Put zips and template into the stack's own bucket; returns its name.

    Anybody can make a bucket of that name first: each call names the owner that it expects, and
    what lies there counts by its digest.
    """
    made = Bucket(target, name_of(target, stack))
    made.ensure()
    bucket, s3, owner = made.name, made.s3, made.owner
    for file in (build.chalice_zip, build.functions_zip):
        key = f"{build.digest}/{file.name}"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if not _holds(s3, bucket, key, digest, owner):
            say(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
            extra = {**owner, "Metadata": {SHA256: digest}}
            s3.upload_file(str(file), bucket, key, ExtraArgs=extra)
    key = f"{build.digest}/{TEMPLATE_NAME}"
    s3.put_object(Bucket=bucket, Key=key, Body=_rendered(build, bucket), **owner)
    return bucket


def lend_agent(target: Target, stack: str, made: Bundle) -> None:
    """Put a bundle of the guest agent where guests are lent it: anew also where it is, since the
    old ones go by their age (`functions.old_bundles`)."""
    bucket = Bucket(target, name_of(target, stack))
    bucket.ensure()
    key = key_of(made.sha256)
    extra = {**bucket.owner, "Metadata": {SHA256: made.sha256}}
    bucket.s3.upload_file(str(made.file), bucket.name, key, ExtraArgs=extra)


def _rendered(build: Build, bucket: str) -> bytes:
    """The template with the place where Chalice's package is uploaded to."""
    template: Document = json.loads(build.template.read_text())
    code_uri = {"Bucket": bucket, "Key": f"{build.digest}/deployment.zip"}
    for resource in template["Resources"].values():
        if resource.get("Properties", {}).get("CodeUri") == "./deployment.zip":
            resource["Properties"]["CodeUri"] = code_uri
    return json.dumps(template).encode()


@contextmanager
def lent(target: Target, stack: str, build: Build) -> Iterator[tuple[str, str]]:
    """The bucket, and the URL of a build's template in it, which goes away at the end."""
    bucket = name_of(target, stack)
    s3, owner = target.client("s3"), {"ExpectedBucketOwner": account_of(target)}
    key = f"plans/{build.digest}/{TEMPLATE_NAME}"
    s3.put_object(Bucket=bucket, Key=key, Body=_rendered(build, bucket), **owner)
    try:
        yield bucket, _url(target, bucket, key)
    finally:
        s3.delete_object(Bucket=bucket, Key=key, **owner)


def _holds(s3: Any, bucket: str, key: str, digest: str, owner: dict[str, str]) -> bool:
    """Whether this very content was uploaded before, by us: nobody else may write there."""
    try:
        found = s3.head_object(Bucket=bucket, Key=key, **owner)
        return bool(found["Metadata"].get(SHA256) == digest)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return False
        raise


def template_of(target: Target, bucket: str, stack: str, digest: str) -> Document:
    """The template of a release; raises DeployError when it is not in the bucket."""
    key = f"{digest}/{TEMPLATE_NAME}"
    owner = {"ExpectedBucketOwner": account_of(target)}
    try:
        body = target.client("s3").get_object(Bucket=bucket, Key=key, **owner)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        raise DeployError(
            f"The release {digest} is not in the bucket {bucket} (any more).",
            f"Check its sources out, then run: coffer deploy --stack {stack}",
        ) from None
    template: Document = json.loads(body.read())
    return template


def template_url(target: Target, bucket: str, digest: str) -> str:
    """Where CloudFormation finds the template of a release."""
    return _url(target, bucket, f"{digest}/{TEMPLATE_NAME}")


def _url(target: Target, bucket: str, key: str) -> str:
    if target.endpoint_url:
        return f"{target.endpoint_url}/{bucket}/{key}"
    return f"https://{bucket}.s3.{target.region}.amazonaws.com/{key}"


def prune(target: Target, stack: str, in_use: Collection[str], say: Say) -> None:
    """Delete old releases, but never one `in_use`: what runs, and what a rollback deploys.

    The newest `RELEASES_KEPT` stay, too. What is no release (a plan's template) is left alone. Keys
    without the right to delete are told, and fail nothing: the stack runs.
    """
    bucket = name_of(target, stack)
    s3, owner = target.client("s3"), {"ExpectedBucketOwner": account_of(target)}
    keys: dict[str, list[str]] = {}
    uploaded: dict[str, Any] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **owner):
        for item in page.get("Contents", []):
            digest, _, name = item["Key"].partition("/")
            keys.setdefault(digest, []).append(item["Key"])
            if name == TEMPLATE_NAME:  # it is put last, and anew by each deployment
                uploaded[digest] = item["LastModified"]
    by_age = sorted(uploaded, key=lambda digest: uploaded[digest], reverse=True)
    old = [digest for digest in by_age[RELEASES_KEPT:] if digest not in in_use]
    try:
        for key in [key for digest in old for key in keys[digest]]:
            s3.delete_object(Bucket=bucket, Key=key, **owner)
    except ClientError as error:
        say(f"{len(old)} old releases stay in {bucket}: {error}")
    else:
        if old:
            say(f"{len(old)} old releases removed from {bucket}")


def remove(target: Target, stack: str) -> bool:
    """Empty the bucket and remove it; False when there was none."""
    return Bucket(target, name_of(target, stack)).remove()
