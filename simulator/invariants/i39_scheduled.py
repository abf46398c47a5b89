"""I39: a schedule of backups runs each slot once or says that it missed it, and deletes what it
does not keep, and only that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from chalicelib.domain.schedules import ASKER, TRIAL, plan_of
from chalicelib.status import BackupStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.i40_verdicts import is_damaged
from simulator.invariants.rows import changed, json_of, parents_of

DAY_SECONDS: Final = 86400.0
MISSED: Final = "backup_schedule.missed"
MOST_SLOTS: Final = 4
"""Of a schedule, after which nothing is there that it does not keep: one look takes ten away, and a
deletion may fail."""
OVERDUE_SECONDS: Final = 1800.0
"""A claim of three minutes, a minute's sweep, and what a backlog takes."""


class Planned(NamedTuple):
    """What of a schedule's row tells when it is due."""

    id: str
    created: float
    cron: str | None
    time_zone: str
    interval_hours: float | None


class Scheduled(Invariant):
    """Follows schedules, their backups and what they ask for; what is kept it works out by itself.

    The name of a backup tells its slot. A full one may take the place of an increment that failed.
    """

    id = "I39"
    title = "A schedule runs each slot once or tells it missed it, and deletes exactly what goes"

    def watch(self) -> None:
        self._of: dict[str, dict[str, Item]] = {}
        """The backups of each instance that are not deleted."""
        self._named: dict[tuple[str, str], str] = {}
        """The last backup of a schedule with a name."""
        self._passed: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._restores: dict[str, set[str]] = {}
        """The live restores of each backup."""
        self._over: dict[str, Counter[str]] = {}
        """Of each schedule what it does not keep, and for how many slots."""
        self.hub.on_restored(self._look_again)
        self.hub.on_write("backup-schedules", self._schedule)
        self.hub.on_write("backups", self._backup)
        self.hub.on_write("events", self._event)
        self.hub.on_write("operations", self._operation)

    def _look_again(self) -> None:
        """A schedule that is back at an earlier slot makes up for what was due since, once more."""
        self._of, self._named, self._over = {}, {}, {}
        for row in self.hub.rows("backups"):
            if row["status"] != BackupStatus.DELETED:
                self._of.setdefault(row["instance_id"], {})[row["id"]] = row

    # ------------------------------------------------------------------------------- slots

    def _schedule(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or old.get("next_at") is None:
            return
        if changed(old, new, "revision"):
            self._over.pop(new["id"], None)
        if not changed(old, new, "next_at") or changed(old, new, "revision"):
            return  # by its tenant
        self.exercised += 1
        latest = plan_of(_planned(new)).next_after(self.hub.run.kernel.now)
        if not float(old["next_at"]) < float(new["next_at"]) <= latest:
            text = f"{new['id']} goes from {old['next_at']} on to {new['next_at']}"
            self.broken(text, new["instance_id"])
        self._stays(new)
        if not changed(old, new, "last_backup_id"):
            self._passed[new["id"]] += 1
            self.hub.soon(self._is_told, new["id"])

    def _event(self, _: Item | None, new: Item | None) -> None:
        found = _ITS_ID.search(new["message"]) if new and new.get("kind") == MISSED else None
        if found is not None:
            self._told[found[1]] += 1

    def _is_told(self, schedule_id: str) -> None:
        row = self.hub.row("backup-schedules", schedule_id)
        silent = row is not None and not row.get("reason")
        if silent or self._told[schedule_id] < self._passed[schedule_id]:
            text = f"a slot of {schedule_id} has passed without a run, and nobody was told"
            self.broken(text, (row or {}).get("instance_id"))

    # ----------------------------------------------------------------------------- backups

    def _backup(self, old: Item | None, new: Item | None) -> None:
        row: Item = new or old or {}
        there = self._of.setdefault(row["instance_id"], {})
        if new is None or new["status"] == BackupStatus.DELETED:
            there.pop(row["id"], None)
            return
        there[new["id"]] = new
        if old is None and new.get("schedule_id"):
            self._begun(new)
            self.hub.soon(self._moved_on, new["id"])

    def _begun(self, new: Item) -> None:
        self.exercised += 1
        slot = str(new["schedule_id"]), str(new["name"])
        before = self.hub.row("backups", self._named.get(slot, ""))
        self._named[slot] = new["id"]
        if before is None:
            return
        instead = before["status"] in _WITHOUT and parents_of(before) and "checksum" not in before
        if not instead or parents_of(new):
            text = f"{slot[1]} was made twice by {slot[0]}: {before['id']} is {before['status']}"
            self.broken(text, new["instance_id"])

    def _moved_on(self, backup_id: str) -> None:
        backup = self.hub.row("backups", backup_id) or {}
        row = self.hub.row("backup-schedules", backup["schedule_id"])
        if row is not None and row.get("last_backup_id") != backup_id:
            text = f"{backup['schedule_id']} does not know of its run {backup_id}"
            self.broken(text, backup["instance_id"])

    # --------------------------------------------------------------------------- retention

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        if new["action"] == OperationAction.RESTORE:
            live = self._restores.setdefault(json_of(new, "arguments")["backup"], set())
            (live.discard if new["status"] in TERMINAL else live.add)(new["id"])
        asked = str(new.get("user_id"))
        tries = new["action"] == OperationAction.VERIFY_BACKUP and asked.startswith(ASKER)
        ended = old is not None and changed(old, new, "status")
        if tries and ended and new["status"] == OperationStatus.FAILED and "cancelled" not in new:
            self.hub.soon(self._tells_of_trial, asked.removeprefix(ASKER))
        deletes = new["action"] == OperationAction.DELETE_BACKUP
        if old is None and deletes and asked.startswith(ASKER):
            self.hub.soon(self._gives_up, new["id"])

    def _tells_of_trial(self, schedule_id: str) -> None:
        """A trial that came to no verdict is told by the schedule that wanted it."""
        self.exercised += 1
        row = self.hub.row("backup-schedules", schedule_id)
        if row is not None and not str(row.get("reason", "")).startswith(TRIAL):
            text = f"a trial of {schedule_id} came to no verdict, and it does not say why"
            self.broken(text, row["instance_id"])

    def _gives_up(self, operation_id: str) -> None:
        self.exercised += 1
        operation = self.hub.row("operations", operation_id) or {}
        schedule_id = operation["user_id"].removeprefix(ASKER)
        backup_id = str(operation.get("subject_id") or operation["instance_id"])
        schedule = self.hub.row("backup-schedules", schedule_id)
        going = self.hub.row("backups", backup_id)
        if going is not None:
            why = self._may_not(schedule, going)
            if why is not None:
                text = f"{schedule_id} deletes {backup_id}: {why}"
                self.broken(text, going["instance_id"])

    def _may_not(self, schedule: Item | None, going: Item) -> str | None:
        """Why a schedule may not delete that backup."""
        if schedule is None or going.get("schedule_id") != schedule["id"]:
            return "it is not its own"
        if self._restores.get(going["id"]):
            return "a restore reads it"
        beside = list(self._of.get(going["instance_id"], {}).values())
        if any(going["id"] in parents_of(each) and _counts(each) for each in beside):
            return "others build on it"
        own = [each for each in beside if each.get("schedule_id") == schedule["id"]]
        if "checksum" not in going:
            newer = any(float(each["created"]) > float(going["created"]) for each in own)
            return None if newer else "it is the newest"
        kept = self._kept(schedule, own, going)
        chain = [each for each in beside if _chain(each) == _chain(going)]
        for each in chain:
            if each["id"] in kept:
                return f"{each['id']} of its chain is kept"
            strange = each.get("schedule_id") != schedule["id"]
            if strange and each["status"] != BackupStatus.FAILED:
                return f"{each['id']} of its chain is somebody else's"
        return None

    def _stays(self, schedule: Item) -> None:
        """A slot has passed, and so a look: what is not kept goes, from the end of its chain."""
        beside = list(self._of.get(schedule["instance_id"], {}).values())
        own = [each for each in beside if each.get("schedule_id") == schedule["id"]]
        kept = self._kept(schedule, own)
        staying = {_chain(each) for each in beside if self._keeps(schedule, each, kept)}
        needed = {each_id for each in beside if _counts(each) for each_id in parents_of(each)}
        over = [
            each["id"]
            for each in own
            if each["status"] == BackupStatus.COMPLETED
            and each["id"] not in needed
            and _chain(each) not in staying
        ]
        before = self._over.get(schedule["id"], Counter())
        self._over[schedule["id"]] = now = Counter({each: before[each] + 1 for each in over})
        for backup_id, slots in now.items():
            if slots == MOST_SLOTS:
                text = (
                    f"{schedule['id']} does not keep {backup_id}, which is there {slots} slots on"
                )
                self.broken(text, schedule["instance_id"])

    def _keeps(self, schedule: Item, each: Item, kept: set[str]) -> bool:
        """Whether a backup keeps its chain."""
        strange = each.get("schedule_id") != schedule["id"]
        return (
            each["id"] in kept
            or bool(each.get("readers"))  # some of them may live
            or each["status"] in (BackupStatus.NEW, BackupStatus.BUILDING)
            or (strange and each["status"] != BackupStatus.FAILED)
        )

    def _kept(self, schedule: Item, own: list[Item], going: Item | None = None) -> set[str]:
        """Its newest ones, as many and as old as it says, and the newest in any case; the same of
        those that are not known to be damaged."""
        asked = going["id"] if going is not None else None
        complete = [
            each for each in own if each["status"] == BackupStatus.COMPLETED or each["id"] == asked
        ]
        complete.sort(key=lambda each: float(each["created"]), reverse=True)
        sound = [each for each in complete if not is_damaged(self.hub, each)]
        return self._newest(schedule, complete) | self._newest(schedule, sound)

    def _newest(self, schedule: Item, complete: list[Item]) -> set[str]:
        count, days = schedule.get("keep_count"), schedule.get("keep_days")
        if count is None and days is None:
            return {each["id"] for each in complete}
        most = len(complete) if count is None else int(count)
        oldest = 0.0 if days is None else self.hub.run.kernel.now - float(days) * DAY_SECONDS
        kept = {each["id"] for each in complete[:most] if float(each["created"]) >= oldest}
        return kept | {each["id"] for each in complete[:1]}

    # --------------------------------------------------------------------------- now and then

    def check(self) -> None:
        """Whose time has come somebody has looked at, where nothing is broken on purpose."""
        now = self.hub.run.kernel.now
        since = self.hub.fair_since if self.hub.fair_since is not None else now
        for row in self.hub.rows("backup-schedules"):
            self.exercised += 1
            due = max(float(row["due_at"]), since)
            if now - due > OVERDUE_SECONDS:
                text = f"nobody has looked at {row['id']}, which was due {now - due:.0f} s ago"
                self.broken(text, row["instance_id"])


_ITS_ID: Final = re.compile(r"\(([0-9a-f-]{36})\)\. ")
_WITHOUT: Final = (BackupStatus.FAILED, BackupStatus.DELETING, BackupStatus.DELETED)
"""What an increment has become that a full one takes the place of."""


def _planned(row: Mapping[str, Any]) -> Planned:
    hours = row.get("interval_hours")
    zone = str(row["time_zone"])
    every = float(hours) if hours is not None else None
    return Planned(row["id"], float(row["created"]), row.get("cron"), zone, every)


def _chain(row: Item) -> str:
    parents = parents_of(row)
    return parents[0] if parents else str(row["id"])


def _counts(row: Item) -> bool:
    """Whether it needs what it builds on."""
    return row["status"] in (BackupStatus.NEW, BackupStatus.BUILDING) or "checksum" in row
