"""Configuration groups."""

from __future__ import annotations

from typing import Any, Final

from simulator.actions.asking import Ask
from simulator.clients import Clients, Tenant
from simulator.versions import FIRST

SETTINGS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "mariadb": {
        "max_connections": (40, 50, 60),
        "wait_timeout": (60, 70),
        "innodb_sort_buffer_size": (2**21, 2**22),
    },
    "postgresql": {"work_mem": (4096, 8192), "max_connections": (40, 50)},
    "redis": {"maxclients": (100, 200), "hz": (10, 20)},
}
"""Of each datastore some that the running engine takes, and one that it takes at a start."""
UNKNOWN_PARAMETER: Final = 0.05
"""Share of the values with a parameter that is offered by none."""


def create_group(work: Clients, tenant: Tenant, _: str | None) -> None:
    datastore = work.datastore()
    named = {"type": datastore, "version": FIRST[datastore].name}
    body = {"name": work.name("group"), "values": _values(work, datastore), "datastore": named}
    reply = work.post(tenant, "/configurations", {"configuration": body})
    if reply.status == 200:
        tenant.groups[reply.document["configuration"]["id"]] = datastore


def change_group(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Some of its values, or all of them; an operator looks at what has come of it."""
    group = _group(work, tenant)
    if group is not None:
        body = {"configuration": {"values": _values(work, tenant.groups[group])}}
        method = work.stream.choice(("PATCH", "PATCH", "PUT"))
        work.request(tenant, method, f"/configurations/{group}", body)
        work.request(tenant, "GET", f"/configurations/{group}", admin=True)


def list_groups(work: Clients, tenant: Tenant, _: str | None) -> None:
    """All, or what there is to know of one."""
    group = _group(work, tenant)
    below = ("", "") if group is None else ("", f"/{group}", f"/{group}/instances")
    work.request(tenant, "GET", f"/configurations{work.stream.choice(below)}")


def delete_group(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Many are in use, which is refused."""
    group = _group(work, tenant)
    if group is not None:
        reply = work.request(tenant, "DELETE", f"/configurations/{group}")
        if reply.status in (202, 404):
            tenant.groups.pop(group, None)


def attach(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    group = _group(work, tenant)
    if group is not None:
        Ask(work, tenant, instance_id)("PUT", "", {"instance": {"configuration": group}})


def detach(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("PUT", "", {"instance": {"configuration": None}})


def _group(work: Clients, tenant: Tenant) -> str | None:
    return work.stream.choice(list(tenant.groups)) if tenant.groups else None


def _values(work: Clients, datastore: str) -> dict[str, Any]:
    """One or two parameters, of which one needs a start; now and then one that there is not."""
    known = SETTINGS[datastore]
    names = work.stream.sample(sorted(known), work.stream.randrange(1, len(known) + 1))
    values: dict[str, Any] = {name: work.stream.choice(known[name]) for name in names}
    if work.stream.random() < UNKNOWN_PARAMETER:
        values["datadir"] = "elsewhere"
    return values
