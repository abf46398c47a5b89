"""The invariants of the contract, one file each; this is their registry.

watching = Invariants(run)    after the run's set-up
watching.install()            before anything runs
watching.check()              at intervals: safety
watching.check_healed()       after the faults healed: safety and liveness
watching.close()              always
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub, Violation, Watched
from simulator.invariants.i01_transitions import Transitions
from simulator.invariants.i02_order import Order
from simulator.invariants.i03_one_operation import OneOperation
from simulator.invariants.i04_one_of_each import OneOfEach
from simulator.invariants.i05_quota import QuotaSums
from simulator.invariants.i06_tenants import Tenants
from simulator.invariants.i07_one_writer import OneWriter
from simulator.invariants.i08_generations import Generations
from simulator.invariants.i09_forgeries import Forgeries
from simulator.invariants.i10_idempotency import Idempotency
from simulator.invariants.i11_secrets import Secrets
from simulator.invariants.i12_backup_chains import BackupChains
from simulator.invariants.i13_replies import Replies
from simulator.invariants.i14_contents import Acknowledged
from simulator.invariants.i15_access import Access
from simulator.invariants.i16_nothing_alive_removed import NothingAliveRemoved
from simulator.invariants.i17_neighbours import Neighbours
from simulator.invariants.i18_who_asked import WhoAsked
from simulator.invariants.i19_bounds import Bounds
from simulator.invariants.i20_told import Told
from simulator.invariants.i21_kept import Kept
from simulator.invariants.i22_volumes import Volumes
from simulator.invariants.i23_flavors import Flavors
from simulator.invariants.i24_protected import Protected
from simulator.invariants.i25_answers import Answers
from simulator.invariants.i26_one_guest import OneGuest
from simulator.invariants.i27_tried import Tried
from simulator.invariants.i28_moved import Moved
from simulator.invariants.i29_versions import Versions
from simulator.invariants.i30_ability import Ability
from simulator.invariants.i31_cancelled import Cancelled
from simulator.invariants.i32_lists import Lists
from simulator.invariants.i33_rollouts import Rollouts
from simulator.invariants.i34_traced import Traced
from simulator.invariants.i35_agents import Agents
from simulator.invariants.i36_configured import Configured
from simulator.invariants.i37_full import Full
from simulator.invariants.i38_lent import Lending
from simulator.invariants.i39_scheduled import Scheduled
from simulator.invariants.i40_verdicts import Verdicts
from simulator.invariants.i41_final_backups import FinalBackups
from simulator.invariants.i42_found import Found
from simulator.invariants.i43_places import Places
from simulator.invariants.i44_restored import Restored
from simulator.invariants.i45_asked import Made
from simulator.invariants.l01_operations_end import OperationsEnd
from simulator.invariants.l02_no_orphans import NoOrphans
from simulator.invariants.l03_no_lost_instance import NoLostInstance
from simulator.invariants.l04_drained import Drained
from simulator.invariants.l05_baseline import Baseline
from simulator.invariants.l06_restores import Restores
from simulator.invariants.l07_healthy_status import HealthyStatus
from simulator.invariants.l08_budget import Budget
from simulator.invariants.l09_determinism import Determinism
from simulator.invariants.l10_fair_weather import FairWeather
from simulator.invariants.l11_databases_live import DatabasesLive
from simulator.invariants.l12_moments import Moments
from simulator.result import InvariantResult, ViolationResult
from simulator.timeline import Timeline

REGISTRY: Final[dict[str, type[Invariant]]] = {
    each.id: each
    for each in (
        *(Transitions, Order, OneOperation, OneOfEach, QuotaSums, Tenants, OneWriter),
        *(Generations, Forgeries, Idempotency, Secrets, BackupChains, Replies),
        *(Acknowledged, Access, NothingAliveRemoved, Neighbours, WhoAsked, Bounds, Told, Kept),
        *(Volumes, Flavors, Protected, Answers, OneGuest, Tried, Moved, Versions),
        *(Ability, Cancelled, Lists, Rollouts, Traced, Agents, Configured, Full),
        *(Lending, Scheduled, Verdicts, FinalBackups, Found, Places, Restored),
        Made,
        *(OperationsEnd, NoOrphans, NoLostInstance, Drained, Baseline, Restores),
        *(HealthyStatus, Budget, Determinism, FairWeather, DatabasesLive, Moments),
    )
}
"""All invariants by their id, in the order of the contract."""

SAFETY: Final = tuple(name for name in REGISTRY if name[0] == "I")
LIVENESS: Final = tuple(name for name in REGISTRY if name[0] == "L")


class Invariants:
    """All invariants of one run, and the timeline that explains a violation."""

    def __init__(self, run: Watched) -> None:
        self.hub = Hub(run)
        self.timeline = Timeline(self.hub)
        self.each: dict[str, Invariant] = {name: kind(self.hub) for name, kind in REGISTRY.items()}

    def install(self) -> None:
        """Watch, from the state that the run's set-up has left."""
        self.hub.install()
        self.timeline.watch()
        for each in self._reachable():
            each.watch()

    def check(self) -> None:
        """Look at everything that must hold at any time."""
        for each in self._reachable():
            each.check()

    def check_healed(self) -> None:
        """Look at everything, now that the faults have healed and their bound has passed."""
        self.check()
        for each in self._reachable():
            each.check_healed()

    def close(self) -> None:
        """Give back what was taken: the loggers."""
        for each in self.each.values():
            each.close()
        self.hub.close()

    @property
    def violations(self) -> list[Violation]:
        """Everything that is broken, in the order of its time."""
        found = [violation for each in self.each.values() for violation in each.violations]
        return sorted(found, key=lambda violation: violation.time)

    def results(self) -> dict[str, InvariantResult]:
        """The verdicts, each violation with the timeline of its instance."""
        return {name: self.result(name) for name in self.each}

    def explain(self, violations: Sequence[Violation]) -> str:
        """Violations for people: what, when, and once the life of the instance around each."""
        lines, told = [], set[str]()
        for violation in violations:
            title = REGISTRY[violation.invariant].title
            lines.append(f"{violation.invariant} is broken ({title}) at {violation.time:.3f} s:")
            lines.append(f"  {violation.text}")
            life = self._life(violation)
            if life and life[0] not in told:
                told.add(life[0])
                lines += [f"  {life[0]}", *(f"    {line}" for line in life[1:])]
        return "\n".join(lines)

    def result(self, name: str) -> InvariantResult:
        """The verdict on one invariant, each violation with its timeline."""
        each = self.each[name]
        return InvariantResult(
            title=each.title,
            verdict=each.verdict,
            reason=each.reason,
            violations=[
                ViolationResult(
                    time=violation.time,
                    instance_id=violation.instance_id,
                    text=violation.text,
                    timeline=self._life(violation),
                )
                for violation in each.violations
            ],
        )

    def _life(self, violation: Violation) -> list[str]:
        """Whose life it is, and its events; nothing when no instance is concerned."""
        instance_id, remark = violation.instance_id, ""
        if not instance_id:
            instance_id = self.timeline.latest(violation.time)
            remark = " (something happened to it just before)"
        if not instance_id:
            return []
        return [f"instance {instance_id}{remark}:", *self.timeline.of(instance_id, violation.time)]

    def _reachable(self) -> list[Invariant]:
        return [each for each in self.each.values() if not each.unreachable]


__all__ = ["LIVENESS", "REGISTRY", "SAFETY", "Invariants", "Violation", "Watched"]
