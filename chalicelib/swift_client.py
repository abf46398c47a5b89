"""Requests to Swift, each with a bound: what stands behind `aws.make_client("swift")`."""

from __future__ import annotations

from typing import Final

import msgspec
import urllib3

from chalicelib import aws, crash

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 8.0
"""For all of an answer, of a function that has 20 seconds for its step."""
_PIECE_BYTES: Final = 64 * 1024


class Answer(msgspec.Struct, frozen=True):
    """What the store says; `length` is that of the object, also where no body comes."""

    status: int
    length: int = 0
    body: bytes = b""
    etag: str = ""


class SwiftClient:
    """Connections that are kept. A redirect is not followed, and nothing is repeated here."""

    def __init__(self, authority: str | None = None) -> None:
        """`authority` is the file of the certificate to trust, instead of the public ones."""
        self._pool = urllib3.PoolManager(maxsize=2, retries=False, ca_certs=authority)

    def ask(self, *, Method: str, Url: str, Most: int) -> Answer | None:  # noqa: N803 - as boto3's
        """The answer with a body of some bytes more than `Most` at most; None when none came."""
        until = aws.monotonic() + READ_SECONDS
        try:
            answer = self._pool.request(
                Method,
                Url,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                redirect=False,
                preload_content=False,
            )
            body, read = b"", answer.stream(_PIECE_BYTES, decode_content=False)
            while len(body) <= Most and (piece := next(read, b"")):
                body += piece
                if aws.monotonic() > until:
                    answer.close()
                    return None
            answer.drain_conn() if len(body) <= Most else answer.close()
        except urllib3.exceptions.HTTPError:
            return None
        crash.effect(f"swift.{Method}")
        declared = answer.headers.get("Content-Length", "")
        length, etag = int(declared) if declared.isdecimal() else 0, answer.headers.get("ETag", "")
        return Answer(answer.status, length, body, etag.strip('"'))
