"""Where a guest fetches a bundle of its agent: an address that is a key to it for some minutes.

It is made without a call. What it leads to is of no secret, and counts by the digest that the
command tells beside it.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib import aws
from chalicelib.domain.agents import AgentBundle
from chalicelib.settings import settings

GOOD_FOR_SECONDS: Final = 900
"""As long as an upgrade of an agent takes at most."""


FOLDER: Final = "agents"
"""Of the deployment's bucket."""


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


def _client() -> Any:
    """Signed for the region. An emulator's host has no names of buckets below it."""
    endpoint = settings().guest_endpoint_url or None
    style = "path" if endpoint else "virtual"
    config = {"signature_version": "s3v4", "s3": {"addressing_style": style}}
    return aws.make_client("s3", endpoint_url=endpoint, config=config)
