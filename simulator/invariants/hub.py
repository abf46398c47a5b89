"""What the invariants look at: one subscription to each source of a run, for all of them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from chalicelib.domain.operations import OperationAction
from simulator.aws.dynamodb.account import Lost
from simulator.aws.dynamodb.values import Item
from simulator.aws.functions import Container, Invocation
from simulator.aws.sqs.queues import Message
from simulator.aws.stepfunctions.execution import Execution
from simulator.cloud.model.cloud import Cloud
from simulator.cloud_functions import CloudFunctions
from simulator.effects import Effect
from simulator.fleet.datastore import Contents
from simulator.fleet.fleet import Fleet
from simulator.invariants.lines import LogLines, OnLine
from simulator.invariants.marks import FORGED_HEADER
from simulator.kernel import START, Coroutine, Kernel
from simulator.region import Region, Reply
from simulator.template import PREFIX

MOST_RAISED: Final = 16
_RESIZES: Final = (OperationAction.RESIZE_VOLUME, OperationAction.RESIZE_FLAVOR)
_SENDER: Final = re.compile(r'"instance_id":"([^"]+)"')
Record = Mapping[str, Any]
"""A message as a function is given it."""


class Watched(Protocol):
    """The part of a run that the invariants look at."""

    @property
    def kernel(self) -> Kernel: ...
    @property
    def region(self) -> Region: ...
    @property
    def cloud(self) -> Cloud: ...
    @property
    def cloud_functions(self) -> CloudFunctions: ...
    @property
    def fleet(self) -> Fleet: ...


class Violation(NamedTuple):
    """A broken promise: at which virtual second of the run, of which instance, and how."""

    invariant: str
    time: float
    text: str
    instance_id: str | None = None


class Asked(NamedTuple):
    """A request that has not been answered."""

    method: str
    path: str
    body: bytes


class Exchange(NamedTuple):
    """A request and its reply. `tenant` is whose token it carried, None without a valid one."""

    tenant: str | None
    admin: bool
    method: str
    path: str
    body: bytes
    reply: Reply
    begun: float
    """When it was asked, in the kernel's time."""
    key: str | None = None
    """Its Idempotency-Key."""

    @property
    def replayed(self) -> bool:
        """Whether it only repeats what was answered before."""
        return "Idempotent-Replayed" in self.reply.headers

    @property
    def tried(self) -> bool:
        """Whether it asks for a plan alone."""
        return "dry_run=true" in self.path


OnWrite = Callable[[Item | None, Item | None], None]
OnAsk = Callable[[Asked], None]
OnReply = Callable[[Exchange], None]
OnEffect = Callable[[Effect], None]
OnClosed = Callable[[Execution], None]
OnMessage = Callable[[str, Message], None]
OnBroken = Callable[[Violation], None]


class Hub:
    """One subscription to each source for all invariants, and what several of them ask."""

    def __init__(self, run: Watched) -> None:
        self.run = run
        self.fair_since: float | None = None
        """From when on nothing is broken on purpose any more; None while something is, or if
        nobody says so."""
        self.lossless = False
        """Whether all that is broken on purpose passes before any operation has to fail of it."""
        self.hostile: set[str] = set()
        """Tenants whose guests say anything (F25): what that breaks of them is theirs alone."""
        self.only_hostile = False
        """Whether no fault class but F25 is on in the whole run."""
        self.calm = False
        """Whether no fault class is on in the whole run."""
        self.guests_only = False
        """Whether only guests are struck in the whole run: what they send can be handled."""
        self.restoring = False
        """While a table is being restored, and its rows put right: they jump, and sums do not
        fit."""
        self.restored_at = 0.0
        """When that was over last."""
        self.lost: dict[str, dict[Any, Item]] = {}
        """By table (its name without the prefix): rows that a restore has lost, as they were."""
        self.told_of_restore: list[str] = []
        """What an operator was told by the jobs of a restore."""
        self.points: dict[str, Contents] = {}
        """What each complete backup has to hold."""
        self.histories: dict[str, list[tuple[int, Contents]]] = {}
        """What each instance held since when (milliseconds), from when its log is archived."""
        self.skewed: dict[str, None] = {}
        """Instances of which a server's clock was off (F10): their moments are nobody else's."""
        self.spoiled: dict[str, None] = {}
        """Backups whose objects a fault has changed or removed in the store (F18)."""
        self.spoiled_pieces: dict[str, set[int]] = {}
        """The same of archives: the numbers of the pieces."""
        self.first_sent: dict[str, float] = {}
        """Bodies that a forger sends again, and when they were sent first."""
        self._batch: tuple[Invocation | None, dict[str, list[Record]]] = None, {}
        self.tenants: dict[str, str] = {}
        """The tenant of each instance that ever was."""
        self.resizes: dict[tuple[str, str], dict[str, None]] = {}
        """The operations of each instance that have resized it, by their action: a month has tens
        of thousands of others, and each check asks for the last of these."""
        self.raised: deque[tuple[str, str]] = deque(maxlen=MOST_RAISED)
        """Log lines with an exception, and where it was raised."""
        self._writes: dict[str, list[OnWrite]] = {}
        self._asks: list[OnAsk] = []
        self._begun: dict[Coroutine | None, float] = {}
        """When each coroutine that waits for a reply has asked."""
        self._replies: list[OnReply] = []
        self._closed: list[OnClosed] = []
        self._effects: dict[str, list[OnEffect]] = {}
        self._messages: list[OnMessage] = []
        self._later: dict[tuple[Callable[[str], None], str], None] = {}
        self._chained: OnClosed | None = None
        self._broken: list[OnBroken] = []
        self._lines = LogLines()

    # ------------------------------------------------------------------- subscriptions

    def on_write(self, table: str, function: OnWrite) -> None:
        """Be told of each write of a table (its name without the prefix): old and new item."""
        self._writes.setdefault(f"{PREFIX}-{table}", []).append(function)

    def on_ask(self, function: OnAsk) -> None:
        """Be told of each request of the API before it is served."""
        self._asks.append(function)

    def on_reply(self, function: OnReply) -> None:
        """Be told of each reply of the API."""
        self._replies.append(function)

    def on_effect(self, service: str, function: OnEffect) -> None:
        """Be told of each call that took effect, before any fault hides that."""
        self._effects.setdefault(service, []).append(function)

    def on_closed(self, function: OnClosed) -> None:
        """Be told of each execution that ended."""
        self._closed.append(function)

    def on_message(self, function: OnMessage) -> None:
        """Be told of each message that a queue accepted: its queue's name, and the message."""
        self._messages.append(function)

    def on_restored(self, function: Callable[[], None]) -> None:
        """Be told when tables are back at an earlier moment."""
        self.run.region.dynamodb.restored.append(lambda _: function())

    def on_line(self, function: OnLine) -> None:
        """Be told of each line that our own code logs."""
        self._lines.tell(function)

    def on_broken(self, function: OnBroken) -> None:
        """Be told of each violation when it is found."""
        self._broken.append(function)

    def tell(self, violation: Violation) -> None:
        """A promise is broken."""
        for function in self._broken:
            function(violation)

    def soon(self, function: Callable[[str], None], key: str) -> None:
        """Call a function once with a key when the transaction that is being applied is whole."""
        if not self._later:
            self.run.kernel.call_at(self.run.kernel.now, self._flush)
        self._later[function, key] = None

    def _flush(self) -> None:
        due, self._later = self._later, {}
        for function, key in due:
            function(key)

    # ------------------------------------------------------------------------- sources

    def install(self) -> None:
        """Subscribe to the services of the run; after its set-up, before anything runs."""
        region = self.run.region
        region.dynamodb.watchers.append(self._written)
        region.dynamodb.restored.append(self._lose)
        region.sqs.watchers.append(self._sent)
        region.effects.hooks.insert(0, self)
        region.asked.append(self._asked)
        region.replied.append(self._replied)
        self._chained = region.states.closed
        region.states.closed = self._ended
        self._lines.install()
        self.on_write("instances", self._learn)
        for row in self.rows("instances"):
            self._learn(None, row)
        self.on_write("operations", self._begun_operation)
        for row in self.rows("operations"):
            self._begun_operation(None, row)

    def _begun_operation(self, old: Item | None, new: Item | None) -> None:
        if old is None and new is not None and new["action"] in _RESIZES:
            self.resizes.setdefault((new["instance_id"], new["action"]), {})[new["id"]] = None

    def close(self) -> None:
        """Give the loggers back."""
        self._lines.close()

    def _learn(self, _: Item | None, new: Item | None) -> None:
        if new is not None:
            self.tenants[new["id"]] = new["tenant_id"]

    def _written(self, table: str, old: Item | None, new: Item | None) -> None:
        for function in self._writes.get(table, ()):
            function(old, new)

    def _lose(self, lost: Lost) -> None:
        for name, rows in lost.items():
            self.lost.setdefault(name.removeprefix(f"{PREFIX}-"), {}).update(rows)

    def is_lost(self, table: str, key: Any) -> bool:
        """Whether a restore has lost that row, and it was not found again."""
        return key in self.lost.get(table, ()) and self.row(table, key) is None

    def _sent(self, queue: str, message: Message) -> None:
        for function in self._messages:
            function(queue, message)

    def _asked(self, method: str, path: str, body: bytes) -> None:
        self._begun[self.run.kernel.current] = self.run.kernel.now
        for function in self._asks:
            function(Asked(method, path, body))

    def _replied(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, reply: Reply
    ) -> None:
        tenant, admin = self.caller(headers)
        begun = self._begun.pop(self.run.kernel.current, self.run.kernel.now)
        key = headers.get("Idempotency-Key")
        exchange = Exchange(tenant, admin, method, path, body, reply, begun, key)
        for function in self._replies:
            function(exchange)

    def _ended(self, execution: Execution) -> None:
        if self._chained is not None:
            self._chained(execution)
        for function in self._closed:
            function(execution)

    def before(self, effect: Effect) -> None:
        """A call that has not reached its service says nothing yet."""

    def after(self, effect: Effect) -> None:
        """A call took effect."""
        for function in self._effects.get(effect.service, ()):
            function(effect)

    # --------------------------------------------------------------------------- looks

    @property
    def now(self) -> float:
        """Virtual seconds since the begin of the run."""
        return self.run.kernel.now - START

    @property
    def lag(self) -> float:
        """For how many seconds what has changed may be read as it was, at most and in all of the
        run (F9); 0: not at all."""
        return self.run.region.dynamodb.most_lag_seconds

    def rows(self, table: str) -> Iterator[Item]:
        """The items of a table (its name without the prefix), one after the other."""
        return self.run.region.dynamodb.rows(f"{PREFIX}-{table}")

    def at(self, instance_id: str, moment_ms: int) -> Contents | None:
        """What an instance held at a moment; None of one that nobody has watched then, or whose
        clock was another one."""
        if instance_id in self.skewed:
            return None
        held = [each for since, each in self.histories.get(instance_id, ()) if since <= moment_ms]
        return held[-1] if held else None

    def at_position(self, instance_id: str, position: int, until_ms: int) -> Contents | None:
        """What an instance held at a position of its log, which it had reached by a moment."""
        if instance_id in self.skewed:
            return None
        past = self.histories.get(instance_id, ())
        held = [each for since, each in past if since <= until_ms]
        return next((each for each in reversed(held) if each.log_position <= position), None)

    def row(self, table: str, key: Any) -> Item | None:
        """One item of a table."""
        return self.run.region.dynamodb.row(f"{PREFIX}-{table}", key)

    def caller(self, headers: Mapping[str, str]) -> tuple[str | None, bool]:
        """Whose token a request carries, and whether it is an administrator's."""
        given = {name.lower(): value for name, value in headers.items()}
        context = self.run.region.tokens.get(given.get("x-auth-token", ""))
        if context is None:
            return None, False
        return context.project_id, "admin" in context.roles

    def is_guest(self) -> bool:
        """Whether the code that runs at this moment is an agent's."""
        running = self.run.kernel.current
        return running is not None and isinstance(running.owner, str)

    def in_function(self) -> bool:
        """Whether the code that runs at this moment is a function's."""
        running = self.run.kernel.current
        return running is not None and isinstance(running.owner, Container)

    def api_caller(self) -> tuple[str | None, bool] | None:
        """Whose request the code that runs at this moment serves; None when it serves none."""
        invocation = self.invocation(f"{PREFIX}-api")
        if invocation is None:
            return None
        return self.caller(invocation.event.get("headers") or {})

    def api_key(self) -> str | None:
        """The Idempotency-Key of the request that the code that runs at this moment serves."""
        invocation = self.invocation(f"{PREFIX}-api")
        headers = (invocation.event.get("headers") or {}) if invocation is not None else {}
        return headers.get("Idempotency-Key")

    def is_forger(self) -> bool:
        """Whether the code that runs at this moment serves a forger's request."""
        invocation = self.invocation(f"{PREFIX}-api")
        return invocation is not None and FORGED_HEADER in (invocation.event.get("headers") or {})

    def heartbeats(self) -> dict[str, list[Record]]:
        """What the handler of heartbeats has at hand at this moment, by the instance in the clear
        header; nothing while other code runs."""
        invocation = self.invocation(f"{PREFIX}-heartbeats")
        if invocation is None:
            return {}
        if invocation is not self._batch[0]:
            self._batch = invocation, _by_sender(invocation.event["Records"])
        return self._batch[1]

    def invocation(self, function: str) -> Invocation | None:
        """The invocation that runs at this moment, if it is one of that function."""
        running = self.run.kernel.current
        owner = running.owner if running is not None else None
        if not isinstance(owner, Container) or owner.function.name != function:
            return None
        return owner.invocation


def _by_sender(records: list[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        sender = _SENDER.search(record["body"])
        if sender is not None:
            found.setdefault(sender[1], []).append(record)
    return found
