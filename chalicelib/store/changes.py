"""Small changes of an instance row that need no operation."""

from __future__ import annotations

from pynamodb.expressions.update import Action

from chalicelib import aws
from chalicelib.errors import NotFound
from chalicelib.lifecycle import Status
from chalicelib.store.base import ConditionFailed, update_if
from chalicelib.store.models import Instance


def rename(instance: Instance, name: str) -> None:
    """Give the instance another name. `NotFound` when it was deleted meanwhile."""
    _update(instance, [Instance.name.set(name), Instance.updated.set(aws.clock())])


def record_root_enabled(instance: Instance, user_id: str) -> None:
    """Remember who enabled root last, and when. `NotFound` when the instance is gone."""
    _update(
        instance,
        [Instance.root_enabled_at.set(aws.clock()), Instance.root_enabled_by.set(user_id)],
    )


def _update(instance: Instance, actions: list[Action]) -> None:
    """Clause: the instance is not deleted (a delete that ends meanwhile)."""
    try:
        update_if(instance, actions, Instance.status != Status.DELETED)
    except ConditionFailed:
        raise NotFound(f"Instance {instance.id} cannot be found.") from None
