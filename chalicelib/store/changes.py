"""Small changes of an instance row that need no operation; what a user asks for has its event."""

from __future__ import annotations

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.errors import NotFound
from chalicelib.lifecycle import Status
from chalicelib.store.base import ConditionFailed, transact, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import EventRow, Instance


def rename(instance: Instance, name: str, asked: Asked) -> None:
    """Give the instance another name. `NotFound` when it was deleted meanwhile."""
    said = f"The name was {instance.name!r} and is {name!r}."
    event = new_event(instance.id, "renamed", said, instance.tenant_id, asked)
    _update(instance, [Instance.name.set(name), Instance.updated.set(aws.clock())], event)


def record_root_enabled(instance: Instance, asked: Asked) -> None:
    """Remember who enabled root last, and when. `NotFound` when the instance is gone."""
    event = new_event(instance.id, "root.enabled", "", instance.tenant_id, asked)
    now, user_id = aws.clock(), asked.user_id
    actions: list[Action] = [
        Instance.root_enabled_at.set(now),
        Instance.root_enabled_by.set(user_id),
    ]
    _update(instance, actions, event)


def record_root_told(instance_id: str, generation: int) -> None:
    """Remember that a guest says its root was enabled, which nobody here had asked for.

    Clauses: the instance is of that generation (a zombie's report); root was not enabled before.
    Raises `ConditionFailed`.
    """
    actions: list[Action] = [
        Instance.root_enabled_at.set(aws.clock()),
        Instance.root_enabled_by.set("guest"),
    ]
    clause = (Instance.generation == generation) & Instance.root_enabled_at.does_not_exist()
    update_if(Instance(instance_id), actions, clause)


def _update(instance: Instance, actions: list[Action], event: EventRow) -> None:
    """Clause: the instance is not deleted (a delete that ends meanwhile)."""

    def build(write: TransactWrite) -> None:
        write.update(instance, actions=actions, condition=Instance.status != Status.DELETED)
        write.save(event)

    try:
        transact(build)
    except ConditionFailed:
        raise NotFound(f"Instance {instance.id} cannot be found.") from None
