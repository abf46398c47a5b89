"""Backup strategies: which container the backups go to that name no place.

That of an instance stands in its row, and goes with it; that of a project in the project's row. The
one of the instance comes first.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final, NamedTuple

from pynamodb.expressions.update import Action

from chalicelib.domain.containers import Container
from chalicelib.errors import NotFound
from chalicelib.lifecycle import Status
from chalicelib.store import quotas
from chalicelib.store.base import ConditionFailed, update_if
from chalicelib.store.models import Instance, Quota

PAGE: Final = 1000
MOST_LISTED: Final = 1000
"""Instances of a project with a strategy of their own that are told, of however many it has."""


class Strategy(NamedTuple):
    """A container, of a project or of one of its instances."""

    tenant_id: str
    instance_id: str | None
    container: Container


def container_for(instance: Instance) -> Container | None:
    """Where an instance's backups go; None is the deployment's own store."""
    own = _read(instance.backup_container)
    return own or _read(quotas.get_quota(instance.tenant_id).backup_container)


def of_tenant(tenant_id: str, instance_id: str | None = None) -> list[Strategy]:
    """The strategies of a project, its own first; or that of one of its instances."""
    found = [] if instance_id else [(None, quotas.get_quota(tenant_id).backup_container)]
    chosen = Instance.id == instance_id if instance_id else None
    rows = Instance.tenant_index.query(
        tenant_id,
        chosen,
        filter_condition=Instance.backup_container.exists(),
        page_size=PAGE,
        limit=MOST_LISTED,
    )
    found += [(row.id, row.backup_container) for row in rows]
    return [
        Strategy(tenant_id, owner, container)
        for owner, stored in found
        if (container := _read(stored)) is not None
    ]


def of_project(tenant_id: str, container: Container | None) -> None:
    """Give a project's backups another container, or none."""
    attribute = Quota.backup_container
    action = attribute.remove() if container is None else attribute.set(_plain(container))
    Quota(tenant_id).update(actions=[action])


def of_instance(instance: Instance, container: Container | None) -> None:
    """The same of an instance. Clause: it is not deleted meanwhile."""
    attribute = Instance.backup_container
    actions: list[Action] = [
        attribute.remove() if container is None else attribute.set(_plain(container))
    ]
    there = Instance.id.exists() & (Instance.status != Status.DELETED)
    try:
        update_if(instance, actions, there)
    except ConditionFailed:
        raise NotFound(f"Instance {instance.id} cannot be found.") from None


def reached(tenant_id: str, instance: Instance | None, container: Container) -> None:
    """Have the strategies that name a container, a project's and an instance's, sign with the key
    that is beside it now: the backups of schedules go there without anybody's token.

    Clause: they are as they were read.
    """
    quota = quotas.get_quota(tenant_id)
    for row, attribute in (
        (instance, Instance.backup_container),
        (quota, Quota.backup_container),
    ):
        known = _read(row.backup_container) if row is not None else None
        if known is not None and known.url == container.url and known.key != container.key:
            assert row is not None, "it has a container"
            same = attribute == row.backup_container
            with contextlib.suppress(ConditionFailed):  # it was chosen anew, or is gone
                update_if(row, [attribute.set(_plain(container))], same)


def _plain(container: Container) -> dict[str, Any]:
    return {"url": container.url, "key": container.key}


def _read(stored: Any) -> Container | None:
    return Container(stored["url"], int(stored["key"])) if stored else None
