"""Swift's containers and objects, and who may touch them: a project's own, or a temporary URL.

Everything is in memory, as the rest of this cloud.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import (
    BadRequest,
    CloudError,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
)
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.seams import Clock

SERVICE = "object_store"
REALM = "AUTH_"
MOST_CONTAINER_NAME = 256
MOST_OBJECT_NAME = 1024
MOST_META_NAME = 128
MOST_META_VALUE = 256
MOST_OBJECT_BYTES = 5 * 1024**3 + 2
MOST_LISTED = 10_000
MOST_HELD_BYTES = 2 * 1024**3
"""Of all objects: they are this process's memory."""
META = "x-container-meta-"
URL_KEYS = ("temp-url-key", "temp-url-key-2")
QUOTA = "quota-bytes"
LARGE = "X-Static-Large-Object"
OBJECT_META = "x-object-meta-"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
DIGESTS = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


@dataclass
class StoredObject:
    """What lies under a name."""

    body: bytes = field(repr=False)
    etag: str
    content_type: str
    changed_at: float
    headers: Mapping[str, str] = field(default_factory=dict)
    """What else is noted of it: its own metadata."""

    def part(self, wanted: str | None, match: str | None) -> tuple[int, bytes]:
        """Status and body for whoever asks for a range of bytes, or for this object alone."""
        if match is not None and match.strip('"') != self.etag:
            return 412, b""
        found = RANGE.fullmatch(wanted) if wanted is not None else None
        if found is None:
            return 200, self.body
        first, last = int(found[1]), int(found[2] or len(self.body) - 1)
        if first >= len(self.body) or last < first:
            return 416, b""
        return 206, self.body[first : last + 1]


@dataclass
class Container:
    """Objects by name, and metadata without its prefix, in small letters."""

    changed_at: float
    objects: dict[str, StoredObject] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def used(self) -> int:
        """The bytes of its objects."""
        return sum(len(each.body) for each in self.objects.values())


@dataclass(frozen=True)
class Signed:
    """What a temporary URL says of itself."""

    signature: str
    expires: int
    prefix: str | None


class ObjectStore:
    """Containers by account and name. An account is there as soon as somebody looks."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock, self._faults = clock, faults
        self.accounts: dict[str, dict[str, Container]] = {}

    # ------------------------------------------------------------------------ who may

    def own(self, caller: Caller, account: str) -> None:
        """Refuse whoever is no operator of that account (keystoneauth's `operator_roles`)."""
        if account != f"{REALM}{caller.project_id}" or not caller.roles & {"admin", "member"}:
            raise Forbidden("Access was denied to this resource.")

    def by_url(self, method: str, account: str, container: str, name: str, url: Signed) -> None:
        """Refuse a temporary URL that no key of the container has signed for this, or no more.

        Whoever may GET or PUT may HEAD.
        """
        found = self.accounts.get(account, {}).get(container)
        keys = [found.meta[key] for key in URL_KEYS if found.meta.get(key)] if found else []
        path = f"/v1/{account}/{container}/{name}"
        if url.prefix is not None:
            if not name.startswith(url.prefix):
                raise Unauthorized
            path = f"prefix:/v1/{account}/{container}/{url.prefix}"
        kind = "sha256" if len(url.signature) == 64 else None
        if not keys or kind is None or url.expires < self._clock():
            raise Unauthorized
        methods = ("HEAD", "GET", "POST", "PUT") if method == "HEAD" else (method,)
        for key in keys:
            for each in methods:
                text = f"{each}\n{url.expires}\n{path}".encode()
                expected = hmac.new(key.encode(), text, DIGESTS[kind]).hexdigest()
                if hmac.compare_digest(expected, url.signature):
                    return
        raise Unauthorized

    # --------------------------------------------------------------------- containers

    def put_container(self, account: str, name: str, meta: Mapping[str, str]) -> bool:
        """Make a container, or give it more metadata; whether it is new."""
        if len(name.encode()) > MOST_CONTAINER_NAME:
            raise BadRequest(
                f"Container name length of {len(name.encode())} longer than {MOST_CONTAINER_NAME}"
            )
        _check(meta)
        with self._faults.around(SERVICE, "put_container", name):
            known = self.accounts.setdefault(account, {})
            new = name not in known
            self._change(known.setdefault(name, Container(self._clock())), meta)
            return new

    def post_container(self, account: str, name: str, meta: Mapping[str, str]) -> None:
        """Change metadata; an empty value removes it."""
        _check(meta)
        with self._faults.around(SERVICE, "post_container", name):
            self._change(self.container(account, name), meta)

    def container(self, account: str, name: str) -> Container:
        """The container, or NotFound."""
        found = self.accounts.get(account, {}).get(name)
        if found is None:
            raise NotFound("The resource could not be found.")
        return found

    def delete_container(self, account: str, name: str) -> None:
        """Remove an empty container."""
        with self._faults.around(SERVICE, "delete_container", name):
            if self.container(account, name).objects:
                raise Conflict("There was a conflict when trying to complete your request.")
            del self.accounts[account][name]

    def _change(self, container: Container, meta: Mapping[str, str]) -> None:
        for key, value in meta.items():
            if value:
                container.meta[key] = value
            else:
                container.meta.pop(key, None)

    # ------------------------------------------------------------------------ objects

    def put(
        self,
        account: str,
        container: str,
        name: str,
        body: bytes,
        etag: str,
        content_type: str,
        headers: Mapping[str, str] = {},
    ) -> StoredObject:
        """Store an object whole, if its sum is the one that is told (if one is)."""
        if len(name.encode()) > MOST_OBJECT_NAME:
            raise BadRequest(f"Object name length of {len(name.encode())} longer than 1024")
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        with self._faults.around(SERVICE, "put_object", name):
            found = self.container(account, container)
            before = len(found.objects[name].body) if name in found.objects else 0
            quota = found.meta.get(QUOTA, "")
            if quota.isdecimal() and found.used - before + len(body) > int(quota):
                raise CloudError("Upload exceeds quota.", status=413)
            if len(body) > MOST_OBJECT_BYTES:
                raise CloudError("Your request is too large.", status=413)
            if self._held() + len(body) > MOST_HELD_BYTES:
                raise CloudError("There was not enough space to save the resource.", status=507)
            if etag and etag.strip('"').lower() != digest:
                raise CloudError("Unable to process the contained instructions", status=422)
            stored = StoredObject(body, digest, content_type, self._clock(), headers)
            found.objects[name] = stored
            return stored

    def put_manifest(
        self, account: str, container: str, name: str, body: bytes, headers: Mapping[str, str]
    ) -> StoredObject:
        """A static large object, of segments as they are now: who changes one later does not
        change it, where Swift refuses to read it then."""
        segments = list[StoredObject]()
        for each in json.loads(body):
            where, _, key = str(each["path"]).lstrip("/").partition("/")
            segments.append(self.get(account, where, key, "get_object"))
            if (segments[-1].etag, len(segments[-1].body)) != (each["etag"], each["size_bytes"]):
                raise BadRequest("Errors: Etag Mismatch")
        whole = b"".join(each.body for each in segments)
        etags = "".join(each.etag for each in segments).encode()
        noted = {**headers, LARGE: "True"}
        stored = self.put(account, container, name, whole, "", "application/octet-stream", noted)
        stored.etag = hashlib.md5(etags, usedforsecurity=False).hexdigest()
        return stored

    def get(self, account: str, container: str, name: str, call: str) -> StoredObject:
        """An object, or NotFound; `call` is how faults know it."""
        with self._faults.around(SERVICE, call, name):
            found = self.container(account, container).objects.get(name)
            if found is None:
                raise NotFound("The resource could not be found.")
            return found

    def delete(self, account: str, container: str, name: str) -> None:
        """Remove an object."""
        with self._faults.around(SERVICE, "delete_object", name):
            if self.container(account, container).objects.pop(name, None) is None:
                raise NotFound("The resource could not be found.")

    def listed(
        self, account: str, container: str, prefix: str, marker: str, limit: int
    ) -> list[str]:
        """Names in their order, behind a marker."""
        names = sorted(self.container(account, container).objects)
        chosen = [name for name in names if name.startswith(prefix) and name > marker]
        return chosen[: min(limit, MOST_LISTED)]

    def _held(self) -> int:
        return sum(each.used for known in self.accounts.values() for each in known.values())


def _check(meta: Mapping[str, str]) -> None:
    for name, value in meta.items():
        if not name or len(name) > MOST_META_NAME:
            raise BadRequest(f"Metadata name too long: {META}{name}")
        if len(value) > MOST_META_VALUE:
            raise BadRequest(f"Metadata value longer than {MOST_META_VALUE}: {META}{name}")
