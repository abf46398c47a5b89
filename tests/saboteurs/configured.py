"""Bugs of configuration groups: changes that are lost, groups that go, values that are not sent."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.bus.contract.arguments import UpdateOverrides
from chalicelib.store import attachments, children, configurations
from chalicelib.store.models import Configuration, Instance, Operation
from functions import configuring
from tests.saboteurs.registry import Instead, Patch, saboteur


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


@saboteur("configured", "I42", seeds=5)
def a_group_that_operators_do_not_find(patch: Patch) -> None:
    """A read of a group by who may see all of them is answered as if there were none."""
    original = configurations.get_configuration

    def get_configuration(configuration_id: str, tenant_id: str | None = None) -> Configuration:
        return original(configuration_id, tenant_id or "of-nobody")

    patch.setattr(configurations, "get_configuration", get_configuration)


@saboteur("configured", "I36", seeds=5)
def a_change_that_is_not_told_to_be_newer(patch: Patch) -> None:
    """A change of a group is told with the time of the one before."""
    patch.setattr(configurations, "aws", Instead(aws, clock=lambda: 0.0))
