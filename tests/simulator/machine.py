"""A run that is driven step by step, and says what was done to it when a promise breaks."""

from __future__ import annotations

from simulator.actions import ACTIONS
from simulator.clients import Tenant
from simulator.faults import REGISTRY
from simulator.invariants.hub import Hub
from simulator.plan import Plan
from simulator.run import Run
from simulator.workload import Workload

TENANTS = ("tenant-0", "tenant-1")
FAULTS = tuple(
    name
    for name in REGISTRY
    # The workload's own rules race; an outage or a flood is longer than a whole example.
    if name not in ("F20", "F21", "F22")
)
WORK = tuple(name for name in ACTIONS if name not in ("create", "quota"))
SHARE = 0.7
"""Strength of a fault that is on, within its range."""
SETTLE_SECONDS = 3 * 3600.0


class Machine:
    """One deployment with a few guests. Every method is one step of the script."""

    def __init__(self, seed: int, guests: int) -> None:
        self.script = [f"Machine(seed={seed}, guests={guests})"]
        plan = Plan(
            scenario="machine",
            guests=guests,
            seed=seed,
            hours=1.0,
            settle_seconds=SETTLE_SECONDS,
        )
        self.run = Run(plan)
        try:
            self.run.world.most_lag_seconds = 5.0
            self.run._set_up()
            self.run.phase = "chaos"
            for name in TENANTS:
                self.workload.tenant(name)
            self.workload.on = True
        except BaseException:
            self.close()
            raise

    @property
    def workload(self) -> Workload:
        return self.run.workload

    def close(self) -> None:
        """Give the real world its place back."""
        self.run.close()

    # --------------------------------------------------------------------------- steps

    def request(self, requests: list[tuple[str, int, int]], seconds: float) -> None:
        """Begin some actions at once (action, tenant, instance), and let time pass."""
        self.script.append(f"request({requests}, {seconds:g})")
        for action, tenant, instance in requests:
            owner = self.workload.tenants[TENANTS[tenant]]
            self.workload.spawn(action, owner, self._instance(owner, instance))
        self._go(seconds)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.script.append(f"wait({seconds:g})")
        self._go(seconds)

    def switch_on(self, name: str) -> None:
        """Let a fault class begin."""
        self.script.append(f"switch_on({name!r})")
        if not any(fault.id == name for fault in self.run.faults):
            low, high = REGISTRY[name].range
            fault = REGISTRY[name](self.run.world, self.workload, low + SHARE * (high - low))
            self.run.faults.append(fault)
            fault.prepare()
            fault.install()
            self._begins(fair=fault.fair, guests_only=fault.guests_only)

    def switch_off(self, name: str) -> None:
        """Let a fault class end, if it is on."""
        self.script.append(f"switch_off({name!r})")
        for fault in [fault for fault in self.run.faults if fault.id == name]:
            fault.heal()
            self.run.faults.remove(fault)

    def strike(self, what: str, guest: int) -> None:
        """Crash an agent or its database, or reboot its server, now."""
        self.script.append(f"strike({what!r}, {guest})")
        self._begins(fair=False, guests_only=True)
        servers = list(self.run.world.fleet.guests)
        if servers:
            server_id = servers[guest % len(servers)]
            fleet = self.run.world.fleet
            blow = {
                "agent": fleet.crash,
                "database": fleet.crash_database,
                "reboot": fleet.reboot,
                "journal": fleet.tear_journal,
            }[what]
            blow(server_id)
        self._go(0.0)

    def _begins(self, *, fair: bool, guests_only: bool) -> None:
        """From here on something is broken on purpose, what a run knows before it begins: unless it
        is `fair`, what is accepted may fail."""
        hub = self._hub
        hub.calm = False
        hub.guests_only = hub.guests_only and guests_only
        if not fair:
            hub.fair_since, hub.lossless = None, False

    @property
    def _hub(self) -> Hub:
        assert self.run.invariants is not None, "a machine has begun when it is made"
        return self.run.invariants.hub

    def heal(self) -> None:
        """End all faults, wait until everything is at rest, check all that must then hold."""
        self.script.append("heal()")
        self.run._heal()
        self.run.faults.clear()
        self._require(healed=True)
        self.workload.on = True
        self.run.phase = "chaos"

    def empty(self) -> None:
        """Heal, delete everything, and check that nothing stays behind."""
        self.heal()
        self.script.append("empty()")
        self.workload.stop()
        self.run._empty()
        self._require(healed=False)

    # -------------------------------------------------------------------------- checks

    def check(self) -> None:
        """Everything that must hold at any time holds."""
        self._require(healed=False)

    def _require(self, *, healed: bool) -> None:
        invariants = self.run.invariants
        assert invariants is not None
        if healed:
            invariants.check_healed()
        else:
            invariants.check()
        told = [f"{who} raised {error!r}" for who, error in self.run.errors()]
        if violations := invariants.violations:
            told.append(invariants.explain(violations))
        assert not told, "\n".join((*told, self.story()))

    def story(self) -> str:
        """What reproduces this: the steps (the seed is in the first), and the trace's hash."""
        steps = "\n".join(f"    {step}" for step in self.script)
        return f"The steps were:\n{steps}\ntrace {self.run.world.kernel.trace_hash}"

    def _instance(self, tenant: Tenant, number: int) -> str | None:
        instances = list(tenant.instances)
        return instances[number % len(instances)] if instances else None

    def _go(self, seconds: float) -> None:
        self.run._go(seconds)
