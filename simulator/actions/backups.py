"""Backups: made, tried out, restored and deleted."""

from __future__ import annotations

from typing import Any, Final

from chalicelib import engines
from chalicelib.engines.engine import Part
from simulator.actions.contents import new_user
from simulator.actions.instances import creation
from simulator.clients import Clients, Tenant

INCREMENTAL: Final = 0.4
NAMED_PARENT: Final = 0.3
"""Shares of the backups that build on the newest one of their instance, or on one that is named."""
CASCADING: Final = 0.3
"""Share of the deletes of backups that take along what builds on them."""
CONTAINERS: Final = ("nightly", "by hand")
"""Of each tenant's, in Swift."""


def create_backup(
    work: Clients, tenant: Tenant, instance_id: str | None, container: str | None = None
) -> None:
    """Of all, of what has changed since the newest, or since one that is named, which often cannot
    be built on."""
    if instance_id is None:
        return
    body: dict[str, Any] = {"name": work.name("backup"), "instance": instance_id}
    if container is not None:
        body["swift_container"] = container
    how = work.stream.random()
    parents = [each for each, (_, source) in tenant.backups.items() if source == instance_id]
    if how < INCREMENTAL:
        body["incremental"] = 1
    elif how < INCREMENTAL + NAMED_PARENT and parents:
        body["parent_id"] = work.stream.choice(parents)
    reply = work.post(tenant, "/backups", {"backup": body})
    if reply.status == 202:
        work.learn_backup(tenant, reply)


def create_backup_in_container(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """The same in one of two containers of the tenant's: a chain lies in one of them."""
    create_backup(work, tenant, instance_id, work.stream.choice(CONTAINERS))


def create_snapshot(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """A backup that is a snapshot of the volume, also of an engine that has none."""
    if instance_id is None:
        return
    body = {"name": work.name("backup"), "instance": instance_id, "storage_driver": "cinder"}
    reply = work.post(tenant, "/backups", {"backup": body})
    if reply.status == 202:
        work.learn_backup(tenant, reply)


def list_backups(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """All, those of an instance, or one."""
    backup = _backup(work, tenant)
    paths = ["/backups", "/backups?limit=2"]
    if instance_id is not None:
        chosen = f"/backups?instance_id={instance_id}"
        paths += [chosen, f"{chosen}&limit=1", f"/instances/{instance_id}/backups"]
    if backup is not None:
        paths += [f"/backups/{backup}"] * 2
    work.request(tenant, "GET", work.stream.choice(paths))


def restore(work: Clients, tenant: Tenant, _: str | None) -> None:
    """An instance with the data of a backup, now and then one that is not complete."""
    backup = _backup(work, tenant)
    if backup is None:
        return
    datastore, _source = tenant.backups[backup]
    body = creation(work.name("restored"), work.stream.randrange(1, 4), datastore)
    body["instance"]["restorePoint"] = {"backupRef": backup}
    if work.stream.random() < 0.5:
        del body["instance"]["datastore"]
    if engines.can(datastore, Part.USERS) and work.stream.random() < 0.2:
        body["instance"]["users"] = [new_user(work, work.name("user"), [])]
    reply = work.post(tenant, "/instances", body)
    if reply.status == 200:
        work.learn(tenant, reply)


def delete_backup(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Some are built on, which is refused unless that goes too, some are being restored."""
    backup = _backup(work, tenant)
    if backup is None:
        return
    more = "?cascade=true" if work.stream.random() < CASCADING else ""
    if work.request(tenant, "DELETE", f"/backups/{backup}{more}").status == 404:
        tenant.backups.pop(backup, None)


def verify_backup(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Some are not complete, or their instance is gone."""
    backup = _backup(work, tenant)
    if backup is not None:
        work.post(tenant, f"/backups/{backup}/action", {"verify": {}})


def delete_after_backup(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    if instance_id is not None:
        name = work.name("last")
        work.request(
            tenant, "DELETE", f"/instances/{instance_id}?final_backup=true&backup_name={name}"
        )


def _backup(work: Clients, tenant: Tenant) -> str | None:
    return work.stream.choice(list(tenant.backups)) if tenant.backups else None
