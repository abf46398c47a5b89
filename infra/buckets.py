"""Buckets that a deployment has beside its stack: closed, by TLS alone, of the account's own.

No template makes them: one has to be there before the stack, the other outlives it, and
CloudFormation makes nothing of a name that is there already. Anybody can make a bucket of that name
first: each call names the owner that it expects.
"""

import json
from typing import Final

from botocore.exceptions import ClientError

from infra.errors import DeployError
from infra.package.template import Document
from infra.target import Target, account_of

GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchBucket"})
MOST_DELETED: Final = 1000
"""Keys that S3 takes in one request."""


class Bucket:
    """One bucket, in the account of the target's keys."""

    def __init__(self, target: Target, name: str) -> None:
        self.name = name
        self.s3 = target.client("s3")
        self.owner = {"ExpectedBucketOwner": account_of(target)}
        self._region = target.region

    def is_there(self) -> bool:
        """Whether it is there; raises DeployError when it is somebody else's."""
        try:
            self.s3.head_bucket(Bucket=self.name, **self.owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return False
            raise DeployError(
                f"The bucket {self.name} can't be used: {error}",
                "It must belong to the account of the keys; somebody else may have made it first.",
            ) from error
        return True

    def ensure(self) -> bool:
        """Have it, closed to the public, also where its making was cut short; whether it is new."""
        new = not self.is_there()
        if new:
            # us-east-1 is the one region that must not be named as a constraint.
            place = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
            self.s3.create_bucket(
                Bucket=self.name, **({} if self._region == "us-east-1" else place)
            )
        self.s3.put_public_access_block(
            Bucket=self.name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
            **self.owner,
        )
        if self.s3.meta.endpoint_url.startswith("https:"):  # an emulator's own is plain
            policy = _by_tls_only(f"arn:{self.s3.meta.partition}:s3:::{self.name}")
            self.s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy), **self.owner)
        return new

    def remove(self) -> bool:
        """Empty it, a thousand objects at a time, and remove it; False when there was none."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, PaginationConfig={"PageSize": MOST_DELETED}, **self.owner
        )
        try:
            for page in pages:
                if keys := [{"Key": item["Key"]} for item in page.get("Contents", [])]:
                    self._delete(keys)
            self.s3.delete_bucket(Bucket=self.name, **self.owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return False
            raise
        return True

    def _delete(self, keys: list[dict[str, str]]) -> None:
        wanted = {"Objects": keys, "Quiet": True}
        answer = self.s3.delete_objects(Bucket=self.name, Delete=wanted, **self.owner)
        if errors := answer.get("Errors"):
            raise DeployError(
                f"{len(errors)} objects of {self.name} stay: {errors[0].get('Message')}",
                "Mend the cause and run the command again: it goes on with what is left.",
            )


def _by_tls_only(bucket_arn: str) -> Document:
    """A policy that refuses whatever is asked without TLS."""
    refused: Document = {
        "Sid": "ByTlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [refused]}
