"""Swift as the control plane and guests of a simulation reach it: the local cloud's own model.

A tenant's account is made as soon as it is used, and every tenant may have containers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.auth.containers import SLOTS, Found, place_in
from chalicelib.bus import keys
from chalicelib.domain.containers import Container
from chalicelib.errors import Unavailable
from chalicelib.swift_client import Answer
from simulator.cloud.model.errors import CloudError
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.object_store import META, REALM, ObjectStore, Signed
from simulator.effects import Effects

URL: Final = "https://swift"
T = TypeVar("T")


class Swift:
    """Containers and objects, by temporary URLs."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self.store = ObjectStore(lambda: effects.kernel.now, Faults())

    def ask(self, *, Method: str, Url: str, Most: int) -> Answer | None:  # noqa: N803 - as boto3's
        """The answer to the control plane; None when none came."""
        answered = self.sent(Method, Url, b"", {})
        if answered is None:
            return None
        status, body = answered
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return Answer(status, len(body), b"" if Method == "HEAD" else body[: Most + 1], etag)

    def sent(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes] | None:
        """Status and body, of a HEAD too; None when none came. Each request is an effect."""
        try:
            return self._effects.perform_once(
                "swift",
                f"{method.title()}Object",
                lambda: self._answer(method, url, body, headers),
                Url=url,
            )
        except (ClientError, BotoCoreError):
            return None

    def _answer(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        account, container, name = _place(url)
        query = dict(parse_qsl(urlsplit(url).query))
        prefix = query.get("temp_url_prefix")
        signed = Signed(query["temp_url_sig"], int(query["temp_url_expires"]), prefix)
        try:
            self.store.by_url(method, account, container, name, signed)
            return self._object(method, (account, container, name), body, headers)
        except CloudError as error:
            return error.status, b""

    def _object(
        self, method: str, place: tuple[str, str, str], body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        match method:
            case "PUT":
                self.store.put(*place, body, headers.get("ETag", ""), "application/octet-stream")
                return 201, b""
            case "DELETE":
                self.store.delete(*place)
                return 204, b""
        found = self.store.get(*place, f"{method.lower()}_object")
        return found.part(headers.get("Range"), headers.get("If-Match"))

    def reach(self, token: str, project_id: str, name: str, make: bool) -> Container | None:
        """`chalicelib.auth.containers.OwnStore` of any token."""
        return self._asked("PutContainer", lambda: self._reached(project_id, name, make))

    def _reached(self, project_id: str, name: str, make: bool) -> Container | None:
        account, version = f"{REALM}{project_id}", keys.container_ring().current
        url = f"{URL}/v1/{account}/{quote(name, safe='')}"
        if not make and name not in self.store.accounts.get(account, {}):
            return None
        slot = SLOTS[-1].lower().removeprefix(META)
        self.store.put_container(account, name, {slot: keys.container_key(url, version)})
        return Container(url, version)

    def find(self, token: str, project_id: str, url: str) -> Found | None:
        """See `reach`."""
        account = f"{REALM}{project_id}"
        container, name = place_in(f"{URL}/v1/{account}", url)
        return self._asked("HeadObject", lambda: self._found(account, container, name))

    def _found(self, account: str, container: str, name: str) -> Found | None:
        held = self.store.accounts.get(account, {}).get(container)
        found = held.objects.get(name) if held is not None else None
        if found is None:
            return None
        headers = {"Content-Length": str(len(found.body)), "ETag": found.etag, **found.headers}
        return Found(container, name, headers)

    def _asked(self, call: str, answer: Callable[[], T]) -> T:
        """What the API asks with a tenant's token, and what it tells that tenant otherwise."""
        try:
            return self._effects.perform_once("swift", call, answer)
        except (ClientError, BotoCoreError):
            raise Unavailable(
                "The object store does not answer at the moment; try again."
            ) from None

    def urls(self) -> list[str]:
        """All that lies there."""
        return [
            f"{URL}/v1/{account}/{quote(container, safe='')}/{name}"
            for account, known in self.store.accounts.items()
            for container, held in known.items()
            for name in held.objects
        ]

    def body(self, url: str) -> bytes | None:
        """The content of an object; None when it is not there."""
        account, container, name = _place(url)
        held = self.store.accounts.get(account, {}).get(container)
        found = held.objects.get(name) if held is not None else None
        return found.body if found is not None else None

    def put_over(self, url: str, body: bytes) -> None:
        """Put another object into the place of one, as its owner may."""
        self.store.put(*_place(url), body, "", "application/octet-stream")

    def spoil(self, url: str, body: bytes | None) -> None:
        """Change the content of an object below what is known of it, or lose it (None)."""
        account, container, name = _place(url)
        held = self.store.accounts[account][container].objects
        if body is None:
            del held[name]
        else:
            held[name] = replace(held[name], body=body)


def imported_from(row: Mapping[str, Any]) -> str | None:
    """The URL of the object that a backup was imported from; None of every other one."""
    if "imported" not in row:
        return None
    return f"{row['container_url']}/{quote(json.loads(row['imported'])['key'])}"


def is_as_imported(row: Mapping[str, Any], body: bytes) -> bool:
    """Whether it is what the backup of that row was imported as."""
    known = json.loads(row["imported"])
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return (len(body), etag) == (known["size"], known["etag"])


def backup_of_url(url: str) -> str | None:
    """The id of the backup that an object is of; None of what is its tenant's own."""
    names = _place(url)[2].split("/")
    return names[2] if len(names) > 3 else None


def _place(url: str) -> tuple[str, str, str]:
    """Account, container and name of an object."""
    _, _, account, container, name = urlsplit(url).path.split("/", 4)
    return account, unquote(container), unquote(name)
