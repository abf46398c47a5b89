"""The agent in two small verbs: `tick` takes commands, `pulse` keeps everything else alive.

Both are free of the wire and of real time: what they use is handed in, so that the simulator runs
the same agent in virtual time.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib import aws
from chalicelib.service_status import ServiceStatus
from guest_agent.backups.archiver import Archiver
from guest_agent.clock import ServiceClock
from guest_agent.config import AgentFile
from guest_agent.dispatch import Dispatcher
from guest_agent.enrolment import Enrolment, Session, delay_before
from guest_agent.errors import Denied, JournalUnusable, Retired, Unauthorized, Unreachable
from guest_agent.heartbeat import Heartbeat
from guest_agent.journal import Journal, JournalStore
from guest_agent.keeper import Keeper
from guest_agent.manager import Manager
from guest_agent.memory import Memory
from guest_agent.outbox import Outbox
from guest_agent.queues import LONG_POLL_SECONDS, Queues

EXTEND_SECONDS: Final = 8.0  # visibility is 20 s: two extensions may be lost
RENEW_RETRY_SECONDS: Final = 30.0
NOTHING_TO_DO: Final = "Nothing to do."


class Agent:
    """One guest. `retired` holds the reason once this guest has no place any more.

    What it has to remember from one call to the next is in its memory: an agent without a running
    command may be dropped and made again with the same one.
    """

    def __init__(
        self,
        agent: AgentFile,
        *,
        enrolment: Enrolment,
        queues: Queues,
        store: JournalStore,
        manager: Manager,
        clock: ServiceClock,
        memory: Memory | None = None,
    ) -> None:
        self._enrolment = enrolment
        self._queues = queues
        self._clock = clock
        self._memory = memory or Memory()
        self._outbox = Outbox(queues, clock, self._memory)
        self.woken = aws.event()
        self._dispatcher = Dispatcher(
            agent.instance_id,
            agent.generation,
            manager=manager,
            journal=Journal(store, self._memory),
            outbox=self._outbox,
            queues=queues,
            clock=clock,
            on_finished=self.woken.set,
            renew=self._renew,
            memory=self._memory,
        )
        self._manager = manager
        self._heartbeat = Heartbeat(manager, self._outbox, self._memory)
        self._keeper = Keeper(manager, self._outbox, self._memory, self.woken.set)
        self._archiver = Archiver(manager, self._memory, self.woken.set)
        self._extend_at = 0.0
        self.retired: str | None = None

    @property
    def leaving(self) -> str | None:
        """Why this process is to end now: what it was at has ended, and it begins nothing."""
        return None if self.busy else self._dispatcher.leaving

    def hand_back(self) -> None:
        """Let the next process see at once what this one leaves to it."""
        self._dispatcher.hand_back()

    @property
    def on_trial(self) -> bool:
        """Whether this process is of a release that has not proved itself yet."""
        releases = self._manager.releases
        return releases is not None and releases.trial is not None

    @property
    def busy(self) -> bool:
        """Whether a command is being executed, a dead database started, or log sent."""
        return self._dispatcher.busy or self._keeper.working or self._archiver.working

    def begin(self) -> str:
        """Enrol, or renew with a new epoch; everything else needs it."""
        try:
            session = self._enrolment.begin()
        except Retired as reason:
            self.retired = str(reason)
            return self.retired
        self._adopt(session)
        return f"Enrolled as generation {session.generation}, epoch {session.epoch}."

    def tick(self) -> str:
        """Wait for commands and handle what came."""
        try:
            messages = self._queues.receive(LONG_POLL_SECONDS)
            if self.retired is not None:
                return "Retired while it waited; what came is left to others."
            sentences = [self._dispatcher.accept(message) for message in messages]
        except (Unreachable, JournalUnusable) as error:
            if isinstance(error, Denied):
                self._memory.renew_at = min(self._memory.renew_at, self._clock.now())
                self.woken.set()
            delay = delay_before(self._memory.failures)
            self._memory.failures += 1
            aws.sleep(delay)
            return f"{error} The queue is asked again after {delay:.1f} s."
        self._memory.failures = 0
        self._memory.polled = True
        return " ".join(sentences) if sentences else NOTHING_TO_DO

    def pulse(self) -> list[str]:
        """Keep the database alive, renew what expires, hide running commands and report the state.

        The database comes first: it needs no network, and the rest may wait for one that hangs, for
        the bound of each call. Returns sentences to log.
        """
        if self._memory.session is None:
            return []
        condition = self._manager.condition()
        said = [
            self._keeper.look(condition),
            self._renew_when_due(),
            self._extend_when_due(),
            self._report_progress(),
        ]
        if self.retired is None:
            leaving = self._dispatcher.leaving is not None
            self._archiver.look(condition.status, leaving=leaving)
            every_seconds = self._memory.session.heartbeat_seconds
            said += [self._heartbeat.beat(condition, every_seconds), self._tell()]
            said += [self._prove(condition.status)]
        return [sentence for sentence in said if sentence]

    def _renew_when_due(self) -> str | None:
        memory = self._memory
        if self._clock.now() < memory.renew_at and not memory.wants_renewal:
            return None
        return self._renew()

    def _renew(self) -> str | None:
        """Ask for a new session, and use it; the next try is set before, whatever comes of it.

        The loop may ask at the same time as the pulse does: each answer is good for itself.
        """
        memory = self._memory
        memory.wants_renewal = False
        held = max(memory.renewal_held_until - aws.monotonic(), 0.0)
        pause = RENEW_RETRY_SECONDS * (0.5 + aws.random() / 2)
        memory.renew_at = self._clock.now() + (held or pause)
        if held:
            return f"The control plane is asked for a renewal in {held:.0f} s, as it has said."
        try:
            self._adopt(self._enrolment.renew(start=False))
        except (Unreachable, Unauthorized) as error:
            if isinstance(error, Unreachable):
                memory.renewal_held_until = aws.monotonic() + error.retry_after_seconds
            return f"Credentials were not renewed: {error}"
        except Retired as reason:
            self.retired = str(reason)
            return None
        return "Credentials were renewed."

    def _extend_when_due(self) -> str | None:
        now = aws.monotonic()
        if now < self._extend_at:
            return None
        self._extend_at = now + EXTEND_SECONDS
        try:
            self._dispatcher.keep_hidden()
        except Unreachable as error:
            return f"A running command's message may come again: {error}"
        return None

    def _report_progress(self) -> str | None:
        try:
            self._dispatcher.report_progress()
        except Unreachable as error:
            return f"Progress was not reported: {error}"
        return None

    def _tell(self) -> str | None:
        try:
            self._keeper.tell()
        except Unreachable as error:
            return f"Events wait to be told: {error}"
        return None

    def _prove(self, status: ServiceStatus) -> str | None:
        """A release on trial stays that was heard, takes commands, and finds the database as sound
        as the one before has left it."""
        releases = self._manager.releases
        if releases is None or releases.trial is None:
            return None
        sound = status in (ServiceStatus.HEALTHY, releases.trial.was)
        if self._memory.reported is None or not self._memory.polled or not sound:
            return None
        releases.confirm()
        return f"Release {releases.own} has proved itself."

    def _adopt(self, session: Session) -> None:
        """Use a session; renew it when half of its credentials' life is over."""
        self._outbox.adopt(session)
        if session.archive is not msgspec.UNSET:
            self._archiver.want(session.archive)
        now = self._clock.now()
        life = session.credentials.expires_at.timestamp() - now
        self._memory.renew_at = now + max(life / 2, 5.0)
