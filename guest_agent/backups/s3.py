"""`Store` on S3's own protocol, signed with the credentials of a grant."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import urlsplit

from chalicelib import crash
from guest_agent import sigv4
from guest_agent.backups.calls import Call, Calls, Then
from guest_agent.backups.grant import Grant
from guest_agent.backups.store import StoreFailed
from guest_agent.enrolment import Reply

_DONE: Final = frozenset({200, 201, 204})
_DENIED: Final = frozenset({401, 403})
_TOO_OFTEN: Final = 429
_BROKEN: Final = 500
_EXPIRED: Final = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_BROKEN_ON_THE_WAY: Final = frozenset(
    {"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"}
)
_ARCHIVED: Final = "InvalidObjectState"
"""A 403 that no other credentials change: somebody has moved the object to an archive."""
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_NO_BODY: Final = hashlib.sha256(b"").hexdigest()


class S3Store(Calls[Grant]):
    """The objects that one grant is for."""

    def put(self, key: str, body: bytes, sha256: str) -> None:
        self.perform(Call("PUT", key, body, sha256))
        crash.effect("PutObject")

    def get(self, key: str, most: int) -> bytes:
        found = self.perform(Call("GET", key, b"", _NO_BODY))
        if len(found) > most:
            raise StoreFailed(f"the object {key} has more than {most} bytes")
        return found

    def request(self, grant: Grant, call: Call) -> tuple[str, dict[str, str]]:
        base, path = place(grant, call.key)
        headers = sigv4.signed(
            {"Host": urlsplit(base).netloc, sigv4.CONTENT_SHA256: call.sha256},
            call.body,
            credentials=grant.credentials,
            region=grant.region,
            service="s3",
            now=self._clock.now(),
            method=call.method,
            path=path,
        )
        return f"{base}{path}", headers

    def judged(self, reply: Reply) -> tuple[Then, str]:
        if reply.status in _DONE:
            return Then.DONE, "answered"
        found = _CODE.search(reply.body)
        code = found[1].decode() if found else ""
        said = f"answered {reply.status} {code}".rstrip()
        if code == _ARCHIVED:
            return Then.END, said
        if reply.status in _DENIED or code in _EXPIRED:
            return Then.RENEW, said
        busy = reply.status == _TOO_OFTEN or reply.status >= _BROKEN
        if busy or code in _BROKEN_ON_THE_WAY:
            return Then.AGAIN, said
        return Then.END, said


def place(grant: Grant, key: str) -> tuple[str, str]:
    """Scheme and host, and the path of an object: by path at an endpoint, else by the host."""
    if grant.endpoint:
        return grant.endpoint.rstrip("/"), f"/{grant.bucket}/{key}"
    return f"https://{grant.bucket}.s3.{grant.region}.amazonaws.com", f"/{key}"
