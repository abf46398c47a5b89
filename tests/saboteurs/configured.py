"""Bugs of configuration groups: changes that are lost, groups that go, values that are not sent."""

from __future__ import annotations

from chalicelib.bus.contract.arguments import UpdateOverrides
from chalicelib.store import attachments, children, configurations
from chalicelib.store.models import Instance, Operation
from functions import configuring
from tests.saboteurs.registry import Patch, saboteur


@saboteur("configured", "I36", seeds=10)
def a_newer_change_taken_for_told(patch: Patch) -> None:
    """An instance that was told of one change counts as told of those that came meanwhile."""
    original = children.child_id

    def child_id(parent_id: str, subject_id: str, turn: int = 0) -> str:
        return original(parent_id, subject_id, min(turn, 1))

    patch.setattr(children, "child_id", child_id)


@saboteur("configured", "I36", seeds=5)
def a_group_that_is_deleted_without_a_look(patch: Patch) -> None:
    """Nobody looks whether an instance has the group."""
    patch.setattr(attachments, "any_of", lambda _: False)


@saboteur("configured", "I36", seeds=5)
def values_that_are_recorded_and_not_sent(patch: Patch) -> None:
    """The guest is told that it has no group, whatever its row tells."""
    original = configuring.wanted

    def wanted(operation: Operation, instance: Instance) -> UpdateOverrides:
        original(operation, instance)
        return UpdateOverrides()

    patch.setattr(configuring, "wanted", wanted)


@saboteur("configured", "I42", seeds=5)
def a_group_that_nobody_finds(patch: Patch) -> None:
    """A read of a group is answered as if there were none."""
    patch.setattr(configurations, "find_configuration", lambda _: None)
