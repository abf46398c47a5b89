"""One fake guest: a server whose agent is the shipped core, put together for moments of work.

Between two moments a guest is its memory, its disk and its volume: no coroutine, no cipher, no
agent. An arrival on its queue or its timer wakes it; what the real loop does in two threads is done
in two coroutines, `tick` and `pulse`, which end when there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.engines.parameter import Scalar
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.agent import NOTHING_TO_DO, Agent
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Enrolment, Session
from guest_agent.errors import GuestAgentError
from guest_agent.loop import PULSE_SECONDS, RETIRED_SECONDS
from guest_agent.memory import Memory
from guest_agent.releases import TRIAL_SECONDS
from simulator.cloud.model.seams import GuestSpec
from simulator.fleet.assembly import enrolment_of, made
from simulator.fleet.datastore import Volume
from simulator.fleet.disk import Disk, directly, key_of, public_key
from simulator.fleet.queues import date_header
from simulator.fleet.releases import Kind, SimReleases, kind_of
from simulator.fleet.surroundings import FINE, Surroundings, agent_file_of
from simulator.kernel import Coroutine

BOOT_SECONDS: Final = (8.0, 25.0)
"""From the hypervisor's start of a server to the start of its agent."""
RESTART_SECONDS: Final = 1.0
LONGEST_RESTART_SECONDS: Final = 8.0
HEALTHY_SECONDS: Final = 30.0
DIES_SECONDS: Final = 0.5
"""What an agent lives that ends by itself."""
RENEWAL_SLACK_SECONDS: Final = 0.001
_ROOT: Final = Path("/")


class Guest:
    """A server with its agent. Whoever powers it on and off is the hypervisor."""

    __slots__ = (
        "_again",
        "_alarm_at",
        "_around",
        "_core",
        "_coroutines",
        "_held",
        "_pause",
        "_polling",
        "_pulsing",
        "_started_at",
        "_ticking",
        "_timer_at",
        "_watched",
        "address",
        "agent_file",
        "clock",
        "closed",
        "condition",
        "disk",
        "engine",
        "failed",
        "given_up",
        "life",
        "memory",
        "passing",
        "power",
        "retired",
        "runs",
        "runs_for",
        "runs_with",
        "server_id",
        "starts",
        "stopped_at",
        "stuck",
        "up",
        "volume_id",
    )

    def __init__(self, around: Surroundings, spec: GuestSpec, disk: Disk) -> None:
        self._around = around
        self.server_id = spec.server_id
        self.address = spec.interfaces[0].address if spec.interfaces else ""
        self.agent_file = agent_file_of(spec.user_data, around.share)
        self.volume_id = spec.volumes[0].volume_id if spec.volumes else None
        self.disk = disk
        self.engine = around.engine_of(spec.image_id, self.agent_file)
        self.memory = Memory()
        self.clock = ServiceClock()
        self.condition = FINE
        self.life = 0
        self.power = False
        self.up = False
        self.stuck = self.closed = self.failed = self.given_up = False
        self.starts = 0
        self.stopped_at = 0.0
        self.passing: Status | None = None
        self.runs = disk.agent
        self._alarm_at = 0.0
        self.runs_for = disk.flavor
        self.runs_with: Mapping[str, Scalar] = {}
        self.retired: str | None = None
        self._core: Agent | None = None
        self._coroutines: tuple[Coroutine, ...] = ()
        self._held: tuple[Coroutine, ...] = ()
        self._ticking = self._pulsing = self._again = self._polling = False
        self._timer_at = 0.0
        self._watched: str | None = None
        self._pause = RESTART_SECONDS
        self._started_at = 0.0

    @property
    def volume(self) -> Volume | None:
        """What is plugged in as its data volume."""
        return self._around.volumes.get(self.volume_id) if self.volume_id else None

    @property
    def idle(self) -> bool:
        """Whether it holds no coroutine and no agent."""
        return self._core is None and not self._coroutines

    @property
    def at_work(self) -> bool:
        """Whether it has something in its hand: a command, or what has to be sent."""
        return self._ticking or (self._core is not None and self._core.busy)

    # ------------------------------------------------------------- power and the process

    def power_on(self) -> None:
        """Boot from the disk that is there; the agent starts when the system is up."""
        if not self.power:
            self.power = True
            seconds = self._around.chance.uniform(*BOOT_SECONDS)
            self._around.kernel.call_later(seconds, self._start, self.life)

    def power_off(self) -> None:
        """Every process is gone, with what it held in memory."""
        self.power = self.up = self.stuck = False
        self._pause = RESTART_SECONDS
        self._end()

    def crash(self) -> None:
        """The agent dies where it is; the supervisor starts it again. The database lives on."""
        if not self.power:
            return
        now, pause = self._around.kernel.now, self._pause
        healthy = now - self._started_at > HEALTHY_SECONDS
        self._pause = RESTART_SECONDS * 2 if healthy else min(pause * 2, LONGEST_RESTART_SECONDS)
        pause = RESTART_SECONDS if healthy else pause
        self._around.kernel.call_later(pause, self._start, self.life + 1)
        self._end()

    def freeze(self) -> None:
        """Stop it as if the whole machine were paused: memory, keys and disk stay as they are."""
        self.power = False
        self._end(forget=False)

    def thaw(self) -> None:
        """Let a paused machine go on, as a zombie does it: same epoch, same keys."""
        if not self.power:
            self.power = True
            self._poll(self.memory.session is not None)
            self.start_tick()
            self.start_pulse()

    def hang(self) -> None:
        """Let the agent stand still at its next touch of anything outside."""
        self.condition = msgspec.structs.replace(self.condition, hung=True)

    def wake(self) -> None:
        """End a hang."""
        self.condition = msgspec.structs.replace(self.condition, hung=False)
        held, self._held = self._held, ()
        for coroutine in held:
            self._around.kernel.wake(coroutine)
        self.start_tick()
        self.start_pulse()

    def install(self, session: Session, *, beat_in: float) -> None:
        """Be a guest that has enrolled and prepared long ago and next reports in `beat_in` s."""
        kernel = self._around.kernel
        self.power = self.up = True
        self.disk.prepared = True
        self.disk.enrolled_generation = session.generation
        if self.volume is not None:
            self.volume.formatted = True
        self.memory.adopt(session)
        self.share(session)
        self.memory.reported = Status.HEALTHY
        self.memory.beat_at = kernel.now + beat_in
        life = session.credentials.expires_at.timestamp() - kernel.now
        self.memory.renew_at = kernel.now + life / 2
        self._watch()
        self._set_timer(min(self.memory.beat_at, self.memory.renew_at))

    def _start(self, life: int) -> None:
        if life != self.life or not self.power or self.agent_file is None:
            return
        self._started_at = self._around.kernel.now
        # Of the release that has proved itself the process is that decides which one runs.
        proved = SimReleases(self, life, self.disk.agent, directly)
        self.runs = proved.choose() or ""
        kind = kind_of(self.runs)
        if kind is Kind.DIES:
            self._around.kernel.call_later(DIES_SECONDS, self._exit, life)
        if kind in (Kind.DIES, Kind.SILENT):
            return
        self._spawn(self._start_up, "guest.database", self._pulse_after)
        self._spawn(self._begin, "guest.start", self._begun)

    def _end(self, *, forget: bool = True) -> None:
        """End this life; a coroutine that ends itself goes last, for it does not come back."""
        kernel = self._around.kernel
        self._poll(False)
        coroutines = self._coroutines
        self.life += 1
        self._coroutines, self._held, self._core = (), (), None
        self._ticking = self._pulsing = self._again = self.failed = self.given_up = False
        self._timer_at = self._alarm_at = 0.0
        self.passing = self.retired = None
        if self.condition.hung:
            self.condition = msgspec.structs.replace(self.condition, hung=False)
        if forget:
            self.memory, self.clock = Memory(), ServiceClock()
        for coroutine in sorted(coroutines, key=lambda each: each is kernel.current):
            kernel.kill(coroutine)

    # ----------------------------------------------------------------- moments of work

    def start_tick(self) -> None:
        """Look for messages, unless it does already: then once more after that."""
        self._again = self._ticking
        if self._can_work() and not self._ticking and self.memory.session is not None:
            self._ticking = True
            self._spawn(self._tick, "guest.tick", self._ticked)

    def start_pulse(self) -> None:
        """See what is due, unless it does already."""
        if self._can_work() and not self._pulsing and self.memory.session is not None:
            self._pulsing = True
            self._spawn(self._pulse, "guest.pulse", self._pulsed)

    def _can_work(self) -> bool:
        return self.power and self.retired is None and not self.condition.hung

    @property
    def datastore_manager(self) -> str:
        """The name of the manager that it was ordered with."""
        assert self.agent_file is not None, "a server without user data runs no agent"
        return self.agent_file.datastore_manager

    def _start_up(self) -> None:
        try:
            self._say(self._around.manager(self, self.life).start_up())
        except (GuestAgentError, OSError) as error:  # as the agent: it goes on without a database
            self._say(f"The database was not started: {error}")

    def _begin(self) -> None:
        agent = self._agent()
        self._say(agent.begin())
        if agent.retired is not None:
            self._retire(agent.retired)
            return
        self._watch()

    def _begun(self, coroutine: Coroutine) -> None:
        if not self._over(coroutine):
            self.start_tick()
            self.start_pulse()

    def _tick(self) -> None:
        agent = self._agent()
        while agent.retired is None:
            sentence = agent.tick()
            if sentence == NOTHING_TO_DO:
                break
            self._say(sentence)
            self.start_pulse()

    def _ticked(self, coroutine: Coroutine) -> None:
        self._ticking = False
        if not self._over(coroutine):
            if self._again:
                self._again = False
                self.start_tick()
            self._rest()

    def _pulse(self) -> None:
        """As the real loop: every second while a command runs; else until nothing is due."""
        agent = self._agent()
        while True:
            agent.woken.clear()
            for sentence in agent.pulse():
                self._say(sentence)
            if agent.retired is not None:
                self._retire(agent.retired)
                return
            if agent.leaving is not None:
                agent.hand_back()
                self.crash()
                return
            if agent.busy or agent.on_trial:
                aws.wait(agent.woken, PULSE_SECONDS)
            elif not agent.woken.is_set() and not self.memory.wants_renewal:
                break
        memory, now = self.memory, self._around.kernel.now
        renewal = now + memory.renew_at - self.clock.now() + RENEWAL_SLACK_SECONDS
        start = memory.start_at if memory.start_at is not None else memory.beat_at
        log = memory.archive_at if memory.archive is not None else memory.beat_at
        self._set_timer(min(memory.beat_at, renewal, start, log))

    def _pulsed(self, coroutine: Coroutine) -> None:
        self._pulsing = False
        if not self._over(coroutine):
            self._rest()

    def _pulse_after(self, coroutine: Coroutine) -> None:
        if not self._over(coroutine):
            self.start_pulse()

    def _rest(self) -> None:
        """Drop what a moment of work has made, when none is left."""
        if not (self._ticking or self._pulsing) and self._core and not self._core.busy:
            self._core = None

    def _over(self, coroutine: Coroutine) -> bool:
        """Forget a coroutine that has ended; true when its agent ended with it."""
        self._coroutines = tuple(each for each in self._coroutines if not each.is_over())
        if coroutine.error is None:
            return False
        if isinstance(coroutine.error, GuestAgentError):
            self._say(f"The guest agent stops: {coroutine.error}")
        else:
            self._around.broken.append((self.server_id, coroutine.error))
        self.crash()
        return True

    def _retire(self, reason: str) -> None:
        self._poll(False)
        self.retired = reason
        self._say(f"No more commands are taken: {reason}")
        self._around.kernel.call_later(RETIRED_SECONDS, self._exit, self.life)

    def _exit(self, life: int) -> None:
        if life == self.life:
            self.crash()

    def set_alarm(self, seconds: int) -> None:
        """End the process after so long; 0: never. A machine that is paused is ended later."""
        kernel = self._around.kernel
        self._alarm_at = kernel.now + seconds if seconds else 0.0
        if seconds:
            kernel.call_at(self._alarm_at, self._alarm, self.life, self._alarm_at)

    def _alarm(self, life: int, when: float) -> None:
        if life != self.life or when != self._alarm_at:
            return
        if self.power:
            self.crash()
        else:
            self.set_alarm(TRIAL_SECONDS)

    def _agent(self) -> Agent:
        """The agent of this moment, made of what it remembers."""
        if self._core is None:
            self._core = made(self, self._around)
        return self._core

    def _spawn(
        self, function: Callable[[], None], name: str, on_end: Callable[[Coroutine], None]
    ) -> None:
        made = self._around.kernel.spawn(function, name, self.server_id, on_end)
        self._coroutines = (*self._coroutines, made)

    def _set_timer(self, when: float) -> None:
        """Wake for a pulse at that time, unless it wakes earlier anyway."""
        kernel = self._around.kernel
        if not kernel.now < self._timer_at <= when:
            self._timer_at = max(when, kernel.now)
            kernel.call_at(self._timer_at, _ring, self, self.life, self._timer_at)

    def ring(self, life: int, when: float) -> None:
        """The timer: it is of this life, and was not set anew."""
        if life == self.life and when == self._timer_at:
            self._timer_at = 0.0
            self.start_pulse()

    def _watch(self) -> None:
        """Be woken by what arrives on the queue of this session."""
        session = self.memory.session
        assert session is not None
        self._poll(True)
        url = session.queues.guest
        if self._watched != url:
            self._watched = url
            self._around.region.sqs.on_arrival(url.rsplit("/", 1)[-1], self.start_tick)

    def _poll(self, polling: bool) -> None:
        if polling != self._polling:
            self._polling = polling
            self._around.count_polling(+1 if polling else -1)

    def _say(self, sentence: str) -> None:
        around = self._around
        around.kernel.trace("guest", self.server_id, sentence)
        if around.said is not None:
            around.said(self.server_id, sentence)

    # --------------------------------------------------------- for the parts of the agent

    def here(self, life: int) -> None:
        """Every touch of the world passes here: a process that died does not touch it any more."""
        kernel = self._around.kernel
        current = kernel.current
        if current is None:
            return
        if life != self.life:
            kernel.kill(current)
        if current not in self._coroutines:  # a worker that the dispatcher has spawned
            self._coroutines = (*self._coroutines, current)
        while self.condition.hung:
            self._held = (*self._held, current)
            kernel.suspend()

    def spend(self, seconds: tuple[float, float]) -> None:
        """Let a drawn time pass; longer on a slow disk."""
        aws.sleep(self._around.chance.uniform(*seconds) * self.condition.slowness)

    def cut(self) -> tuple[bool, bool]:
        """Whether what it sends, and what is sent to it, is lost."""
        return self.condition.lost, self.condition.deaf

    def listens(self) -> bool:
        """Whether the Date of an answer can tell it more than its own clock does."""
        return self.clock.offset != 0.0 or self.server_id in self._around.skew

    def date(self) -> str:
        """The Date header of an answer that is sent now."""
        return date_header(self._around.kernel.now)

    def enrolment(self) -> Enrolment:
        """What talks to the control plane for the agent of this life."""
        return enrolment_of(self, self._around)

    @property
    def public_key(self) -> bytes:
        """The raw public key with which this guest enrols."""
        return public_key(key_of(self._around.kernel.seed, self.server_id, self.disk))

    def share(self, session: Session) -> None:
        """Hold what all sessions have in common once."""
        assert self.agent_file is not None
        put, share = msgspec.structs.force_setattr, self._around.share
        put(session, "instance_id", self.agent_file.instance_id)
        if session.queues.guest == self._watched:
            put(session.queues, "guest", self._watched)
        put(session.queues, "conductor", share(session.queues.conductor))
        put(session.queues, "heartbeats", share(session.queues.heartbeats))


def _ring(guest: Guest, life: int, when: float) -> None:
    guest.ring(life, when)
