"""Backups in a container of their tenant's in Swift: what the control plane does there.

It has no role in the tenant's project. The API puts a key of ours beside the container, with the
token of who asks for a backup there (`chalicelib.auth.containers`); what is signed with it is a
temporary URL, which is all that is used afterwards, here and by guests.

    GET, HEAD, DELETE    the control plane, of one object, for a minute or two
    PUT                  a guest, below its attempt, for some minutes
    GET                  a guest, below the chain that it is restored from, or of the one object
                         that was imported, for some minutes

Swift compares a signature with the container's keys. It answers 401 when none fits, as when the
container is not there any more, and lists nothing by a temporary URL.
Source: Swift's middleware `tempurl`.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from chalicelib import aws, trust
from chalicelib.bus import keys
from chalicelib.bus.envelope import BadSeal
from chalicelib.domain.containers import Container
from chalicelib.objects import NotStored
from chalicelib.swift_client import Answer

URL_SECONDS: Final = 300.0
"""Of the control plane's URLs: clocks may differ, and a request waits for a connection."""
LENT_SECONDS: Final = 420.0
"""Of a guest's, which are asked for anew while they are needed."""
REQUEST_SECONDS: Final = 120.0
"""So long a guest may send an object that it has begun with (`guest_agent.backups.calls`)."""


class Stored(NamedTuple):
    """An object's bytes, and its ETag: of what was written in one piece its MD5 in hex."""

    size: int
    etag: str


class Refused(Exception):
    """Swift does not do it: the container is gone, or its key is another one."""


class Away(Exception):
    """No answer, or one that may be another one soon."""


def signature(container: Container, method: str, prefix: str, expires: int) -> str:
    """Of the URLs of all objects below a prefix. Raises `Refused` when the key is lost."""
    return _signed(container, method, f"prefix:{container.path}/{prefix}", expires)


def url_of(container: Container, method: str, key: str, expires: int | None = None) -> str:
    """A temporary URL of one object; raises `Refused`."""
    expires = int(aws.clock() + URL_SECONDS) if expires is None else expires
    signed = _signed(container, method, f"{container.path}/{key}", expires)
    query = urlencode({"temp_url_sig": signed, "temp_url_expires": expires})
    return f"{container.url}/{quote(key)}?{query}"


def _signed(container: Container, method: str, path: str, expires: int) -> str:
    try:
        key = keys.container_key(container.url, container.key)
    except BadSeal:
        raise Refused(f"the key of container {container.name} is lost") from None
    text = f"{method}\n{expires}\n{path}"
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def read(container: Container, key: str, most: int) -> bytes:
    """An object of at most that many bytes; `NotStored`, `Refused`, `Away`."""
    answer = _ask(container, "GET", key, most)
    if answer is None:
        raise NotStored(f"{key} is not there")
    if len(answer.body) > most:
        raise NotStored(f"{key} has more than {most} bytes")
    return answer.body


def look(container: Container, key: str) -> Stored | None:
    """What is known of an object; None when it is not there."""
    answer = _ask(container, "HEAD", key)
    return None if answer is None else Stored(answer.length, answer.etag)


def remove(container: Container, key: str) -> None:
    """Remove an object; one that is gone is fine."""
    _ask(container, "DELETE", key)


def _ask(container: Container, method: str, key: str, most: int = 0) -> Answer | None:
    """The answer of a request that was done; None of an object that is not there."""
    url = url_of(container, method, key)
    client = aws.remembered("swift", lambda: aws.make_client("swift", authority=trust.authority()))
    answer: Answer | None = client.ask(Method=method, Url=url, Most=most)
    if answer is None:
        raise Away("it does not answer")
    if answer.status in (401, 403):
        raise Refused(
            f"it refuses the deployment's key of container {container.name}, as where that was "
            "deleted or its key changed"
        )
    if answer.status == 404:
        return None
    if not 200 <= answer.status < 300:
        raise Away(f"it answers {answer.status}")
    return answer
