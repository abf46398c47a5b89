"""The drivers' way to the process that starts guests and keeps volumes."""

from __future__ import annotations

import json
from typing import Any
from urllib import request

SECONDS = 60


def call(url: str, method: str, path: str, body: Any = None) -> Any:
    """One call; raises `urllib.error.URLError` when it is refused or nobody answers."""
    asked = request.Request(  # noqa: S310 - the scheme is ours
        f"{url}{path}",
        method=method,
        data=json.dumps(body or {}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with request.urlopen(asked, timeout=SECONDS) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")
