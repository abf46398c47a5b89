"""Bugs of what replaces a guest: rebuilds, expulsions, and who is heard afterwards."""

from __future__ import annotations

from chalicelib.bus.contract.arguments import Rebuild
from chalicelib.bus.envelope import Envelope
from chalicelib.conductor import generations, reports
from chalicelib.store import instances, kinds
from chalicelib.store.models import Instance
from guest_agent.manager import Progress
from simulator.fleet.datastore import NOTHING
from simulator.fleet.manager import SimManager
from tests.saboteurs.registry import Patch, saboteur


@saboteur("replaced", "I26", seeds=20)
def a_replaced_guest_that_is_heard(patch: Patch) -> None:
    """The answers of a guest count for what was asked of it, whoever is the guest by now."""

    def heard(envelope: Envelope) -> Instance | None:
        return instances.find_instance(envelope.instance_id)

    patch.setattr(reports, "_heard", heard)


@saboteur("replaced", "L2")
def a_replaced_guest_that_keeps_what_it_had(patch: Patch) -> None:
    """The key and the queue of a guest that was replaced stay."""
    patch.setattr(generations, "retire", lambda *_: None)


@saboteur("replaced", "I14")
def a_rebuild_that_begins_with_nothing(patch: Patch) -> None:
    """A new guest formats its volume, whatever is on it."""
    original = SimManager._go_on

    def go_on(manager: SimManager, request: Rebuild, progress: Progress) -> None:
        volume = manager._machine.volume
        assert volume is not None
        volume.contents = NOTHING
        original(manager, request, progress)

    patch.setattr(SimManager, "_go_on", go_on)


@saboteur("replaced", "I26", "L3")
def a_rebuild_that_hides_an_expulsion(patch: Patch) -> None:
    """What ends while its guest was expelled makes its instance ACTIVE, with nobody in it."""
    patch.setattr(kinds.Instances, "overruled", lambda *_: None)
