"""Bugs of upgrades to another version, and of the way back."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.domain.flows import What
from chalicelib.domain.operations import OperationAction
from chalicelib.store import outcomes
from chalicelib.store.models import Instance, Operation
from functions import replacing
from functions.outcomes import Done, Outcome
from simulator.fleet.manager import SimManager
from tests.saboteurs.registry import Patch, saboteur


@saboteur("upgrades", "I29")
def a_version_that_is_told_before_its_engine_runs(patch: Patch) -> None:
    """The new version is written whatever came of it, as Trove does it."""
    original = outcomes._rebuilt

    def told(operation: Operation, ended: What) -> outcomes.Outcome:
        made = original(operation, ended)
        version = (operation.arguments or {})["version"]
        values = {**made.values, **outcomes.of_version(version)}
        return msgspec.structs.replace(made, values=values)

    patch.setitem(outcomes._OUTCOMES, OperationAction.UPGRADE, told)


@saboteur("upgrades", "I29")
def a_way_back_on_the_image_of_the_new_version(patch: Patch) -> None:
    """The server is rebuilt with the image that was asked for, on either way."""
    original = replacing.rebuild

    def rebuild(operation: Operation, instance: Instance, image_id: str, **more: Any) -> Outcome:
        return original(operation, instance, operation.resources["image_id"], **more)

    patch.setattr(replacing, "rebuild", rebuild)


@saboteur("upgrades", "I29")
def an_engine_of_another_series_that_is_let_at_the_data(patch: Patch) -> None:
    """A new guest starts whatever engine its image has."""
    patch.setattr(SimManager, "_require", lambda *_: None)


@saboteur("upgrades", "I29")
def a_way_back_with_the_guest_of_the_new_version(patch: Patch) -> None:
    """No generation is made for the way back, so that its server is taken for the old one."""
    original = replacing.next_generation

    def next_generation(operation: Operation, step: str) -> Outcome:
        return Done() if step == "generation_back" else original(operation, step)

    patch.setattr(replacing, "next_generation", next_generation)
