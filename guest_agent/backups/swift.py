"""`Store` on Swift, in a container of the tenant's, by temporary URLs that are lent anew while they
are needed.

Nothing there can be listed by one, so that all that lies there has to follow from what the control
plane knows: in which attempt it is written is said before anything is, and the manifest lies with
the attempt's parts, below a name that is always the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode

from chalicelib import aws, crash
from chalicelib.bus.contract import manifest
from guest_agent.backups.calls import Call, Calls, Send, Then
from guest_agent.backups.grant import ContainerGrant
from guest_agent.backups.store import StoreFailed
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply

Ask = Callable[[str | None], ContainerGrant]
"""A grant; to write with the attempt that it is for."""

_DONE: Final = frozenset({200, 201, 202})
_DENIED: Final = frozenset({401, 403})
_AGAIN: Final = frozenset({408, 422, 429, 498, 499})
"""Too slow, another sum than was sent, too often, and what proxies say when a side has hung up."""
_NO_ROOM: Final = frozenset({413, 507})
_BROKEN: Final = 500


class SwiftStore(Calls[ContainerGrant]):
    """The objects of one backup, in the attempt that it is written in, or of a chain."""

    def __init__(
        self,
        ask: Ask,
        clock: ServiceClock,
        stop: aws.Event,
        send: Send,
        grant: ContainerGrant,
    ) -> None:
        self._attempt: str | None = None
        super().__init__(lambda: ask(self._attempt), clock, stop, send, grant)

    def put(self, key: str, body: bytes, sha256: str) -> None:
        location, attempt = _attempt_in(key)
        if attempt is None:
            assert self._attempt is not None, "a manifest is written last"
            key = manifest.place_in_container(location, self._attempt)
        elif attempt != self._attempt:
            self._attempt = attempt
            self.renew()
        self.perform(Call("PUT", key, body, sha256))
        crash.effect("PutObject")

    def get(self, key: str, most: int) -> bytes:
        location, attempt = _attempt_in(key)
        if attempt is None:
            key = manifest.place_in_container(location, self._written_in(location))
        found = self.perform(Call("GET", key, b"", ""))
        if len(found) > most:
            raise StoreFailed(f"the object {key} has more than {most} bytes")
        return found

    def _written_in(self, location: str) -> str:
        backup_id = location.rpartition("/")[2]
        found = self.current().attempts.get(backup_id)
        if found is None:
            raise StoreFailed(f"the control plane does not know where the backup {backup_id} lies")
        return found

    def request(self, grant: ContainerGrant, call: Call) -> tuple[str, dict[str, str]]:
        lent = grant.container
        query = urlencode(
            {
                "temp_url_sig": lent.signatures.get(call.method, ""),
                "temp_url_expires": lent.expires_at,
                "temp_url_prefix": lent.prefix,
            }
        )
        headers: dict[str, str] = {}
        if call.method == "PUT":
            # Swift refuses what has another sum, and says no other one than this.
            digest = hashlib.md5(call.body, usedforsecurity=False).hexdigest()
            headers = {"ETag": digest, "Content-Type": "application/octet-stream"}
        return f"{lent.url}/{quote(call.key)}?{query}", headers

    def judged(self, reply: Reply) -> tuple[Then, str]:
        return judged(reply)


def judged(reply: Reply) -> tuple[Then, str]:
    """What an answer of Swift's to a temporary URL means; see `Calls.judged`."""
    said = f"answered {reply.status}"
    if reply.status in _DONE:
        return Then.DONE, said
    if reply.status in _DENIED:
        return Then.RENEW, (
            f"refused the deployment's key ({reply.status}), as where the container was "
            "deleted or its key changed,"
        )
    if reply.status in _NO_ROOM:
        return Then.END, f"{said}, that a quota or its room is used up,"
    if reply.status in _AGAIN or reply.status >= _BROKEN:
        return Then.AGAIN, said
    return Then.END, said


def _attempt_in(key: str) -> tuple[str, str | None]:
    """The location in a key, and the attempt of a part; None of a manifest."""
    folder, _, name = key.rpartition("/")
    if name.startswith("manifest."):
        return folder, None
    location, _, attempt = folder.rpartition("/")
    return location, attempt
