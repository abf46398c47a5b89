"""Bundles of the agent in the deployment's bucket, and where a guest fetches one.

That is an address that is a key to it for some minutes, made without a call. What it leads to is of
no secret, and counts by the digest that the command tells beside it.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from chalicelib import aws
from chalicelib.domain.agents import AgentBundle
from chalicelib.settings import settings

GOOD_FOR_SECONDS: Final = 900
"""As long as an upgrade of an agent takes at most."""

FOLDER: Final = "agents"
"""Of the deployment's bucket."""
_KEY: Final = re.compile(rf"{FOLDER}/([0-9a-f]{{64}})\.tar\.gz")
PAGE_KEYS: Final = 1000
MOST_PAGES: Final = 5
"""Of bundles; what lies behind them is seen when those before are gone."""


class Lent(NamedTuple):
    """A bundle in the bucket: its digest, and when it was written."""

    sha256: str
    written: float


def key_of(sha256: str) -> str:
    """The key of a bundle in the bucket: what lies there is named by what it is."""
    return f"{FOLDER}/{sha256}.tar.gz"


def address_of(bundle: AgentBundle) -> str:
    """A URL of the bundle, as guests reach the bucket."""
    url: str = aws.remembered("bundles", _client).generate_presigned_url(
        ClientMethod="get_object",
        Params={"Bucket": settings().packages_bucket, "Key": key_of(bundle.sha256)},
        ExpiresIn=GOOD_FOR_SECONDS,
    )
    return url


def lent() -> list[Lent]:
    """The bundles in the bucket, by their digests, of the first pages."""
    found: list[Lent] = []
    where: dict[str, Any] = {}
    for _ in range(MOST_PAGES):
        answer = aws.client("s3").list_objects_v2(
            Bucket=settings().packages_bucket, Prefix=f"{FOLDER}/", MaxKeys=PAGE_KEYS, **where
        )
        found += (
            Lent(match[1], each["LastModified"].timestamp())
            for each in answer.get("Contents", [])
            if (match := _KEY.fullmatch(each["Key"]))
        )
        if not answer.get("IsTruncated"):
            break
        where = {"ContinuationToken": answer["NextContinuationToken"]}
    return found


def remove(sha256: str) -> None:
    """Remove a bundle; one that is gone is fine."""
    aws.client("s3").delete_object(Bucket=settings().packages_bucket, Key=key_of(sha256))


def _client() -> Any:
    """Signed for the region. An emulator's host has no names of buckets below it."""
    endpoint = settings().guest_endpoint_url or None
    style = "path" if endpoint else "virtual"
    config = {"signature_version": "s3v4", "s3": {"addressing_style": style}}
    return aws.make_client("s3", endpoint_url=endpoint, config=config)
