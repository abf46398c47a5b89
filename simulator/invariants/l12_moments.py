"""L12: a datastore that is restored to a moment, or a position of its log, holds exactly what was
committed up to it."""

from __future__ import annotations

from typing import Any

from chalicelib.bus import contract
from chalicelib.bus.contract.pieces import parsed
from chalicelib.domain.operations import OperationAction, OperationStatus
from chalicelib.engines.positions import GTID, LSN
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.fleet.datastore import Contents, Volume
from simulator.invariants.base import Invariant
from simulator.invariants.rows import changed, json_of
from simulator.template import BACKUPS_BUCKET

LOST = "the log cannot be restored"


class Moments(Invariant):
    """Keeps the history of each database from the time at which its log is to be archived.

    A restore's volume is compared with the state at its moment when its guest says that it is done,
    before its database takes writes. What was accepted must not fail for want of log, unless a
    fault has spoiled that in the store: it may have spoiled what lies behind the moment.
    """

    id = "L12"
    title = "A restore to a moment or a position holds exactly what was committed up to it"

    def watch(self) -> None:
        self.hub.on_write("instances", self._instance)
        self.hub.on_write("commands", self._command)
        self.hub.on_write("operations", self._operation)
        self.hub.on_effect("s3", self._stored)

    def _volume(self, instance_id: str) -> Volume | None:
        found = [guest.volume for guest in self.hub.run.fleet.of_instance(instance_id)]
        return found[0] if len(found) == 1 else None

    def _instance(self, old: Item | None, new: Item | None) -> None:
        if new is None or not new.get("archive_id") or not changed(old, new, "archive_id"):
            return
        volume = self._volume(new["id"])
        if volume is not None and volume.history is None:
            volume.history = [(int(self.hub.run.kernel.now * 1000), volume.contents)]
            self.hub.histories[new["id"]] = volume.history

    def _command(self, old: Item | None, new: Item | None) -> None:
        if new is None or new["method"] != contract.APPLY_BACKUP.name:
            return
        if not changed(old, new, "answered") or "result" not in new or "error" in new:
            return
        operation = self.hub.row("operations", new["operation_id"])
        log: Any = json_of(operation, "arguments").get("log")
        archive = self.hub.row("archives", log["archive"]) if log else None
        volume = self._volume(new["instance_id"])
        if archive is None or volume is None:
            return
        point = self._point(archive["instance_id"], log)
        if point is None:
            return
        self.exercised += 1
        if not volume.contents.same_as(point):
            goal = log.get("target_position") or log["target_ms"]
            text = (
                f"of {archive['instance_id']} at {goal} {point.rows()} rows are to be "
                f"there, and {volume.contents.rows()} are"
            )
            self.broken(text, new["instance_id"])

    def _point(self, instance_id: str, log: Any) -> Contents | None:
        """What is to be there."""
        position = log.get("target_position", "")
        place = GTID.read(position) or LSN.read(position)
        if place is None:
            return self.hub.at(instance_id, log["target_ms"])
        return self.hub.at_position(instance_id, place.number, log["target_ms"])

    def _stored(self, effect: Effect) -> None:
        """Behind the moment up to which all is in the store, as was told, nothing is of before:
        only that tells a restore when what says of itself that it is old was committed."""
        if effect.call != "PutObject":
            return
        *_, archive_id, name = effect.what["Key"].split("/")
        piece, row = parsed(name), self.hub.row("archives", archive_id)
        if piece is None or row is None or self.hub.restoring:
            return
        if row["tenant_id"] in self.hub.hostile or row["instance_id"] in self.hub.skewed:
            return
        self.exercised += 1
        until_ms = int(row.get("until_ms") or 0)
        if piece.number == row["number"] + 1 and piece.from_ms < until_ms:
            text = (
                f"a piece has what was committed from {piece.from_ms} on, and {until_ms} was told"
            )
            self.broken(text, row["instance_id"])

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None or new["action"] != OperationAction.RESTORE:
            return
        log: Any = json_of(new, "arguments").get("log")
        failed = changed(old, new, "status") and new["status"] == OperationStatus.FAILED
        if log is None or not failed or self._is_spoiled(log):
            return
        self.exercised += 1
        if LOST in new.get("reason", ""):
            self.broken(f"it was accepted, and failed: {new['reason']}", new["instance_id"])

    def _is_spoiled(self, log: Any) -> bool:
        """Whether a fault has taken what the moment needs: all pieces up to the first that has it.

        Where a number lies there twice nobody can tell, unless the head leads to one of them.
        """
        if log["archive"] not in self.hub.spoiled:
            return False
        stored = self.hub.run.region.s3.buckets[BACKUPS_BUCKET]
        keys = (key.rpartition("/")[2] for key, _ in stored.behind(f"{log['location']}/", ""))
        names = sorted(each for key in keys if (each := parsed(key)) is not None)
        needed = [each for each in names if each.number > log["behind"]]
        last = next(
            (at for at, each in enumerate(needed) if each.until_ms >= log["target_ms"]), None
        )
        if last is None:
            return True
        numbers = [each.number for each in needed[: last + 1]]
        lost = self.hub.spoiled_pieces.get(log["archive"], set())
        alone = numbers == list(range(log["behind"] + 1, log["behind"] + len(numbers) + 1))
        twice = needed[last + 1 : last + 2] and needed[last + 1].number == numbers[-1]
        return not alone or bool(twice) or not lost.isdisjoint(numbers)
