"""Small changes of an instance row that need no operation; what a user asks for has its event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.errors import NotFound
from chalicelib.lifecycle import Status
from chalicelib.store.base import ConditionFailed, transact, transacted, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import EventRow, Instance
from chalicelib.store.subjects import setting, unchanged


def edit(instance: Instance, values: Mapping[str, Any], asked: Asked) -> None:
    """Give attributes of the instance other values; None takes one away.

    `NotFound` when it was deleted meanwhile.
    """
    said = " ".join(_told(instance, name, value) for name, value in values.items())
    kind = "renamed" if "name" in values else "edited"
    event = new_event(instance.id, kind, said, instance.tenant_id, asked)
    actions = [*setting(Instance, values), Instance.updated.set(aws.clock())]
    _update(instance, actions, event)


def protect(instance: Instance, asked: Asked) -> bool:
    """Let nobody delete the instance; False when it was changed meanwhile.

    Clauses: status and operations are as they were read (a delete that is accepted meanwhile).
    """
    event = new_event(instance.id, "protected", "It may not be deleted.", instance.tenant_id, asked)
    actions: list[Action] = [Instance.protected.set(True), Instance.updated.set(aws.clock())]

    def build(write: TransactWrite) -> None:
        write.update(instance, actions=actions, condition=unchanged(instance))
        write.save(event)

    return transacted(build)


def unprotect(instance: Instance, asked: Asked) -> None:
    """Let the instance be deleted again. `NotFound` when it is gone."""
    event = new_event(
        instance.id, "unprotected", "It may be deleted again.", instance.tenant_id, asked
    )
    _update(instance, [Instance.protected.remove(), Instance.updated.set(aws.clock())], event)


def _told(instance: Instance, name: str, value: Any) -> str:
    """What an event says of a new value: of a name both, of all else that it has changed."""
    if name == "name":
        return f"The name was {instance.name!r} and is {value!r}."
    return f"Its {name} changed."


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
