"""AWS Signature Version 4 of a plain request: all that the guest's queues and backups need.

Loading an SDK and its models took most of an agent's start. Unlike an SDK it signs with the time
that the caller gives, which is the services' and not the one of a clock that nobody has set.
Source: "Create a signed AWS API request", AWS Identity and Access Management User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from guest_agent.enrolment import Credentials

ALGORITHM: Final = "AWS4-HMAC-SHA256"
CONTENT_SHA256: Final = "X-Amz-Content-Sha256"


def signed(
    headers: dict[str, str],
    body: bytes,
    *,
    credentials: Credentials,
    region: str,
    service: str,
    now: float,
    method: str = "POST",
    path: str = "/",
) -> dict[str, str]:
    """The headers (with `Host`) and those that sign the request with that body at `now`.

    `path` has nothing in it that would have to be encoded. A header that tells the SHA-256 of the
    body, as S3 wants it, is believed.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    full = {
        **headers,
        "X-Amz-Date": stamp,
        "X-Amz-Security-Token": credentials.session_token,
    }
    canonical = {name.lower(): " ".join(value.split()) for name, value in full.items()}
    names = ";".join(sorted(canonical))
    lines = [f"{name}:{canonical[name]}" for name in sorted(canonical)]
    digest = full.get(CONTENT_SHA256) or hashlib.sha256(body).hexdigest()
    request = "\n".join([method, path, "", *lines, "", names, digest])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{credentials.access_key_id}/{scope}"
    full["Authorization"] = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return full
