"""What a simulated database server runs with: its layers of settings, on disk and in the engine.

A customer's layer is on the guest's disk. Of what it says the running engine holds what it was
started with, and what was set since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chalicelib.engines.engine import Engine
from chalicelib.engines.parameter import Scalar
from chalicelib.engines.parameters import check, effective, parameters
from guest_agent.errors import BadRequest, GuestError, Unavailable
from simulator.fleet.machine import STATEMENT_SECONDS, OnMachine


class WithSettings(OnMachine):
    """The settings of an engine.

    `READ_BACK` are those that it tells of, the memory that it takes before all, and their units.
    Its rules go by the name of its `MANAGER`. One that `ALLOCATES` it takes no more than its server
    has.
    """

    ENGINE: ClassVar[Engine]
    READ_BACK: ClassVar[Mapping[str, int]]
    MANAGER: ClassVar[str]
    ALLOCATES: ClassVar[bool] = True

    def _settings(self) -> dict[str, int]:
        """What the engine says of those that follow from the flavor that it runs for."""
        machine = self._machine
        held = {**self.ENGINE.template(machine.runs_for.ram), **machine.runs_with}
        return {name: int(held[name]) * one for name, one in self.READ_BACK.items()}

    def _checked(self, values: Mapping[str, object]) -> dict[str, Scalar]:
        return check(*self._rules_of, values, BadRequest) if values else {}

    def _choose(self, group: dict[str, Scalar]) -> None:
        """Write the layer of a configuration group."""

        def write() -> None:
            self._machine.disk.configuration = group

        self._perform("override", write)
        self._step(STATEMENT_SECONDS)

    def _require_memory(self, group: Mapping[str, Scalar]) -> None:
        """`GuestError` when what an engine is to take is more than there is."""
        ram = self._machine.runs_for.ram
        name, one = next(iter(self.READ_BACK.items()))
        wanted = int({**self.ENGINE.template(ram), **group}[name]) * one
        if self.ALLOCATES and wanted > ram * 1024**2:
            raise GuestError("the database ended with exit code 1 (Cannot allocate memory)")

    def _override(self, group: dict[str, Scalar]) -> bool:
        """Write a layer, and let the running engine hold what it can; whether it needs a start.

        What it does not take leaves it with what it had: `BadRequest`.
        """
        before, rules = self._machine.disk.configuration, parameters(*self._rules_of)
        self._choose(group)
        if self._machine.stuck:
            raise Unavailable("the database does not answer")
        try:
            self._require_memory(
                {name: value for name, value in group.items() if not rules[name].restart_required}
            )
        except GuestError as refused:
            self._choose(before)
            raise BadRequest(f"the database does not take the values: {refused}") from None
        return self._apply()

    def _apply(self) -> bool:
        machine, rules = self._machine, parameters(*self._rules_of)
        machine.runs_with = {
            name: value
            for lasting, group in ((True, machine.runs_with), (False, machine.disk.configuration))
            for name, value in group.items()
            if rules[name].restart_required is lasting
        }
        return self._effective(machine.runs_with) != self._effective(machine.disk.configuration)

    def _effective(self, group: Mapping[str, Scalar]) -> dict[str, Scalar]:
        volume, ram = self._machine.volume, self._machine.runs_for.ram
        return effective(*self._rules_of, ram, volume.size_gib if volume else 0, group)

    @property
    def _rules_of(self) -> tuple[str, str]:
        """The datastore, and the version, whose rules its parameters have."""
        return self.MANAGER, self._machine.engine.number
