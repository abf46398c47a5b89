"""The guest contract on a simulated volume: what managers do, as steps that take time.

Between two steps a guest can die; what was written stays written, as on a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from chalicelib import aws
from chalicelib.bus.contract import METHODS, UPDATE_OVERRIDES, answers, arguments
from chalicelib.bus.contract.metrics import NOTHING, EngineMetrics
from chalicelib.engines import numbers_of
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.datastores import guard
from guest_agent.errors import CommandFailed, GuestError, NotSupported
from guest_agent.manager import Condition, Manager, Progress, WithConfiguration, WithUpgrades
from simulator.fleet import backups
from simulator.fleet.configuration import WithSettings
from simulator.fleet.contents import WithSuperuser
from simulator.fleet.datastore import Log
from simulator.fleet.disk import PLENTY
from simulator.fleet.full import SimRoom, SimWrites
from simulator.fleet.machine import STATEMENT_SECONDS

STAGES: Final = (
    ("preparing the volume", 1.0, 4.0),
    ("initialising the data directory", 3.0, 12.0),
    ("starting the database", 1.0, 5.0),
    ("securing root", 0.1, 0.5),
)
ATTACH_SECONDS: Final = (0.5, 3.0)
START_SECONDS: Final = (1.0, 5.0)
STOP_SECONDS: Final = (0.5, 3.0)
TURN_SECONDS: Final = (0.05, 0.1)
GROW_SECONDS: Final = (0.5, 20.0)
IDLE_RATE: Final = 1.0
"""Statements a second of a database that nobody uses: the agent's own."""


class SimManager(WithSuperuser, WithSettings, Manager, WithUpgrades, WithConfiguration):
    """The manager of any engine in one process (`life`) of a guest's agent."""

    CONNECTIONS: ClassVar[str] = "max_connections"
    """The setting that says for how many it is."""

    def call(self, name: str, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Execute a command, unless it is newer than the agent on the root disk."""
        method = METHODS.get(name)
        if method is not None and method.since > self._machine.disk.release:
            raise NotSupported(f"this guest agent has no method {name!r}")
        return super().call(name, args, progress)

    def start_up(self) -> str:
        machine = self._machine
        if machine.volume is not None:
            backups.clear_trial(machine.volume)
        if not machine.disk.prepared:
            return "There is no database yet; waiting for prepare."
        if machine.up:
            return "The database runs already."
        if machine.disk.stopped and not machine.disk.at_boot:
            return "The database was stopped and is to stay so."
        machine.disk.stopped = False
        with self._while_it_is(Status.RESTARTING):
            self._start(machine.disk.next_flavor)
        return "The database was started."

    def start_again(self) -> str:
        machine = self._machine
        if not machine.disk.prepared or (machine.disk.stopped and not self._comes_back()):
            return "The database was stopped and is to stay so."
        if machine.disk.stopped:
            machine.disk.stopped, machine.disk.next_flavor = False, None
        if machine.up:
            return "The database runs again already."
        with self._while_it_is(Status.RESTARTING):
            self._start()
        return "The database was started again."

    def give_up(self) -> None:
        self._machine.given_up = True

    def condition(self) -> Condition:
        seen, machine = self.seen(), self._machine
        if not machine.disk.prepared or machine.passing or not machine.up or machine.stuck:
            return seen
        watch: guard.Guard[None] = guard.Guard()
        if (full := watch.look(SimWrites(machine), None)) is not None:
            return Condition(Status.BLOCKED, full)
        return Condition(Status.HEALTHY, notices=watch.said())

    def seen(self) -> Condition:
        """How it is, and nothing is done about that."""
        machine = self._machine
        if not machine.disk.prepared:
            return Condition(Status.FAILED if machine.failed else Status.BUILDING)
        if machine.passing is not None:
            return Condition(machine.passing)
        if not machine.up:
            return self._dead()
        if machine.stuck:
            return Condition(Status.BLOCKED, "the database runs and does not answer")
        if machine.closed or guard.is_full(SimRoom(machine)):
            return Condition(Status.BLOCKED, guard.CLOSED)
        return Condition(Status.HEALTHY)

    def _dead(self) -> Condition:
        if self._machine.disk.stopped:
            return Condition(Status.SHUTDOWN, start_wanted=self._comes_back())
        cause = guard.FULL if guard.is_full(SimRoom(self._machine)) else "the database has ended"
        if self._machine.given_up:
            return Condition(Status.FAILED, f"{cause}; it is not started again until it is told to")
        return Condition(Status.CRASHED, cause, start_wanted=True)

    def _comes_back(self) -> bool:
        late = aws.monotonic() - self._machine.stopped_at >= arguments.COMES_BACK_SECONDS
        return self._machine.disk.at_boot and late

    def filesystem(self) -> dict[str, float]:
        volume = self._machine.volume
        if volume is None or not volume.formatted:
            return {"used": 0.0, "total": 0.0}
        return {"used": volume.used_gib(), "total": float(volume.file_system_gib)}

    def metrics(self) -> EngineMetrics:
        machine = self._machine
        if not machine.up or machine.stuck:
            return NOTHING
        limit = self._settings()[self.CONNECTIONS]
        return EngineMetrics(self.ENGINE.word, 1, limit, IDLE_RATE, 1.0)

    def prepare(self, request: arguments.Prepare, progress: Progress) -> answers.Prepared:
        return self._first_start(request, lambda: self._prepare(request, progress))

    def rebuild(self, request: arguments.Rebuild, progress: Progress) -> answers.Prepared:
        return self._first_start(request, lambda: self._go_on(request, progress))

    def upgrade(self, request: arguments.Upgrade, progress: Progress) -> answers.Upgraded:
        try:
            prepared = self.rebuild(request, progress)
        except (CommandFailed, OSError):
            self._machine.up = False
            raise
        holds = prepared.holds_configuration
        return answers.Upgraded(self._settings(), self._machine.engine.number, holds)

    def _first_start(
        self, request: arguments.Prepare | arguments.Rebuild, bring_up: Callable[[], None]
    ) -> answers.Prepared:
        knows_groups = self._machine.disk.release >= UPDATE_OVERRIDES.since
        group = self._checked(request.configuration) if knows_groups else {}
        self._machine.failed = False
        self._machine.disk.flavor = self._machine.runs_for = request.flavor
        self._machine.disk.configuration = group
        try:
            bring_up()
        except (CommandFailed, OSError):
            self._machine.failed = True
            raise
        self._machine.disk.prepared = True
        self._step(STATEMENT_SECONDS)
        return answers.Prepared("healthy", knows_groups)

    def _go_on(self, request: arguments.Rebuild, progress: Progress) -> None:
        progress("attaching the volume")
        self._step(ATTACH_SECONDS)
        if not self._formatted().formatted:
            raise GuestError(
                f"the volume holds no {self.ENGINE.name} data directory, and none is made"
            )
        backups.clear_trial(self._formatted())
        self._require(request.number)
        progress("starting the database")
        self._start()
        progress("securing root")
        self._step(STATEMENT_SECONDS)

    def _require(self, number: str) -> None:
        """Refuse data to an engine of another version than the one that was asked for."""
        engine, wanted = numbers_of(self._machine.engine.number), numbers_of(number)
        if engine[: len(wanted)] != wanted:
            raise GuestError(
                f"the image's database is of version {self._machine.engine.number}, and was to be "
                f"of {number}; nothing was started"
            )

    def _prepare(self, request: arguments.Prepare, progress: Progress) -> None:
        for stage, shortest, longest in STAGES:
            progress(stage)
            self._step((shortest, longest))
        self._formatted().formatted = True
        self._run()
        progress("creating databases and users")
        self._fill(request)

    def restart(self, request: arguments.Nothing) -> answers.Done:
        with self._while_it_is(Status.RESTARTING):
            self._require_prepared()
            self._machine.given_up = False
            disk = self._machine.disk
            disk.stopped, disk.at_boot, disk.next_flavor = False, True, None
            self._stop()
            self._start()
        return answers.Done()

    def stop_db(self, request: arguments.StopDatabase) -> answers.Done:
        with self._while_it_is(Status.SHUTDOWN):
            self._require_prepared()
            disk = self._machine.disk
            disk.stopped, disk.at_boot = True, not request.do_not_start_on_reboot
            disk.next_flavor = request.flavor
            self._machine.stopped_at = aws.monotonic()
            self._stop()
        return answers.Done()

    def start_db_with_conf_changes(self, request: arguments.StartForFlavor) -> answers.Configured:
        machine, wanted = self._machine, request.flavor
        with self._while_it_is(Status.RESTARTING):
            self._require_prepared()
            machine.given_up = False
            machine.disk.stopped, machine.disk.at_boot = False, True
            machine.disk.flavor, machine.disk.next_flavor = wanted, None
            if not machine.up or machine.stuck or machine.runs_for != wanted:
                self._stop()
                self._start()
        return answers.Configured(self._settings())

    def update_overrides(self, request: arguments.UpdateOverrides) -> answers.Overridden:
        self._require_prepared()
        machine, group = self._machine, self._checked(request.values)
        if machine.up:
            return answers.Overridden(self._override(group))
        self._choose(group)
        if not machine.disk.stopped:
            machine.given_up = False
            self.start_again()
        return answers.Overridden(restart_required=False)

    def resize_fs(self, request: arguments.ResizeFileSystem) -> answers.Done:
        self._require_prepared()
        volume = self._formatted()
        if volume.size_gib < request.size:
            raise GuestError(
                f"the volume has {volume.size_gib} GiB, and was to have {request.size}"
            )
        self._step(GROW_SECONDS)

        def grow() -> None:
            volume.file_system_gib = volume.size_gib
            self._machine.disk.full, self._machine.disk.room = False, PLENTY

        self._perform("grow", grow)
        return answers.Done()

    def _start(self, flavor: arguments.Flavor | None = None) -> None:
        self._step(START_SECONDS)
        if (volume := self._machine.volume) is not None:
            volume.file_system_gib = volume.size_gib
        self._check_space()
        self._machine.runs_for = flavor or self._machine.disk.flavor
        self._run()

    def _run(self) -> None:
        """Let the engine's process run, and write to the volume that it was there."""
        engine, volume = self._machine.engine, self._formatted()
        if not engine.starts:
            raise GuestError("the database ended with exit code 1, while it started")
        self._require_memory(self._machine.disk.configuration)
        volume.touched_by = engine.number
        self._machine.runs_with = dict(self._machine.disk.configuration)
        self._machine.up, self._machine.closed = True, False
        self._machine.starts += 1
        if not (self._machine.disk.keeps_log or volume.keeps_log):
            volume.log = None
        elif volume.log is None:
            volume.log = Log(volume.contents.log_position)

    def _stop(self) -> None:
        self._step(STOP_SECONDS)
        self._machine.up = self._machine.stuck = False

    def _require_prepared(self) -> None:
        if not self._machine.disk.prepared:
            raise GuestError("the database is not prepared yet")

    @contextmanager
    def _while_it_is(self, passing: Status) -> Iterator[None]:
        """Move the process, alone: whoever moves it already ends first."""
        while self._machine.passing is not None:
            self._step(TURN_SECONDS)
        self._machine.passing = passing
        try:
            yield
        finally:
            self._machine.passing = None
