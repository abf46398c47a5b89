"""From a received message to its answer: the checks, the journal, the run, in that order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib import aws, tracing
from chalicelib.bus.contract import ENABLE_ROOT, METHODS, PREPARE, Method
from chalicelib.bus.contract.values import MOST_MESSAGE
from chalicelib.bus.envelope import Envelope, EnvelopeError, Fault
from guest_agent import answers
from guest_agent.clock import ServiceClock
from guest_agent.errors import (
    CommandFailed,
    Expired,
    GuestAgentError,
    GuestError,
    Interrupted,
    Leaving,
    Unreachable,
    WrongGeneration,
    where,
)
from guest_agent.journal import Journal, Outcome
from guest_agent.manager import Manager
from guest_agent.memory import Memory
from guest_agent.outbox import NewerKey, Outbox
from guest_agent.queues import VISIBILITY_SECONDS, Message, Queues

POSTPONE_SECONDS: Final = 3
HAND_BACK_SECONDS: Final = 2
"""Until a process is gone that leaves, with the poll in which it would get the message again."""
ASK_AGAIN_SECONDS: Final = 30.0  # for a key that this guest was not given yet
LONGEST_WAIT_SECONDS: Final = 1800.0  # for that key; as long as a create may take
TELL_AGAIN_SECONDS: Final = 600.0
"""So often the stage of a running command is told that has not changed: somebody waits for it."""
RECEIPTS_KEPT: Final = 10  # of one message that came again while its command runs
_ROOT_METHODS: Final = frozenset({ENABLE_ROOT.name, PREPARE.name})
_log = logging.getLogger(__name__)


@dataclass
class Run:
    """A command that is being executed, the receipts of its message, and how far it is."""

    command: Envelope
    method: Method[Any, Any] | None
    receipts: list[str] = field(default_factory=list)
    stage: str | None = None
    reported: str | None = None
    reported_at: float = 0.0
    work: tracing.Span | None = None

    @property
    def name(self) -> str:
        return f"{self.command.method} ({self.command.id})"


class Dispatcher:
    """Executes commands once each. Every message ends in one sentence.

    A message is deleted only after its answer was sent; whatever fails before that is repeated when
    the message becomes visible again.
    """

    def __init__(
        self,
        instance_id: str,
        generation: int,
        *,
        manager: Manager,
        journal: Journal,
        outbox: Outbox,
        queues: Queues,
        clock: ServiceClock,
        on_finished: Callable[[], None],
        renew: Callable[[], object],
        memory: Memory | None = None,
    ) -> None:
        """`renew` asks for a new session on this thread, and adopts it if there is one."""
        self._instance_id = instance_id
        self._generation = generation
        self._manager = manager
        self._journal = journal
        self._outbox = outbox
        self._queues = queues
        self._clock = clock
        self._on_finished = on_finished
        self._renew = renew
        self._running: dict[str, Run] = {}
        self._lock = aws.lock()
        self._left: list[str] = []
        self.leaving: str | None = None
        """Why this process is to end; nothing is begun any more."""
        self._memory = memory or Memory()

    @property
    def rejected(self) -> int:
        """How many messages could not be trusted."""
        return self._memory.rejected

    @property
    def busy(self) -> bool:
        """Whether a command is being executed."""
        return bool(self._running)

    def accept(self, message: Message) -> str:
        """Handle one message."""
        try:
            command = self._open(message.body)
        except NewerKey as error:
            return self._wait_for_key(message, error)
        except EnvelopeError as error:
            return self._reject(message, str(error))
        if command.kind != "command" or command.instance_id != self._instance_id:
            return self._reject(message, f"a {command.kind} for {command.instance_id}")
        run = Run(command, METHODS.get(command.method), [message.receipt])
        if self._joins_running(run):
            return f"{run.name} came again while it runs."
        if (entry := self._journal.recorded(command)) and entry.outcome:
            return self._answer(run, entry.outcome, "was answered before; the answer is sent again")
        if refusal := self._refusal(run):
            return self._finish(run, _failed(refusal))
        if run.method and run.method.alone and self._busy_alone():
            self._queues.hide(message.receipt, POSTPONE_SECONDS)
            return f"{run.name} waits {POSTPONE_SECONDS} s for another one to end."
        if not self._begins(run):
            return f"{run.name} is left to the next process."
        if run.method and run.method.long:
            aws.spawn(lambda: self._beside(run), name=command.method)
            return f"{run.name} started beside the loop."
        return self._execute(run)

    def keep_hidden(self) -> None:
        """Keep the messages of running commands invisible for another while."""
        for run in list(self._running.values()):
            self._queues.hide(run.receipts[-1], VISIBILITY_SECONDS)

    def hand_back(self) -> None:
        """Let whoever comes next see soon what this process leaves."""
        with suppress(Unreachable):  # else when it is visible again
            for receipt in self._left:
                self._queues.hide(receipt, HAND_BACK_SECONDS)

    def _open(self, body: str) -> Envelope:
        """The command in a message. After a rotation a renewal brings its key, and it goes on.

        Who sends messages with newer keys without end makes this guest ask now and then, no more.
        """
        try:
            return self._outbox.open(body)
        except NewerKey:
            now, memory = self._clock.now(), self._memory
            if now - memory.asked_at < ASK_AGAIN_SECONDS:
                raise
            if now - memory.asked_at >= 2 * ASK_AGAIN_SECONDS:
                memory.asked_since = now
            memory.asked_at = now
        self._renew()
        return self._outbox.open(body)

    def _wait_for_key(self, message: Message, error: NewerKey) -> str:
        """A renewal did not bring the key: see the message again, for so long; else reject it.

        Not every function has read the key when the parameters are away for some.
        """
        if self._clock.now() - self._memory.asked_since >= LONGEST_WAIT_SECONDS:
            return self._reject(message, str(error))
        self._queues.hide(message.receipt, VISIBILITY_SECONDS)
        return f"A message is sealed with the newer key {error.version}, and waits for it."

    def report_progress(self) -> None:
        """Report the stages that running commands have reached since they were reported last, and
        now and then that they are still at them."""
        now = aws.monotonic()
        for run in list(self._running.values()):
            stage, again = run.stage, now - run.reported_at >= TELL_AGAIN_SECONDS
            if stage and (stage != run.reported or again):
                self._outbox.progress(run.command, stage, run.work, TELL_AGAIN_SECONDS)
                run.reported, run.reported_at = stage, now

    def _reject(self, message: Message, reason: str) -> str:
        """It can never become valid: count it, say so, and let it go."""
        self._memory.rejected += 1
        self._queues.delete(message.receipt)
        return f"Rejected a message: {reason}."

    def _joins_running(self, run: Run) -> bool:
        known = self._running.get(run.command.id)
        if known is None:
            return False
        known.receipts.extend(run.receipts)
        del known.receipts[:-RECEIPTS_KEPT]
        return True

    def _begins(self, run: Run) -> bool:
        """Whether it is executed here; a process that has nothing under way may leave then."""
        with self._lock:
            if self.leaving is not None:
                self._left += run.receipts
                return False
            self._running[run.command.id] = run
            return True

    def _busy_alone(self) -> bool:
        return any(run.method and run.method.alone for run in list(self._running.values()))

    def _refusal(self, run: Run) -> CommandFailed | None:
        """Why the command must not be executed, if it must not."""
        command, name = run.command, run.command.method
        if command.generation != self._generation:
            return WrongGeneration(
                f"{name} was sent to generation {command.generation}, this is {self._generation}"
            )
        repeatable = run.method is None or run.method.repeatable
        if not repeatable and self._journal.may_have_begun(command):
            return Interrupted(f"{name} was interrupted; look at what it has done, then try again")
        late = self._clock.now() - command.expires_at
        if late > 0:
            return Expired(f"{name} reached the guest {late:.1f} s after its deadline")
        return None

    def _beside(self, run: Run) -> None:
        """The top of a worker: its sentence, or its failure, goes to the log."""
        try:
            _log.info(self._execute(run))
        except GuestAgentError as error:
            _log.error("%s: %s", run.name, error)

    def _execute(self, run: Run) -> str:
        try:
            self._journal.begin(run.command, self._clock.now())
            # Its line is written with the answer, where the whole trace is.
            with tracing.working("guest", tracing.parse(run.command.traceparent)) as run.work:
                run.work.tell(instance_id=self._instance_id)
                outcome = self._run(run)
            return self._finish(run, outcome)
        except Leaving as reason:
            with self._lock:
                self.leaving = str(reason)
                self._left += run.receipts
            return f"{run.name}: {reason}"
        finally:
            self._running.pop(run.command.id, None)
            self._on_finished()

    def _run(self, run: Run) -> Outcome:
        command = run.command

        def progress(stage: str) -> None:
            _log.info("%s (%s): %s.", command.method, command.id, stage)
            run.stage = stage

        try:
            result = self._manager.call(command.method, command.args, progress)
            answers.check_size(result)
        except Leaving:
            raise
        except CommandFailed as error:
            return _failed(error)
        except OSError as error:  # a full disk, a missing file: no secret stands in these
            _log.error("%s failed:\n%s", command.method, where(error))
            said = f"the guest's operating system refused: {error.strerror}"
            return Outcome(fault=Fault(GuestError.code, said))
        except Exception as error:  # noqa: BLE001 - a bug in a manager is an answer, not a crash
            # Only the place: the text of a foreign exception may quote a password.
            _log.error("%s failed:\n%s", command.method, where(error))
            fault = Fault(GuestError.code, f"internal error in the guest ({type(error).__name__})")
            return Outcome(fault=fault)
        return Outcome(result=result)

    def _finish(self, run: Run, outcome: Outcome) -> str:
        self._journal.finish(run.command, self._clock.now(), outcome)
        fault = outcome.fault
        ended = f"failed with {fault.code}: {fault.message}" if fault else "is done"
        return self._answer(run, outcome, ended)

    def _answer(self, run: Run, outcome: Outcome, ended: str) -> str:
        try:
            if run.command.method in _ROOT_METHODS and _enables_root(run.command, outcome):
                self._outbox.root_enabled(run.command)
            self._outbox.result(run.command, outcome.result, outcome.fault, run.work)
            for receipt in list(run.receipts):
                self._queues.delete(receipt)
        except Unreachable as error:
            return f"{run.name} {ended}; it will be answered again: {error}"
        return f"{run.name} {ended}."


def _failed(error: CommandFailed) -> Outcome:
    return Outcome(fault=Fault(error.code, str(error)[:MOST_MESSAGE]))


def _enables_root(command: Envelope, outcome: Outcome) -> bool:
    return outcome.fault is None and bool(command.args.get("root_password"))
