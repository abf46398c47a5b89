"""A world in virtual time, queues and a datastore in memory: what the simulator does, in small."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.bus import envelope as bus
from chalicelib.bus.contract import arguments
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.bus.envelope import Direction, Envelope
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.enrolment import Credentials, Keys, Session
from guest_agent.enrolment import Queues as QueueUrls
from guest_agent.errors import CommandFailed, Unreachable
from guest_agent.journal import Entry
from guest_agent.manager import Condition, Manager, Progress, WithDatabases, WithRoot, WithUsers
from guest_agent.queues import Message

INSTANCE = "instance"
TO_GUEST = bytes(range(32))
TO_CONTROL = bytes(range(32, 64))
START = 1_800_000_000.0


class Crash(BaseException):
    """The process dies here."""


class DoneTask:
    """A spawned function that has run."""

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        return None


class World(aws.Provider):
    """Virtual time; spawned functions wait in `spawned` until a test runs them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.spawned: list[Callable[[], None]] = []
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def random(self) -> float:
        return 0.5

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def spawn(self, function: Callable[[], None], name: str) -> aws.Task:
        self.spawned.append(function)
        return DoneTask()

    def run_spawned(self) -> None:
        while self.spawned:
            self.spawned.pop(0)()


class MemoryQueues:
    """The guest's queues; `die_at` names the call at which the process dies, after its effect."""

    def __init__(self) -> None:
        self.waiting: dict[str, str] = {}
        self.reported: list[str] = []
        self.beats: list[str] = []
        self.hidden: list[tuple[str, int]] = []
        self.die_at: str | None = None
        self.broken = False
        self._bodies: list[str] = []

    def adopt(self, session: Session) -> None:
        return None

    def put(self, body: str) -> Message:
        """Deliver a message; the same body again is a redelivery with another receipt."""
        self._bodies.append(body)
        self.waiting[body] = f"receipt-{len(self._bodies)}"
        return Message(body, self.waiting[body])

    def receive(self, seconds: int) -> list[Message]:
        self._answer("receive")
        return [Message(body, receipt) for body, receipt in self.waiting.items()]

    def delete(self, receipt: str) -> None:
        self.waiting.pop(self._bodies[int(receipt.removeprefix("receipt-")) - 1], None)
        self._answer("delete")

    def hide(self, receipt: str, seconds: int) -> None:
        self.hidden.append((receipt, seconds))

    def report(self, body: str) -> None:
        if not self.broken:
            self.reported.append(body)
        self._answer("report")

    def beat(self, body: str) -> None:
        if not self.broken:
            self.beats.append(body)
        self._answer("beat")

    def reports(self, kind: str = "result") -> list[Envelope]:
        return [report for report in map(opened, self.reported) if report.kind == kind]

    def _answer(self, call: str) -> None:
        if self.broken:
            raise Unreachable("The queue is out of reach.")
        if self.die_at == call:
            raise Crash(call)


class MemoryStore:
    """A journal that survives the process; `die_at` is the number of the write to die after."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.lost_before = 0.0
        self.writes = 0
        self.die_at: int | None = None

    def get(self, command_id: str) -> Entry | None:
        return self.entries.get(command_id)

    def put(self, entry: Entry) -> None:
        self.entries[entry.id] = entry
        self.writes += 1
        if self.writes == self.die_at:
            raise Crash(f"write {self.writes}")

    def prune(self, expired_before: float) -> None:
        self.entries = {k: e for k, e in self.entries.items() if e.expires_at >= expired_before}


def _effect(self: FakeManager, request: Any) -> Any:
    return self.effect(request)


class FakeManager(Manager, WithDatabases, WithUsers, WithRoot):
    """Counts effects; `effect` may be replaced by a test."""

    def __init__(self) -> None:
        self.on_stage: Callable[[], None] = lambda: None
        self.effects: list[Any] = []
        self.now_is = Status.HEALTHY
        self.reason = ""
        self.counted = EngineMetrics()
        self.damaged = False
        self.starts = 0
        self.given_up = False
        self.fails: Exception | None = None
        self.dies = False
        self.answer: Any = {}

    def effect(self, request: Any) -> Any:
        self.effects.append(request)
        if self.dies:
            raise Crash("effect")
        if self.fails is not None:
            raise self.fails
        return self.answer

    def prepare(self, request: arguments.Prepare, progress: Progress) -> Any:
        progress("preparing the volume")
        self.on_stage()
        return self.effect(request)

    def start_up(self) -> str:
        return "Started."

    def start_again(self) -> str:
        self.starts += 1
        return "Started again."

    def give_up(self) -> None:
        self.given_up = True
        self.now_is = Status.FAILED

    def condition(self) -> Condition:
        crashed = self.now_is is Status.CRASHED
        return Condition(self.now_is, self.reason, start_wanted=crashed, damaged=self.damaged)

    def metrics(self) -> EngineMetrics:
        return self.counted

    def filesystem(self) -> dict[str, float]:
        return {"used": 0.5, "total": 1.0}

    def rebuild(self, request: arguments.Rebuild, progress: Progress) -> Any:
        progress("attaching the volume")
        self.on_stage()
        return self.effect(request)

    restart = stop_db = resize_fs = start_db_with_conf_changes = _effect
    list_databases = create_database = delete_database = _effect
    list_users = get_user = create_user = delete_user = change_passwords = _effect
    update_attributes = list_access = grant_access = revoke_access = _effect
    is_root_enabled = enable_root = disable_root = _effect


def session(
    epoch: int = 1,
    *,
    heartbeat_seconds: float = 30.0,
    life: float = 3600.0,
    key_version: int = 1,
) -> Session:
    """What an enrolment answers."""
    return Session(
        instance_id=INSTANCE,
        generation=1,
        epoch=epoch,
        key_version=key_version,
        keys=Keys(base64.b64encode(TO_GUEST).decode(), base64.b64encode(TO_CONTROL).decode()),
        credentials=Credentials(
            "id", "secret", "token", datetime.fromtimestamp(aws.clock(), UTC) + timedelta(0, life)
        ),
        queues=QueueUrls("guest", "conductor", "heartbeats"),
        heartbeat_seconds=heartbeat_seconds,
    )


def command(method: str, args: dict[str, Any] | None = None, **changes: Any) -> Envelope:
    """A command that is good for a minute."""
    fields: dict[str, Any] = {
        "id": "command-1",
        "instance_id": INSTANCE,
        "generation": 1,
        "kind": "command",
        "method": method,
        "args": args or {},
        "issued_at": aws.clock(),
        "expires_at": aws.clock() + 60,
    }
    return Envelope(**(fields | changes))


def sealed(message: Envelope, key: bytes = TO_GUEST) -> str:
    return bus.seal(message, Direction.TO_GUEST, key)


def opened(body: str) -> Envelope:
    return bus.open_sealed(body, Direction.TO_CONTROL, lambda _: TO_CONTROL)


class Failure(CommandFailed):
    """A refusal of the datastore."""

    code = "UserNotFound"
