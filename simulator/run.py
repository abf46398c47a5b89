"""One run: a deployment, a cloud and a fleet are set up, broken on purpose, healed, and checked.

    set-up ──▶ chaos (workload, faults) ──▶ heal (quiet, or the bound) ──▶ check
                                             └──▶ emptied: delete everything, check again

Nothing here knows a fault or an invariant: the plan names them, their registries make them.
"""

from __future__ import annotations

import gc
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from chalicelib.store.models import Flavor
from simulator import outcome
from simulator.cloud.model.cloud import GUEST_IMAGE, PRIVATE_NETWORK, Passwords
from simulator.cloud.model.identity import stable_id
from simulator.cloud.model.seams import Hypervisor
from simulator.cloud.model.settings import CloudSettings, Delays
from simulator.cloud_functions import CloudFunctions, make_cloud
from simulator.faults import REGISTRY, Fault
from simulator.faults.chances import Decisions, SharedDataChances, SharedQueueChances
from simulator.fleet.fleet import Fleet
from simulator.invariants import Invariants
from simulator.invariants.base import owned_things
from simulator.kernel import START, Kernel
from simulator.meters import Meters
from simulator.plan import Plan, drawn
from simulator.population import Population
from simulator.region import Region
from simulator.result import Counters, FaultLane, Result
from simulator.template import PREFIX
from simulator.workload import Workload

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
JOURNAL: Final = 20_000
DELAYS: Final = Delays(
    server_build=12.0,
    server_delete=4.0,
    server_power=5.0,
    volume_create=3.0,
    volume_delete=2.0,
    slow_delete=60.0,
)
ADDRESSES: Final = "10.0.0.0/8"
_INSTANCE: Final = re.compile(rf"{PREFIX}-([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")

Progress = Callable[[Counters], None]


class Stopped(Exception):
    """A run that was given up before its end: whoever watches it knows enough."""


class Injection(NamedTuple):
    """One fault that struck: at which virtual second of the run, its class, what, whom."""

    time: float
    fault: str
    text: str
    instance_id: str | None


class Run:
    """A plan under way. `execute` runs it to its end; everything else is for its parts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = drawn(plan)
        self.kernel = Kernel(self.plan.seed)
        self.queue_chances = SharedQueueChances()
        self.data_chances = SharedDataChances()
        self.decisions = Decisions()
        self.most_lag_seconds = 0.0
        self.phase = "set-up"
        self.injected: Counter[str] = Counter()
        self.journal: deque[Injection] = deque(maxlen=JOURNAL)
        self.lanes: list[FaultLane] = []
        self.refused_in_outage = 0
        self.network_id = stable_id("network", PRIVATE_NETWORK)
        self.image_id = stable_id("image", GUEST_IMAGE)
        self.faults: list[Fault] = self._make_faults()
        heartbeat = self.plan.heartbeat_seconds
        options = {
            "COFFER_HEARTBEAT_SECONDS": str(heartbeat),
            "COFFER_HEARTBEAT_EXPIRY_SECONDS": str(3 * heartbeat),
        }
        self.region = Region(
            self.kernel,
            network_id=self.network_id,
            options=options,
            data_chances=self.data_chances,
            queue_chances=self.queue_chances,
        )
        self.fleet = Fleet(self.kernel, self.region, self.region.provider.skew)
        self.cloud = make_cloud(self.kernel, _as_hypervisor(self.fleet), _cloud_settings())
        self.cloud.bootstrap(Passwords("admin", "service", "demo", "validation"), "http://cloud")
        self.cloud_functions = CloudFunctions(self.kernel, self.region.effects, self.cloud)
        self.workload = Workload(self)
        self.meters = Meters(self)
        self.invariants: Invariants | None = None
        self._wall = time.perf_counter()
        self.setup_wall_seconds = 0.0
        self._told = 0.0
        self._progress: Progress | None = None
        self._stop: Callable[[], bool] | None = None
        self._checked_at = START
        self._gc = gc.get_threshold()

    def _make_faults(self) -> list[Fault]:
        chosen = dict(self.plan.faults)
        if self.plan.outages:
            chosen.setdefault("F20", REGISTRY["F20"].range[0])
        return [kind(self, chosen[name]) for name, kind in REGISTRY.items() if chosen.get(name)]

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the begin."""
        return self.kernel.now - START

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
            if self.plan.empty_at_end:
                self._empty()
            if progress is not None:
                progress(outcome.counters(self))
            return outcome.result(self)
        finally:
            self.close()

    def close(self) -> None:
        """Give the real world its place back."""
        gc.set_threshold(*self._gc)
        gc.unfreeze()
        if self.invariants is not None:
            self.invariants.close()
        self.cloud_functions.uninstall()
        self.region.close()

    def _set_up(self) -> None:
        for fault in self.faults:
            fault.prepare()
        self.region.dynamodb.most_lag_seconds = self.most_lag_seconds
        self.region.deploy()
        self.cloud_functions.install()
        self.region.lambda_.decide = self.decisions
        for mapping in self.region.mappings.values():
            mapping.batch_size = min(mapping.batch_size, self.plan.batch or mapping.batch_size)
        flavors = self.cloud.compute.flavors.flavors.values()
        self.region.seed(
            [Flavor(id=f.id, name=f.name, ram=f.ram, vcpus=f.vcpus, disk=f.disk) for f in flavors],
            self.image_id,
        )
        if self.plan.prepared:
            gc.disable()
            made = Population(self).make(self.plan.guests, self.plan.workload.guests_per_tenant)
            gc.enable()
            for each in made:
                self.workload.adopt(each.tenant_id, each.instance_id)
        self.workload.admit()
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        self.meters.watch()
        self.invariants = Invariants(self)
        self.invariants.install()
        self.invariants.hub.calm = not self.faults
        self.invariants.hub.only_hostile = {fault.id for fault in self.faults} == {"F25"}
        if all(fault.fair for fault in self.faults):
            self.invariants.hub.fair_since = self.kernel.now
        self.invariants.hub.lossless = all(fault.passes for fault in self.faults)
        self.setup_wall_seconds = self.wall_seconds

    def _chaos(self) -> None:
        self.phase = "chaos"
        self.workload.start()
        for fault in self.faults:
            fault.install()
        self._go(self.plan.hours * 3600.0)

    def _heal(self) -> None:
        """No more faults and requests; then until everything is at rest, or the bound is over."""
        self.phase = "heal"
        for fault in self.faults:
            fault.heal()
            if not any(lane.fault == fault.id for lane in self.lanes):
                self.lanes.append(FaultLane(fault.id, 0.0, self.elapsed))
        for lane in self.lanes:
            lane.end = min(lane.end, self.elapsed)
        self.fleet.heal()
        assert self.invariants is not None
        if self.invariants.hub.fair_since is None:
            self.invariants.hub.fair_since = self.kernel.now
        self.workload.stop()
        self._settle()

    def _settle(self) -> None:
        """Until nothing is under way, at most to the bound; then as long as a status may lag."""
        until = self.kernel.now + self.plan.settle_seconds
        after = max(AFTER_QUIET_SECONDS, AFTER_QUIET_PERIODS * self.plan.heartbeat_seconds)
        after = min(after, self.plan.settle_seconds)
        while self.kernel.now < until and not self.is_quiet():
            self._go(min(LOOK_SECONDS, until - self.kernel.now))
        self._go(after)
        while self.kernel.now < until and not self.is_quiet():
            self._go(min(LOOK_SECONDS, until - self.kernel.now))

    def is_quiet(self) -> bool:
        """Whether no operation is live, no queue has work, the cloud has no orphan, and no restored
        row waits for the operator who puts it right."""
        if self.meters.live or self.region.states.open:
            return False
        if not all(fault.mended for fault in self.faults):
            return False
        if self.invariants is not None and self.invariants.hub.restoring:
            return False
        for name, queue in self.region.sqs.queues.items():
            if queue.messages and not name.endswith("-heartbeats"):
                return False
        rows = self.region.dynamodb.tables[f"{PREFIX}-instances"].items
        for _, instance_id, _ in owned_things(self.cloud):
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
        until = self.kernel.now + self.plan.settle_seconds
        while self.kernel.now < until and self.meters.guests:
            self._go(LOOK_SECONDS)
        self._settle()
        assert self.invariants is not None
        self.invariants.check_healed()

    def _go(self, seconds: float) -> None:
        """Run for that long, with samples, looks at the invariants, and progress."""
        until = self.kernel.now + seconds
        step = max(self.plan.hours * 3600.0 / SAMPLES, 10.0)
        while True:
            at = min(self.kernel.now + step, until)
            self.kernel.run(at, MOST_EVENTS)
            self.meters.sample()
            if self.kernel.now - self._checked_at >= CHECK_SECONDS:
                self._checked_at = self.kernel.now
                assert self.invariants is not None
                self.invariants.check()
            self._tell()
            if self._stop is not None and self._stop():
                raise Stopped
            if at >= until:
                return

    # -------------------------------------------------------------------- for its parts

    def inject(self, fault: str, text: str = "", instance_id: str | None = None) -> None:
        """Count one injection of a fault class, and note it when there is something to say."""
        self.injected[fault] += 1
        if text:
            self.note(fault, text, instance_id)

    def note(self, fault: str, text: str, instance_id: str | None = None) -> None:
        """Write something about a fault into the journal and the instance's timeline."""
        self.kernel.trace(fault, text)
        self.journal.append(Injection(self.elapsed, fault, text, instance_id))
        if self.invariants is not None and instance_id is not None:
            self.invariants.timeline.note(instance_id, fault, text)

    def lane(self, fault: str, seconds: float) -> None:
        """A stretch of time in which a fault class was at work."""
        self.lanes.append(FaultLane(fault, self.elapsed, self.elapsed + seconds))

    @staticmethod
    def instance_in(name: str) -> str | None:
        """The instance that a thing in the cloud is named for."""
        found = _INSTANCE.match(name)
        return found[1] if found else None

    def calls_by_service(self) -> dict[str, dict[str, int]]:
        """How often each call was made, by service."""
        found: dict[str, dict[str, int]] = {}
        for (_, service, call), count in self.region.effects.calls.items():
            calls = found.setdefault(service, {})
            calls[call] = calls.get(call, 0) + count
        return {service: dict(sorted(calls.items())) for service, calls in sorted(found.items())}

    def errors(self) -> list[tuple[str, BaseException]]:
        """What nobody expected, by who met it: a tenant's request, an agent, a function."""
        found = [("a tenant's request", error) for error in self.workload.errors]
        found += [(f"the agent of {server}", error) for server, error in self.fleet.broken]
        refused = self.region.rights.refused
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


def _as_hypervisor(fleet: Fleet) -> Hypervisor:
    return fleet


def _cloud_settings() -> CloudSettings:
    unlimited = ("instances", "cores", "ram", "metadata_items", "key_pairs")
    return CloudSettings(
        guest_network=ADDRESSES,
        delays=DELAYS,
        compute_quota=dict.fromkeys(unlimited, -1),
        volume_quota=dict.fromkeys(
            ("volumes", "gigabytes", "snapshots", "per_volume_gigabytes"), -1
        ),
        network_quota=dict.fromkeys(
            (
                "network",
                "subnet",
                "port",
                "security_group",
                "security_group_rule",
                "floatingip",
            ),
            -1,
        ),
        service_quota={},
    )
