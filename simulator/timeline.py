"""What happened to one instance, in order: rows, commands, executions, cloud, crashes, faults.

    +  12.431  instances   status BUILD → ACTIVE, operation_id 7f… → -
    +  12.440  lambda      create_instance.complete died at SendMessage

Kept for each instance up to a bound, oldest forgotten first. Heartbeats that say nothing new are
not kept, so that an idle instance keeps nothing; a lease that is taken and given back again and
again while a step waits is one line with a count.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulator.aws.dynamodb.values import Item
from simulator.aws.stepfunctions.execution import Execution
from simulator.effects import Effect
from simulator.kernel import START

if TYPE_CHECKING:
    from simulator.invariants.hub import Exchange, Hub, Violation

MOST_ENTRIES: Final = 400
MOST_LINES: Final = 120
LINES_AFTER: Final = 20
"""Of the lines of a timeline around a moment, at most so many are later than it."""
RECENT_SECONDS: Final = 1.0
"""A violation that names no instance is about one to which something happened so lately."""
LONGEST_VALUE: Final = 60
TABLES: Final = (
    "instances",
    "rollouts",
    "configurations",
    "backups",
    "backup-schedules",
    "archives",
    "operations",
    "commands",
    "guests",
    "service-statuses",
    "events",
)
_QUIET: Final = frozenset(
    {
        *("updated", "check_at", "expires", "seq", "created", "issued_at_ms"),
        *("lease_until", "volume_used", "volume_total", "progress_seq", "index_tenant"),
    }
)
"""Fields whose change is no news."""
_HIDDEN: Final = frozenset({"sealed_args", "token", "public_key", "result"})
"""Fields whose content is long, or secret."""
_TIMES: Final = frozenset({"started", "ended"})
_LEASE: Final = re.compile("lease_id (- → [^ ,]+|[^ ,]+ → -)")
"""Taken or given back. One that goes from worker to worker is news."""
_INSTANCE_LENGTH: Final = 36
_SHORT_ID: Final = 4
_ID: Final = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


class _Entry(NamedTuple):
    """One event, or many that only take and give back the same lease, up to `last`."""

    time: float
    source: str
    text: str
    times: int = 1
    last: float = 0.0

    def line(self) -> str:
        text = self.text
        if self.times > 1:
            text = f"its lease was taken or given back {self.times} times, until +{self.last:.3f}"
        return f"+{self.time:10.3f}  {self.source:<16} {text}"


class Timeline:
    """Collects entries by instance; `note` is for faults and whoever else has something to say."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._entries: dict[str, deque[_Entry]] = {}
        self._operations: dict[str, str] = {}

    def watch(self) -> None:
        """Begin to collect."""
        for table in TABLES:
            self._hub.on_write(table, self._written(table))
        self._hub.on_effect("openstack", self._cloud)
        self._hub.on_closed(self._closed)
        self._hub.on_reply(self._replied)
        self._hub.on_broken(self._broken)

    def note(
        self, instance_id: str | None, source: str, text: str, when: float | None = None
    ) -> None:
        """Add an entry for an instance; without one it is kept for all."""
        time = self._hub.now if when is None else when
        self._of(instance_id).append(_Entry(time, source, text))

    def _of(self, instance_id: str | None) -> deque[_Entry]:
        entries = self._entries.get(instance_id or "")
        if entries is None:
            entries = self._entries[instance_id or ""] = deque(maxlen=MOST_ENTRIES)
        return entries

    def _note_lease(self, instance_id: str | None, source: str, text: str) -> None:
        """A lease was taken or given back, and nothing else: one line for all in a row."""
        entries, now = self._of(instance_id), self._hub.now
        last = entries[-1] if entries else None
        if last is not None and last.source == source and _LEASE.fullmatch(last.text):
            entries[-1] = last._replace(times=last.times + 1, last=now)
        else:
            entries.append(_Entry(now, source, text))

    def note_operation(
        self, operation_id: str, source: str, text: str, when: float | None = None
    ) -> None:
        """Add an entry for the instance of an operation, a command or an execution."""
        self.note(self._operations.get(operation_id.partition(".")[0]), source, text, when)

    def of(self, instance_id: str, around: float | None = None) -> list[str]:
        """The life of an instance, one line for each event; of many the last ones.

        `around` is a virtual second of the run: then those that lead to it, and a few after it.
        """
        own = list(self._entries.get(instance_id, ()))
        if own:
            begin = min(entry.time for entry in own)
            own += [entry for entry in self._entries.get("", ()) if entry.time >= begin]
            own.sort(key=lambda entry: entry.time)
        end = len(own)
        if around is not None:
            end = min(end, sum(entry.time <= around for entry in own) + LINES_AFTER)
        begin_at = max(0, end - MOST_LINES)
        lines = [entry.line() for entry in own[begin_at:end]]
        if begin_at:
            lines.insert(0, f"({begin_at} earlier events)")
        if end < len(own):
            lines.append(f"({len(own) - end} later events)")
        return lines

    def latest(self, when: float) -> str | None:
        """The instance to which something happened last before a moment, if it was just then."""
        found, best = None, when - RECENT_SECONDS
        for instance_id, entries in self._entries.items():
            time = next((each.time for each in reversed(entries) if each.time <= when), None)
            if instance_id and time is not None and time > best:
                found, best = instance_id, time
        return found

    # ------------------------------------------------------------------------- sources

    def _written(self, table: str) -> Callable[[Item | None, Item | None], None]:
        def written(old: Item | None, new: Item | None) -> None:
            row = new or old or {}
            if not row:  # what was deleted was not there
                return
            instance_id = row.get("instance_id") or row.get("scope") or row.get("id")
            if table == "operations" and old is None:
                self._operations[row["id"]] = row["instance_id"]
            if table == "events":
                text = f"{row['kind']} {row['message']}".strip() if old is None else ""
            else:
                text = _difference(old, new)
            if _LEASE.fullmatch(text):
                self._note_lease(instance_id, _source(table, row), text)
            elif text:
                self.note(instance_id, _source(table, row), text)

        return written

    def _broken(self, violation: Violation) -> None:
        concerned = violation.instance_id or self.latest(violation.time)
        if concerned is not None:
            self.note(concerned, violation.invariant, violation.text)

    def _cloud(self, effect: Effect) -> None:
        verb = effect.call.rpartition(".")[2]
        if verb.startswith(("create", "delete")):
            name = next((str(v) for v in effect.what.values() if "coffer-" in str(v)), None)
            if name is not None:
                at = name.index("coffer-") + len("coffer-")
                self.note(name[at : at + _INSTANCE_LENGTH], "cloud", effect.call)

    def _closed(self, execution: Execution) -> None:
        for when, kind, name, detail in execution.history:
            if kind.endswith(("Failed", "TimedOut", "Aborted")) and when < execution.stopped:
                text = f"{kind} {name} {_shown(detail)}"
                self.note_operation(execution.name, "execution", text, when - START)
        text = f"{_shown(execution.name)} {execution.status} {execution.error or ''}".rstrip()
        self.note_operation(execution.name, "execution", text)

    def _replied(self, exchange: Exchange) -> None:
        if exchange.method == "GET":
            return
        for part in exchange.path.partition("?")[0].split("/"):
            if part in self._hub.tenants:
                text = f"{exchange.method} {exchange.path.partition(part)[2] or '/'}"
                self.note(part, "api", f"{text} → {exchange.reply.status}")


def _source(table: str, row: Item) -> str:
    if table in ("operations", "commands"):
        return f"{table[:-1]} {str(row['id'])[:_SHORT_ID]}"
    return table


def _difference(old: Item | None, new: Item | None) -> str:
    if new is None:
        return "removed"
    if old is None:
        return f"made: {_shown(new.get('status') or new.get('method') or '')}"
    names = [name for name, value in new.items() if name not in _QUIET and old.get(name) != value]
    names += [name for name in old if name not in new and name not in _QUIET]
    return ", ".join(_change(name, old.get(name), new.get(name)) for name in names)


def _change(name: str, before: Any, after: Any) -> str:
    if name in _HIDDEN:
        return f"{name} {'gone' if after is None else 'set'}"
    if isinstance(before, dict) and isinstance(after, dict):
        added = {key: value for key, value in after.items() if before.get(key) != value}
        return f"{name} += {_shown(', '.join(added) if name in _TIMES else added)}"
    return f"{name} {_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    text = _ID.sub(r"\1…", str(value))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
