"""One run: a deployment, a cloud and a fleet are set up, broken on purpose, healed, and checked.

    set-up ──▶ chaos (workload, faults) ──▶ heal (quiet, or the bound) ──▶ check
                                             └──▶ emptied: delete everything, check again

Nothing here knows a fault or an invariant: the plan names them, their registries make them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

from chalicelib.store.models import Flavor
from simulator import outcome
from simulator.faults import REGISTRY, Fault
from simulator.inputs import Plan
from simulator.invariants import Invariants
from simulator.invariants.things import owned_things
from simulator.kernel import START
from simulator.leftovers import Leftovers
from simulator.meters import Meters
from simulator.plan import drawn
from simulator.population import Population
from simulator.result import Counters, FaultLane, Result
from simulator.template import PREFIX
from simulator.workload import Workload
from simulator.world import World

SAMPLES: Final = 120
PROGRESS_SECONDS: Final = 0.2
LOOK_SECONDS: Final = 60.0
CHECK_SECONDS: Final = 1800.0
"""Between two full checks of what must hold at any time."""
AFTER_QUIET_SECONDS: Final = 300.0
"""Longer than a status may lag behind: two heartbeats, a restart, a lagging index."""
AFTER_QUIET_PERIODS: Final = 2.5
"""The same where a guest reports more seldom than usual."""
MOST_EVENTS: Final = 2_000_000_000
Progress = Callable[[Counters], None]


class Stopped(Exception):
    """A run that was given up before its end: whoever watches it knows enough."""


class Run:
    """A plan under way: a world, who asks, who measures, and what goes wrong. `execute` runs it."""

    def __init__(self, plan: Plan) -> None:
        self.world = World(drawn(plan))
        self.workload = Workload(self.world)
        self.meters = Meters(self.world)
        self.faults = self._make_faults()
        self.phase = "set-up"
        self._wall = time.perf_counter()
        self.setup_wall_seconds = 0.0
        self._told = 0.0
        self._progress: Progress | None = None
        self._stop: Callable[[], bool] | None = None
        self._checked_at = START
        self._gc = gc.get_threshold()
        self._frozen = False

    def _make_faults(self) -> list[Fault]:
        chosen = dict(self.world.plan.faults)
        if self.world.plan.outages:
            chosen.setdefault("F20", REGISTRY["F20"].range[0])
        return [
            kind(self.world, self.workload, chosen[name])
            for name, kind in REGISTRY.items()
            if chosen.get(name)
        ]

    @property
    def invariants(self) -> Invariants | None:
        """What looks at the world, once it is set up."""
        return self.world.invariants

    # ---------------------------------------------------------------------- the phases

    def execute(
        self, progress: Progress | None = None, stop: Callable[[], bool] | None = None
    ) -> Result:
        """Run the plan to its end; the world is given back whatever happens.

        `stop` is asked after each stretch of virtual time; Stopped when it says so.
        """
        self._progress, self._stop = progress, stop
        try:
            self._set_up()
            self._chaos()
            self._heal()
            self._check()
            if self.world.plan.empty_at_end:
                self._empty()
            if progress is not None:
                progress(outcome.counters(self))
            return outcome.result(self)
        finally:
            self.close()

    def close(self) -> None:
        """Give the real world its place back."""
        gc.set_threshold(*self._gc)
        if self._frozen:
            gc.unfreeze()
        self.world.close()

    def _set_up(self) -> None:
        for fault in self.faults:
            fault.prepare()
        self.world.region.dynamodb.most_lag_seconds = self.world.most_lag_seconds
        self.world.region.deploy()
        self.world.cloud_functions.install()
        self.world.region.lambda_.decide = self.world.decisions
        for mapping in self.world.region.mappings.values():
            mapping.batch_size = min(
                mapping.batch_size, self.world.plan.batch or mapping.batch_size
            )
        flavors = self.world.cloud.compute.flavors.flavors.values()
        self.world.region.seed(
            [Flavor(id=f.id, name=f.name, ram=f.ram, vcpus=f.vcpus, disk=f.disk) for f in flavors]
        )
        if self.world.plan.prepared:
            gc.disable()
            made = Population(self.world).make(
                self.world.plan.guests, self.world.plan.workload.guests_per_tenant
            )
            gc.enable()
            for each in made:
                self.workload.adopt(each.tenant_id, each.instance_id, each.datastore)
        if self.world.plan.leftovers:
            Leftovers(self.world).leave()
        self.workload.admit()
        self._freeze()
        self.meters.watch()
        self.world.invariants = Invariants(self.world)
        self.world.invariants.install()
        self.world.invariants.hub.calm = not self.faults
        self.world.invariants.hub.guests_only = all(fault.guests_only for fault in self.faults)
        self.world.invariants.hub.only_hostile = {fault.id for fault in self.faults} == {"F25"}
        if all(fault.fair for fault in self.faults):
            self.world.invariants.hub.fair_since = self.world.kernel.now
        self.world.invariants.hub.lossless = all(fault.passes for fault in self.faults)
        self.setup_wall_seconds = self.wall_seconds

    def _freeze(self) -> None:
        """Have no collection look through the fleet again and again.

        Where something is frozen already, as in a process with hundreds of runs, that stays so: to
        collect what is loaded there would take longer than many a run.
        """
        if gc.get_freeze_count() == 0:
            gc.collect()
            gc.freeze()
            self._frozen = True
        gc.set_threshold(100_000, 20, 50)

    def _chaos(self) -> None:
        self.phase = "chaos"
        self.workload.start()
        for fault in self.faults:
            fault.install()
        self._go(self.world.plan.hours * 3600.0)

    def _heal(self) -> None:
        """No more faults and requests; then until everything is at rest, or the bound is over."""
        self.phase = "heal"
        for fault in self.faults:
            fault.heal()
            if not any(lane.fault == fault.id for lane in self.world.lanes):
                self.world.lanes.append(FaultLane(fault.id, 0.0, self.world.elapsed))
        for lane in self.world.lanes:
            lane.end = min(lane.end, self.world.elapsed)
        self.world.fleet.heal()
        assert self.invariants is not None
        if self.invariants.hub.fair_since is None:
            self.invariants.hub.fair_since = self.world.kernel.now
        self.workload.stop()
        self._settle()

    def _settle(self) -> None:
        """Until nothing is under way, at most to the bound; then as long as a status may lag."""
        until = self.world.kernel.now + self.world.plan.settle_seconds
        after = max(AFTER_QUIET_SECONDS, AFTER_QUIET_PERIODS * self.world.plan.heartbeat_seconds)
        after = min(after, self.world.plan.settle_seconds)
        while self.world.kernel.now < until and not self.is_quiet():
            self._go(min(LOOK_SECONDS, until - self.world.kernel.now))
        self._go(after)
        while self.world.kernel.now < until and not self.is_quiet():
            self._go(min(LOOK_SECONDS, until - self.world.kernel.now))

    def is_quiet(self) -> bool:
        """Whether no operation is live or begun by a schedule, no queue has work, the cloud has no
        orphan, and no restored row waits for the operator who puts it right."""
        if self.meters.live or self.meters.schedules or self.world.region.states.open:
            return False
        if not all(fault.mended for fault in self.faults):
            return False
        if self.invariants is not None and self.invariants.hub.restoring:
            return False
        for name, queue in self.world.region.sqs.queues.items():
            if queue.messages and not name.endswith("-heartbeats"):
                return False
        rows = self.world.region.dynamodb.tables[f"{PREFIX}-instances"].items
        for _, instance_id, _ in owned_things(self.world.cloud):
            row = rows.get(instance_id)
            if row is None or row["status"] == "DELETED":
                return False
        return True

    def _check(self) -> None:
        self.phase = "check"
        self._go(0.0)
        assert self.invariants is not None
        self.invariants.check_healed()

    def _empty(self) -> None:
        """Delete everything, and look at what is left."""
        self.phase = "emptied"
        self.workload.empty()
        until = self.world.kernel.now + self.world.plan.settle_seconds
        while self.world.kernel.now < until and (self.meters.guests or self.meters.backups):
            self._go(LOOK_SECONDS)
        self._settle()
        assert self.invariants is not None
        self.invariants.check_healed()

    def _go(self, seconds: float) -> None:
        """Run for that long, with samples, looks at the invariants, and progress."""
        until = self.world.kernel.now + seconds
        step = max(self.world.plan.hours * 3600.0 / SAMPLES, 10.0)
        while True:
            at = min(self.world.kernel.now + step, until)
            self.world.kernel.run(at, MOST_EVENTS)
            self.meters.sample()
            if self.world.kernel.now - self._checked_at >= CHECK_SECONDS:
                self._checked_at = self.world.kernel.now
                assert self.invariants is not None
                self.invariants.check()
            self._tell()
            if self._stop is not None and self._stop():
                raise Stopped
            if at >= until:
                return

    def errors(self) -> list[tuple[str, BaseException]]:
        """What nobody expected, by who met it: a tenant's request, an agent, a function."""
        found = [("a tenant's request", error) for error in self.workload.errors]
        found += [(f"the agent of {server}", error) for server, error in self.world.fleet.broken]
        refused = self.world.region.rights.refused
        found += [("a function", PermissionError(text)) for text in refused]
        return found

    @property
    def wall_seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self._wall

    def _tell(self) -> None:
        if self._progress is None:
            return
        now = time.perf_counter()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._progress(outcome.counters(self))
