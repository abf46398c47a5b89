"""The address of a bundle: good for some minutes, made without a call."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import aws
from chalicelib.bus import bundles
from chalicelib.domain.agents import AgentBundle

BUNDLE = AgentBundle("0.1.0+1f3a9c02", "ab" * 32, 9_000_000)


@pytest.mark.parametrize(
    ("endpoint", "begins"),
    [
        ("", "https://bucket-1.s3.eu-west-1.amazonaws.com/agents/abab"),
        ("http://localhost:4566", "http://localhost:4566/bucket-1/agents/abab"),
    ],
)
def test_it_is_signed_for_the_bundle_alone(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, begins: str
) -> None:
    previous = aws.install(aws.Provider())
    try:
        for name, value in {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "COFFER_PACKAGES_BUCKET": "bucket-1",
            "COFFER_GUEST_ENDPOINT_URL": endpoint,
        }.items():
            monkeypatch.setenv(name, value)
        address = bundles.address_of(BUNDLE)
    finally:
        aws.install(previous)
    assert address.startswith(begins)
    asked = parse_qs(urlsplit(address).query)
    assert asked["X-Amz-Expires"] == ["900"]
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["X-Amz-SignedHeaders"] == ["host"], "a piece of it may be asked for"
