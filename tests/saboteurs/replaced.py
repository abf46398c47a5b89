"""Bugs of what replaces a guest: rebuilds, expulsions, and who is heard afterwards."""

from __future__ import annotations

from chalicelib.bus.contract.arguments import Rebuild
from chalicelib.bus.envelope import Envelope
from chalicelib.conductor import generations, reports
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import Progress
from chalicelib.store import instances, kinds, operations, rollouts
from chalicelib.store.models import Instance
from functions import handler
from functions.outcomes import Done
from functions.step import Step
from guest_agent import manager as guest
from simulator.fleet.datastore import NOTHING
from simulator.fleet.manager import SimManager
from tests.saboteurs.registry import Patch, nothing, saboteur


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

    def go_on(manager: SimManager, request: Rebuild, progress: guest.Progress) -> None:
        volume = manager._machine.volume
        assert volume is not None
        volume.contents = NOTHING
        original(manager, request, progress)

    patch.setattr(SimManager, "_go_on", go_on)


@saboteur("replaced", "I26", "L3")
def a_rebuild_that_hides_an_expulsion(patch: Patch) -> None:
    """What ends while its guest was expelled makes its instance ACTIVE, with nobody in it."""
    patch.setattr(kinds.Instances, "overruled", lambda *_: None)


@saboteur("rolled out", "I33", seeds=20)
def a_rollout_that_names_none_before(patch: Patch) -> None:
    """A look begins rebuilds, and writes down which when it has."""
    patch.setattr(operations, "record", nothing)


@saboteur("rolled out", "I33", seeds=10)
def a_rollout_that_takes_failures_for_successes(patch: Patch) -> None:
    """Whatever has ended counts as rebuilt."""
    original = Progress.without

    def without(
        progress: Progress, instance_id: str, ended: str | None = None, **why: bool
    ) -> Progress:
        return original(progress, instance_id, ended and OperationStatus.SUCCEEDED, **why)

    patch.setattr(Progress, "without", without)


@saboteur("rolled out", "I33", seeds=10)
def a_rollout_that_waits_for_nobody(patch: Patch) -> None:
    """One that is stopped has ended at once."""
    step = Step(lambda *_: Done(), backwards=True)
    patch.setitem(handler.LOCAL_STEPS, "roll_out.wait", step)


@saboteur("rolled out", "I33", seeds=10)
def a_rollout_that_finds_nobody(patch: Patch) -> None:
    """Whoever is of the version is passed over as another's."""
    patch.setattr(rollouts, "fits", lambda _, __: False)
