"""AWS credentials for one guest: its role's, narrowed to what it is to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from chalicelib import aws
from chalicelib.settings import settings


class Credentials(msgspec.Struct, frozen=True):
    """AWS credentials of a guest, and when they end."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: str


def lend(instance_id: str, generation: int, policy: dict[str, Any]) -> Credentials:
    """Credentials of `guest_credentials_seconds` that can do what the policy and the role allow."""
    answer = aws.client("sts").assume_role(
        RoleArn=settings().guest_role_arn,
        RoleSessionName=f"guest-{instance_id}-{generation}"[:64],
        Policy=msgspec.json.encode(policy).decode(),
        DurationSeconds=settings().guest_credentials_seconds,
    )["Credentials"]
    expires: datetime = answer["Expiration"]
    return Credentials(
        access_key_id=answer["AccessKeyId"],
        secret_access_key=answer["SecretAccessKey"],
        session_token=answer["SessionToken"],
        expires_at=expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
