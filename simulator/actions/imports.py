"""Backups that Trove has made: they lie in a container of their tenant's, and are taken in there.

What somebody does to such an object afterwards is a fault (F18). What is in it is drawn when it is
put there, and told by nobody but the object itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from simulator.clients import Clients, Tenant
from simulator.cloud.model.object_store import OBJECT_META, REALM
from simulator.fleet.datastore import NOTHING, Database, User
from simulator.fleet.troves import packed
from simulator.inputs import DATASTORE
from simulator.swift import URL

CONTAINER: Final = "database_backups"
"""As Trove calls it."""
IN_VAIN: Final = 0.2
"""Share of the imports that ask for what cannot be taken in."""
MOST_ROWS: Final = 3
SIZE_GIB: Final = 0.5


def import_backup(work: Clients, tenant: Tenant, _: str | None) -> None:
    """One of a few objects, which may have been taken in before; now and then what is none."""
    version = _version(work, tenant)
    if version is None:
        return
    asked = {
        "remote_location": lying(work, tenant, f"{work.name('of-trove')}.xbstream.gz", {}),
        "local_datastore_version_id": version,
        "size": SIZE_GIB,
    }
    if work.stream.random() < IN_VAIN:
        asked |= work.stream.choice(_WRONG)(work, tenant)
    body = {"backup": {"name": work.name("import"), "restore_from": asked}}
    reply = work.post(tenant, "/backups", body)
    if reply.status == 202:
        work.learn_backup(tenant, reply)


def lying(work: Clients, tenant: Tenant, name: str, headers: dict[str, str]) -> str:
    """The URL of an object, which is put there unless something is."""
    account, store = f"{REALM}{tenant.name}", work.world.region.swift.store
    store.put_container(account, CONTAINER, {})
    if name not in store.container(account, CONTAINER).objects:
        store.put(account, CONTAINER, name, _body(work), "", "application/gzip", headers)
    return _url(tenant, name)


def _body(work: Clients) -> bytes:
    contents, name = NOTHING, work.name("schema")
    contents = contents.with_database(name, Database())
    for _ in range(work.names.randint(1, MOST_ROWS)):
        contents = contents.with_row(name, work.name("key"), work.name("value"))
    user = User(f"{work.names.getrandbits(32):08x}", frozenset({name}))
    return packed(contents.with_user((work.name("user"), "%"), user))


def _url(tenant: Tenant, name: str) -> str:
    return f"{URL}/v1/{REALM}{tenant.name}/{CONTAINER}/{quote(name)}"


def _version(work: Clients, tenant: Tenant) -> str | None:
    """The one that is told first; none where a stale read (F9) knows of none yet."""
    shown = work.request(tenant, "GET", f"/datastores/{DATASTORE}")
    return shown.document["datastore"].get("default_version") if shown.status == 200 else None


def _of_somebody_else(work: Clients, tenant: Tenant) -> dict[str, Any]:
    other = work.stream.choice(list(work.tenants.values()))
    url = lying(work, other, f"{work.name('of-trove')}.xbstream.gz", {})
    return {"remote_location": url if other is not tenant else f"https://elsewhere/v1/{CONTAINER}"}


def _of_nothing(work: Clients, tenant: Tenant) -> dict[str, Any]:
    return {"remote_location": _url(tenant, "never-put")}


def _increment(work: Clients, tenant: Tenant) -> dict[str, Any]:
    parent = {f"{OBJECT_META}parent-location": _url(tenant, "its-parent")}
    return {"remote_location": lying(work, tenant, "increment.xbstream.gz", parent)}


def _of_no_version(work: Clients, tenant: Tenant) -> dict[str, Any]:
    return {"local_datastore_version_id": "0" * 36}


_WRONG: Final[tuple[Callable[[Clients, Tenant], dict[str, Any]], ...]] = (
    _of_somebody_else,
    _of_nothing,
    _increment,
    _of_no_version,
)
