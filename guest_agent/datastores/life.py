"""The life of the server process: who may move it, what it is doing, and what became of it.

starting ──▶ answering ──▶ stopped, as asked
    ▲            │
    │            ├──▶ blocked: it hangs, or its volume is full
    └── dead ◀───┘         (the keeper of the agent's core starts a dead one again)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Generic

from msgspec.structs import replace

from chalicelib import tracing
from chalicelib.bus.contract import arguments
from chalicelib.bus.contract.arguments import Flavor
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.engines.parameter import Scalar
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.config import GuestConfig
from guest_agent.datastores import data_directory, guard, state, trial
from guest_agent.datastores.damage import Damage
from guest_agent.datastores.gauges import METRICS_SECONDS, Gauges
from guest_agent.datastores.guard import GUARD_SECONDS, Guard
from guest_agent.datastores.layout import Layout, below
from guest_agent.datastores.probe import Answer, Probe
from guest_agent.datastores.server import S, Server
from guest_agent.datastores.service import Service
from guest_agent.datastores.session import CALL_SECONDS, Crowded, LockedOut
from guest_agent.datastores.state import DatastoreState
from guest_agent.errors import BadRequest, CommandFailed, GuestError
from guest_agent.manager import Condition
from guest_agent.storage import device, volume

APPLY_SECONDS: Final = 60.0
"""For all the values of a configuration group, some of which move gigabytes."""
ADOPT_SECONDS: Final = 12.0
"""For a database that runs already to read again what is fixed."""
ATTEMPTS: Final = 3
"""How often a stage of the first start is begun, when the server in it dies."""
_STARTING: Final = "the database is starting"
_log = logging.getLogger(__name__)


class Life(Generic[S]):
    """Whoever moves the process holds `_lock`; looking at it, and asking it, needs no lock."""

    def __init__(self, guest: GuestConfig, kind: type[Server[S]]) -> None:
        self._guest = guest
        self._kind = kind
        self._folder = guest.state_folder
        self._state = state.load(self._folder)
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._probe = Probe(self._connect, lambda session: self._server.secure(session))
        self._guard: Guard[S] = Guard()
        self._damage = Damage()
        self._gauges = Gauges(kind.ENGINE.word)
        self._failed = False
        self._given_up = False
        self._stopped_at = 0.0
        self._passing: Status | None = Status.RESTARTING if self._state.prepared else None

    # ------------------------------------------------------------------------- looking

    def condition(self) -> Condition:
        """What it is doing now; answers within the seconds of a probe."""
        if not self._state.prepared:
            return Condition(Status.FAILED if self._failed else Status.BUILDING)
        if self._passing is not None:
            return Condition(self._passing)
        if self._service is None or not self._service.alive():
            return self._dead()
        match self._probe.ask():
            case Answer.NOT_YET:
                return Condition(Status.RESTARTING, _STARTING)
            case Answer.SILENT:
                return Condition(Status.BLOCKED, "the database runs and does not answer")
            case Answer.LOCKED_OUT:
                reason = "the agent's account in the database has been changed"
                return Condition(Status.BLOCKED, reason, start_wanted=not self._given_up)
            case Answer.CROWDED as crowded:
                return Condition(Status.BLOCKED, crowded.value)
        if (full := self._guarded()) is not None:
            self._guard.reported()
            return Condition(Status.BLOCKED, full)
        notices = (*self._probe.said(), *self._guard.said())
        damage = self._damage.look(self._server.log)
        return Condition(Status.HEALTHY, damage, notices=notices, damaged=bool(damage))

    def watch(self) -> float:
        """Keep the volume from being filled between two pulses; seconds until the next look."""
        service = self._service
        runs = self._passing is None and service is not None and service.alive()
        room = self._server.room.look() if runs and self._state.prepared else None
        if room is None:
            return guard.LOOK_SECONDS
        if self._guard.due(room):
            self._guarded()
        return self._guard.pause(room)

    def _guarded(self) -> str | None:
        """Why it takes no writes, if it does not; the volume is looked at."""
        with self._probe.used(GUARD_SECONDS) as session:
            if session is not None:
                return self._guard.look(self._server, session)
        self._guard.make_way(self._server)  # it may have died of it, and comes up in the reserve
        return None

    def filesystem(self) -> dict[str, float]:
        """`used` and `total` of the volume in GiB."""
        if not self._state.mount_point:
            return {"used": 0.0, "total": 0.0}
        return volume.usage(self._layout.volume)

    def metrics(self) -> EngineMetrics:
        """What it counts; nothing of one that did not answer when it was asked last."""
        try:
            with self._probe.used(METRICS_SECONDS) as session:
                counters = None if session is None else self._server.counters(session)
        except (CommandFailed, LookupError, ValueError) as error:
            _log.warning("The database did not tell its counters: %s", error)
            counters = None
        return self._gauges.read(counters, time.monotonic())

    @contextmanager
    def session(self, seconds: float = CALL_SECONDS) -> Iterator[S]:
        """A session for one call, which has so long for all that it asks.

        An account that a customer's root has changed is put right. Where customers have taken all
        connections it is the one that the agent keeps.
        """
        until = time.monotonic() + seconds
        try:
            made = self._connect(until)
        except LockedOut:
            self._probe.repair()
            made = self._connect(until)
        except Crowded:
            with self._probe.lend(until) as kept:
                yield kept
            return
        with tracing.detail(_log, "sql") as told:
            try:
                yield made
            finally:
                made.close()
                told(count=made.statements)

    def _dead(self) -> Condition:
        self._probe.forget()
        if self._state.stopped:
            return Condition(Status.SHUTDOWN, start_wanted=self._comes_back())
        cause = self._service.death() if self._service else "the database does not run"
        if guard.is_full(self._server.room):
            cause = f"{guard.FULL}: {cause}"
        if self._given_up:
            return Condition(Status.FAILED, f"{cause}; it is not started again until it is told to")
        return Condition(Status.CRASHED, cause, start_wanted=True)

    def _comes_back(self) -> bool:
        """Whether it was stopped for its server to be switched off, which goes on."""
        late = time.monotonic() - self._stopped_at >= arguments.COMES_BACK_SECONDS
        return self._state.at_boot and late

    # -------------------------------------------------------------------------- moving

    def start_up(self) -> str:
        """Adopt the server, or start it if it should run; a sentence."""
        if not self._state.prepared:
            return "There is no database yet; waiting for prepare."
        with self._moving(Status.RESTARTING):
            service = self._make_service()
            if (pid := service.adopt()) is not None:
                self._bring_up_to_date()
                return f"The database runs already (process {pid})."
            if self._state.stopped and not self._state.at_boot:
                return "The database was stopped and is to stay so."
            self._save(replace(self._state, stopped=False))
            self._start(service, self._state.next_flavor)
            return "The database was started."

    def _bring_up_to_date(self) -> None:
        """Of one that does not answer now, its next start does it."""
        try:
            with self.session(ADOPT_SECONDS) as session:
                self._server.adopted(session)
        except CommandFailed as error:
            _log.warning("The database runs on as the agent before has started it: %s", error)

    def start_again(self) -> str:
        """Start what has died or locks the agent out, unless it was told to stop; a sentence."""
        with self._moving(Status.RESTARTING):
            if not self._state.prepared or (self._state.stopped and not self._comes_back()):
                return "The database was stopped and is to stay so."
            if self._state.stopped:  # what it was stopped for does not come
                self._save(replace(self._state, stopped=False, next_flavor=None))
            service = self._make_service()
            if service.alive():
                if self._probe.ask() is not Answer.LOCKED_OUT:
                    return "The database runs again already."
                service.stop()
            self._start(service)
            return "The database was started again."

    def give_up(self) -> None:
        """Leave it as it is until it is restarted by command."""
        self._given_up = True

    def restart(self) -> None:
        """Stop it and start it."""
        with self._moving(Status.RESTARTING):
            service = self._prepared_service()
            self._given_up = False
            self._save(replace(self._state, stopped=False, at_boot=True, next_flavor=None))
            service.stop()
            self._start(service)

    def stop(self, *, at_boot: bool, flavor: Flavor | None = None) -> None:
        """Stop it and leave it so; `at_boot` lets it come back with the server, or without.

        It comes back with its server configured for the `flavor`, if there is one.
        """
        with self._moving(Status.SHUTDOWN):
            service = self._prepared_service()
            self._stopped_at = time.monotonic()
            self._save(replace(self._state, stopped=True, at_boot=at_boot, next_flavor=flavor))
            service.stop()

    def configure(self, flavor: Flavor) -> Mapping[str, int]:
        """Let it run with the settings for a flavor; what it says of those that were asked for."""
        with self._moving(Status.RESTARTING):
            service = self._prepared_service()
            self._given_up = False
            came_back = replace(self._state, stopped=False, at_boot=True)
            self._save(replace(came_back, flavor=flavor, next_flavor=None))
            server = self._server
            self._write_configuration(flavor)
            running = service.adopt() is not None and self._is_ready()
            if not running or not server.holds(self._wanted(), self._settings()):
                service.stop()
                self._start(service)
            return self.settings_held()

    def override(self, values: Mapping[str, object]) -> bool:
        """Let it run with the values of a configuration group; whether that needs a restart.

        One that is dead, and was not told to stop, is started with them. What a running one does
        not take (`BadRequest`) leaves it with what it had.
        """
        with self._lock:
            service, state = self._prepared_service(), self._state
            group = self._server.checked(values)
            before = state.configuration if state.fallback is None else state.fallback
            self._choose(group, before)
            try:
                needs_restart = self._apply() if service.adopt() else self._come_up(service)
            except BadRequest:
                self._choose(before, before)
                with suppress(CommandFailed):
                    self._apply()
                raise
            self._save(replace(self._state, fallback=None))
            return needs_restart

    def checked(self, values: Mapping[str, object]) -> dict[str, Scalar]:
        """Values that a first start is to have; `BadRequest`."""
        return self._server.checked(values)

    def _choose(self, group: dict[str, Scalar], before: dict[str, Scalar]) -> None:
        self._save(replace(self._state, configuration=group, fallback=before))
        self._write_configuration(self._state.flavor)

    def _apply(self) -> bool:
        with self.session(APPLY_SECONDS) as session:
            return self._server.apply(session, self._state.flavor, self._state.configuration)

    def _come_up(self, service: Service) -> bool:
        """Start what is dead and should run, with what was just written: it needs no restart."""
        if not self._state.stopped:
            self._given_up = False
            with self._is(Status.RESTARTING):
                self._start(service)
        return False

    def _write_configuration(self, flavor: Flavor) -> bool:
        return self._server.write_configuration(flavor, self._state.configuration)

    def _wanted(self) -> Mapping[str, int]:
        return self._server.wanted(self._state.flavor, self._state.configuration)

    def settings_held(self) -> dict[str, int]:
        """What it says of the settings that were asked for; `GuestError` when it has others."""
        wanted, found = self._wanted(), self._settings()
        if not self._server.holds(wanted, found):
            raise GuestError(f"the database runs with {found} in place of {dict(wanted)}")
        return found

    def let_go(self) -> None:
        """End a database that was not to be prepared after all, in order if it can."""
        try:
            with self._lock:
                if self._service is not None:
                    self._service.stop()
        except GuestError as error:
            _log.error("The database was not ended: %s", error)

    def version(self) -> str:
        """The version that the database tells of itself."""
        with self.session() as session:
            return self._server.version(session)

    def _settings(self) -> dict[str, int]:
        with self.session() as session:
            return self._server.running(session)

    @contextmanager
    def preparing(self, wanted: DatastoreState) -> Iterator[None]:
        """A first start: nobody else moves the process; saved as prepared at its end."""
        with self.before_prepared(wanted):
            yield
            self._save(replace(self._state, prepared=True))

    @contextmanager
    def before_prepared(self, wanted: DatastoreState) -> Iterator[None]:
        """What is done before there is a database; one that was prepared is none any more."""
        with self._lock:
            self._failed = False
            try:
                self._save(wanted)
                yield
            except (CommandFailed, OSError):
                self._failed = True
                raise

    def attach_volume(self, *, with_data: bool = False) -> None:
        """Make the volume appear at its mount point; where data has to be nothing is formatted."""
        volume.attach(self._device(), self._layout.volume, format_blank=not with_data)

    def clear_trial(self) -> None:
        """Remove what an agent that died has left of a backup that it tried out."""
        if self._state.mount_point:
            try:
                trial.clear(self._server)
            except GuestError as error:  # the database starts anyhow
                _log.error("Of the trial of a backup something is left: %s", error)

    def take_over(self, number: str = "") -> None:
        """Make the data directory of a former server this one's, if its engine is of `number`."""
        data_directory.take_over(self._server)
        if number:
            self._server.require_version(number)

    def _device(self) -> Path:
        root, wanted = self._guest.root, self._state
        if not wanted.volume_id and not wanted.device_path:
            raise GuestError("nobody has told which volume the data is on")
        if wanted.volume_id:
            return device.wait_for(root, wanted.volume_id)
        return below(root, wanted.device_path)

    def resize_fs(self, size_gib: int) -> None:
        """Let the file system have all of the volume, whatever its server is at."""
        if not self._state.prepared:
            raise GuestError("the database is not prepared yet")
        volume.grow(self._device(), self._layout.volume, size_gib=size_gib)

    def _grow(self) -> None:
        """Let the file system have what a resize could not give it; the database starts anyhow."""
        try:
            volume.grow(self._device(), self._layout.volume)
        except GuestError as error:
            _log.warning("The file system stays as it is: %s", error)

    def initialise(self, flavor: Flavor) -> None:
        """Make the data directory, again when the server that makes it dies in it."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                data_directory.make(self._server, flavor)
                return
            except data_directory.Interrupted:
                if attempt == ATTEMPTS:
                    raise

    def first_start(self, flavor: Flavor) -> None:
        """Start it with a configuration for the flavor, again when it dies before it answers."""
        service = self._make_service()
        if self._write_configuration(flavor):
            service.stop()  # one that was started with another configuration
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._before_start()
                service.start()
                service.wait_until_ready(self._is_ready)
                self._guarded()
                return
            except GuestError:
                if attempt == ATTEMPTS or service.alive():
                    raise

    def secure(self) -> None:
        """Put the accounts of the system right."""
        with self.session() as session:
            self._server.secure(session)

    def _start(self, service: Service, flavor: Flavor | None = None) -> None:
        """Start and wait; repairs the agent's account, whom an enabled root may have changed."""
        flavor = flavor or self._state.flavor
        self.attach_volume(with_data=True)
        self._grow()
        self._write_configuration(flavor)
        self._before_start()
        service.start()
        service.wait_until_ready(self._is_ready)
        self._guarded()
        self.secure()

    def _before_start(self) -> None:
        self._damage.forget()
        self._guard.make_way(self._server)

    def _is_ready(self) -> bool:
        return self._probe.ask() is Answer.YES

    def _connect(self, until: float) -> S:
        return self._server.connect(until)

    def _prepared_service(self) -> Service:
        if not self._state.prepared:
            raise GuestError("the database is not prepared yet")
        return self._make_service()

    def _make_service(self) -> Service:
        if self._service is None:
            self._service = Service(self._server)
        return self._service

    @property
    def server(self) -> Server[S]:
        """What the engine says of it, at the mount point that is known now."""
        return self._server

    @property
    def _server(self) -> Server[S]:
        return self._kind(self._guest, self._state.mount_point)

    @property
    def _layout(self) -> Layout:
        return self._server.layout

    def _save(self, new: DatastoreState) -> None:
        state.save(self._folder, new)
        self._state = new

    @contextmanager
    def _moving(self, passing: Status) -> Iterator[None]:
        """Hold the process while it is moved; meanwhile that is its status."""
        with self._lock, self._is(passing):
            yield

    @contextmanager
    def _is(self, passing: Status) -> Iterator[None]:
        self._passing = passing
        try:
            yield
        finally:
            self._passing = None
