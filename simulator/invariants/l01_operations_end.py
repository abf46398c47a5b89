"""L1: every accepted operation reached a terminal state, in time, and its reason is told."""

from __future__ import annotations

import json
import re
from typing import Final

from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from simulator import versions
from simulator.aws.dynamodb.values import Item
from simulator.effects import Effect
from simulator.fleet.releases import Kind, kind_of
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.invariants.rows import changed
from simulator.kernel import START

TURN_SECONDS: Final = 300.0
"""An operation that is cancelled or past its deadline goes back within so long: a sweep or two wake
it, or stop it, and its next step turns."""
LACKING: Final = "this guest agent has no method"
UNHEARD: Final = "did not report within"
STOPPED: Final = "The rollout was stopped"
_INSTANCE: Final = re.compile(r"/v1\.0/[^/]+/instances/([^/?]+)")
_AFTER_BACKUP: Final = "final_backup=true"
"""A delete that follows on a backup only when that is complete (I41)."""
NOT_THERE: Final = "is not there any more"


class OperationsEnd(Invariant):
    """Remembers what was accepted, by rows and by replies, and asks for its end after heal.

    While nothing is broken on purpose it asks for more: nothing fails, and what can turn back does
    so in time. Nothing fails either where all that is broken passes soon (`Fault.passes`). At any
    time an execution is stopped only when its operation is late, and a delete waits for nothing but
    an operation that was told to go back.
    """

    id = "L1"
    title = "Every accepted operation reached a terminal state, and its reason is told"

    def watch(self) -> None:
        self._accepted: dict[str, str] = {}
        self._created: dict[str, None] = {}
        self._deleted: dict[str, None] = {}
        self._with_delete: dict[str, None] = {}
        self._due: dict[str, float] = {}
        """When operations that go forward have to turn back."""
        self.hub.on_write("operations", self._written)
        self.hub.on_write("instances", self._queued)
        self.hub.on_reply(self._replied)
        self.hub.on_effect("stepfunctions", self._called)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if new is None:
            return
        if old is None:
            self._accepted[new["id"]] = new["instance_id"]
            if new["action"] == OperationAction.DELETE:
                self._with_delete[new["instance_id"]] = None
        elif old["status"] != new["status"] == OperationStatus.FAILED:
            self._failed(new)
        if changed(old, new, "status") and new["action"] == OperationAction.DELETE:
            self._delete_ended(new)
        if FLOWS[new["action"]].revocable:
            self._turned(new)

    def _queued(self, old: Item | None, new: Item | None) -> None:
        if new is not None and changed(old, new, "next_operation_id"):
            self.hub.soon(self._waits, new["id"])

    def _waits(self, instance_id: str) -> None:
        """Nobody waits for a change of what is going away."""
        row = self.hub.row("instances", instance_id) or {}
        live = self.hub.row("operations", row.get("operation_id", ""))
        if "next_operation_id" not in row or live is None:
            return
        self.exercised += 1
        back = live.get("cancelled") or live.get("compensating")
        if FLOWS[live["action"]].revocable and not back:
            text = f"a delete waits for {live['action']} {live['id']}, which nobody called back"
            self.broken(text, instance_id)

    def _delete_ended(self, new: Item) -> None:
        """One that has removed everything has succeeded, also if it was forced on its way."""
        undone = FLOWS[OperationAction.DELETE].left(new.get("ended") or {})
        if new["status"] in (OperationStatus.FAILED, OperationStatus.CANCELLED) and not undone:
            text = f"delete {new['id']} has removed everything and is {new['status']}"
            self.broken(text, new["instance_id"])

    def _failed(self, new: Item) -> None:
        """In fair weather from the begin there is no reason to fail, nor in a short outage; but for
        what a hostile guest answers, of which also its tenant's configurations tell."""
        if new["tenant_id"] in self.hub.hostile:
            return
        fair = self.hub.fair_since == START
        if (fair or self.hub.lossless) and not self._is_in_vain(new):
            weather = "fair weather" if fair else "an outage that it could outlast"
            text = f"{new['action']} {new['id']} failed in {weather}: {new.get('reason')}"
            self.broken(text, new["instance_id"])

    def _is_in_vain(self, new: Item) -> bool:
        """Whether it was asked for what cannot be had, which only its steps can see.

        A guest of an older release that was not heard yet is asked, and answers so for itself (I30
        looks at all others).
        """
        reason = str(new.get("reason"))
        if LACKING in reason:
            return True
        asked = json.loads(new.get("arguments") or "{}")
        match new["action"]:
            case OperationAction.MIGRATE:
                return asked.get("host") is not None
            case OperationAction.UPGRADE:
                return not versions.works(asked["version"]["name"])
            case OperationAction.UPGRADE_AGENT:
                # By design a release is given up that nobody can hear for minutes.
                unheard = self.hub.fair_since != START and UNHEARD in reason
                return unheard or kind_of(asked["version"]) is not Kind.SOUND
            case OperationAction.REBUILD | OperationAction.REBUILD_STOPPED:
                row = self.hub.row("instances", new["instance_id"]) or {}
                own = versions.IMAGES.get(row.get("datastore_version", ""))
                return asked.get("image_id") not in (None, own)
            case OperationAction.RESTORE | OperationAction.RESTORE_SNAPSHOT:
                return NOT_THERE in reason  # the backup was deleted meanwhile
            case OperationAction.ROLL_OUT:
                return STOPPED in reason  # by failures of its children, who answer for themselves
        return False

    def _turned(self, new: Item) -> None:
        """Measure how long an operation took to turn back once it had to."""
        if not (new.get("compensating") or new["status"] in TERMINAL):
            cancelled = self.hub.run.kernel.now if "cancelled" in new else float(new["deadline"])
            self._due[new["id"]] = min(cancelled, self._due.get(new["id"], cancelled))
            return
        due, fair_since = self._due.pop(new["id"], None), self.hub.fair_since
        if due is None or fair_since is None:
            return
        late = self.hub.run.kernel.now - max(due, fair_since)
        if late > TURN_SECONDS:
            text = f"{new['action']} {new['id']} turned back {late:.0f} s after it had to"
            self.broken(text, new["instance_id"])

    def _called(self, effect: Effect) -> None:
        """An execution that is in time, or waits for a guest that may still come, goes on."""
        if effect.call != "StopExecution":
            return
        self.exercised += 1
        name = str(effect.what["executionArn"]).rpartition(":")[2]
        row = self.hub.row("operations", name.partition(".")[0])
        if row is not None and float(row["deadline"]) > self.hub.run.kernel.now:
            text = f"the execution of {row['action']} {row['id']} was stopped before its deadline"
            self.broken(text, row["instance_id"])

    def _replied(self, exchange: Exchange) -> None:
        path, _, query = exchange.path.partition("?")
        if exchange.reply.status >= 300 or exchange.tried:
            return
        found = _INSTANCE.fullmatch(path)
        if exchange.method == "DELETE" and found and _AFTER_BACKUP not in query:
            self._deleted[found[1]] = None
        elif exchange.method == "POST" and path.endswith("/instances"):
            self._created[json.loads(exchange.reply.body)["instance"]["id"]] = None

    def check(self) -> None:
        """Accepted means durable: what a reply promised has its row at once."""
        for instance_id in self._created:
            if instance_id not in self.hub.tenants:
                self.broken("a create was accepted and left no row", instance_id)
        for instance_id in self._deleted:
            if instance_id not in self._with_delete:
                self.broken("a delete was accepted and left no operation", instance_id)

    def check_healed(self) -> None:
        for operation_id, instance_id in self._accepted.items():
            self.exercised += 1
            row = self.hub.row("operations", operation_id)
            if row is None:
                continue  # past its time to live
            if row["status"] not in TERMINAL:
                at = f" in {row['step']}" if "step" in row else ""
                self.broken(f"{row['action']} {operation_id} is {row['status']}{at}", instance_id)
            elif row["status"] != OperationStatus.SUCCEEDED and not row.get("reason"):
                text = f"{row['action']} {operation_id} {row['status']} without a reason"
                self.broken(text, instance_id)
