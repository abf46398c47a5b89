"""Puts the deployment's key beside a tenant's container in Swift, with the tenant's own token.

Afterwards what is signed with that key is all that is needed there (`chalicelib.containers`), so
that neither the token is kept nor a role asked for in the tenant's project. A container has room
for two keys, and one that is not ours is somebody's: it is left as it is.

    not there            made, with our key                    if it may be made
    our key is there     of whichever version of the ring      that is used
    room for it          put there
    two others           409
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

import msgspec

from chalicelib.auth.connection import Connection, auth_url
from chalicelib.bus import keys
from chalicelib.domain.containers import MOST_NAME, VERSION, Container
from chalicelib.domain.imports import MOST_OBJECT_NAME
from chalicelib.errors import (
    BadRequest,
    Conflict,
    NotSupported,
    OverLimit,
    Unauthorized,
    Unavailable,
)
from chalicelib.settings import settings


class Found(NamedTuple):
    """An object of the tenant's own account: its place, and what Swift says of it."""

    container: str
    key: str
    headers: Mapping[str, str]


class OwnStore(Protocol):
    """A project's own containers, by its token. Raises what the tenant is to be told."""

    def reach(self, token: str, project_id: str, name: str, make: bool) -> Container | None:
        """The container of a name, with our key beside it; None where it is not there and is not
        to be made."""

    def find(self, token: str, project_id: str, url: str) -> Found | None:
        """The object of an URL; None where it is not there. `BadRequest` for an URL of any other
        place than the project's own account, which is never asked for."""


SLOTS: Final = ("X-Container-Meta-Temp-Url-Key", "X-Container-Meta-Temp-Url-Key-2")
OWN: Final = "it begins with the public URL that 'openstack catalog show object-store' tells."
NONE: Final = "This cloud has no object store that backups could go to."
_DENIED: Final = (401, 403)
_FULL: Final = (413, 507)

log = logging.getLogger(__name__)


class _Endpoint(msgspec.Struct, frozen=True):
    url: str
    interface: str
    region: str | None = None


class _Service(msgspec.Struct, frozen=True):
    type: str
    endpoints: list[_Endpoint] = []


class _Catalog(msgspec.Struct, frozen=True):
    catalog: list[_Service] = []


class NoStore:
    """An `OwnStore` where there is no Swift."""

    def reach(self, token: str, project_id: str, name: str, make: bool) -> Container | None:
        raise NotSupported(NONE)

    def find(self, token: str, project_id: str, url: str) -> Found | None:
        raise NotSupported(NONE)


def place_in(account: str, url: str) -> tuple[str, str]:
    """Container and name of an object by its URL, as Trove writes it or quoted; `BadRequest` unless
    it is below the account's own."""
    below = f"{account}/"
    if not url.startswith(below) or {"?", "#"} & set(url):
        raise BadRequest(f"The 'remote_location' is not in the object store of the project: {OWN}")
    container, _, key = url.removeprefix(below).partition("/")
    container, key = unquote(container), unquote(key)
    strange = (
        "/" in container or not container or not key or {".", ".."} & {container, *key.split("/")}
    )
    if strange or len(key.encode()) > MOST_OBJECT_NAME or len(container) > MOST_NAME:
        raise BadRequest("The 'remote_location' names no object of a container.")
    return container, key


class Containers:
    """The same over HTTP: the token's own catalog, then Swift."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reach(self, token: str, project_id: str, name: str, make: bool) -> Container | None:
        """See `OwnStore`."""
        url = f"{self._account(token)}/{quote(name, safe='')}"
        status, found = self._ask("HEAD", url, token)
        if status == 404:
            return self._made(url, name, token, project_id) if make else None
        self._require_done(status, name, project_id)
        ring = keys.container_ring()
        present = [found[slot] for slot in SLOTS if found.get(slot)]
        for version in sorted(ring.keys, reverse=True):
            if keys.container_key(url, version) in present:
                return Container(url, version)
        free = [slot for slot in SLOTS if not found.get(slot)]
        if not free:
            raise Conflict(
                f"Container {name} has two keys of temporary URLs already, and no room for the one "
                "that backups need: choose another container, or remove a key."
            )
        key = keys.container_key(url, ring.current)
        status, _ = self._ask("POST", url, token, {free[-1]: key})
        self._require_done(status, name, project_id)
        return Container(url, ring.current)

    def find(self, token: str, project_id: str, url: str) -> Found | None:
        """See `OwnStore`."""
        account = self._account(token)
        container, key = place_in(account, url)
        place = f"{account}/{quote(container, safe='')}/{quote(key)}"
        status, headers = self._ask("HEAD", place, token)
        if status == 404:
            return None
        self._require_done(status, container, project_id)
        return Found(container, key, headers)

    def _made(self, url: str, name: str, token: str, project_id: str) -> Container:
        version = keys.container_ring().current
        status, _ = self._ask("PUT", url, token, {SLOTS[-1]: keys.container_key(url, version)})
        self._require_done(status, name, project_id)
        return Container(url, version)

    def _account(self, token: str) -> str:
        """Where the token's project has its containers, by its own catalog."""
        from keystoneauth1.exceptions import ClientException

        try:
            answer = self._connection.session().get(
                f"{auth_url()}/auth/catalog",
                headers={"X-Auth-Token": token, "Accept": "application/json"},
                authenticated=False,
                raise_exc=False,
                log=False,
            )
            found = msgspec.json.decode(answer.content, type=_Catalog) if answer.ok else None
        except (ClientException, msgspec.DecodeError) as error:
            log.warning("Keystone shows no catalog to a tenant: %s", type(error).__name__)
            found = None
        if found is None:
            raise Unavailable("The identity service does not show its catalog at the moment.")
        chosen = settings()
        for service in found.catalog:
            for each in service.endpoints if service.type == "object-store" else ():
                here = (chosen.os_interface, chosen.os_region_name)
                swift = f"{urlsplit(each.url).path}/".count(VERSION) == 1
                if (each.interface, each.region) == here and swift:
                    return each.url.rstrip("/")
        raise NotSupported(NONE)

    def _ask(
        self, method: str, url: str, token: str, headers: Mapping[str, str] = {}
    ) -> tuple[int, Mapping[str, str]]:
        """Swift's status and headers; 0 when it does not answer."""
        from keystoneauth1.exceptions import ClientException

        try:
            answer: Any = self._connection.session().request(
                url,
                method,
                headers={"X-Auth-Token": token, **headers},
                authenticated=False,
                redirect=False,
                raise_exc=False,
                log=False,
            )
        except ClientException as error:
            log.warning("Swift cannot be asked for a tenant: %s", type(error).__name__)
            return 0, {}
        return int(answer.status_code), answer.headers

    def _require_done(self, status: int, name: str, project_id: str) -> None:
        if 200 <= status < 300:
            return
        if status in _DENIED:
            raise Unauthorized(f"Swift account not accessible for tenant {project_id}.")
        if status in _FULL:
            raise OverLimit(f"The object store has no room for container {name}: a quota is full.")
        if status in (400, 404, 412):
            raise BadRequest(f"The object store does not take {name!r} as a container.")
        raise Unavailable("The object store does not answer at the moment; try again.")
