"""I35: an agent that was upgraded is of the release that was asked for, and of a sound one."""

from __future__ import annotations

import json

from chalicelib.domain.operations import OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.fleet.releases import Kind, kind_of
from simulator.invariants.base import Invariant


class Agents(Invariant):
    """Looks at the guest when an upgrade of its agent is told to have ended.

    Succeeded: its disk has the version that was asked for as the one that has proved itself. Either
    way that one is sound: what dies, says nothing, or was put in another's place never is.
    """

    id = "I35"
    title = "An upgraded agent is of the release that was asked for; none is of a broken one"

    def watch(self) -> None:
        self.hub.on_write("operations", self._operation)

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if new is None or new["action"] != OperationAction.UPGRADE_AGENT or self.hub.restoring:
            return
        was = old["status"] if old is not None else None
        if new["status"] in (OperationStatus.SUCCEEDED, OperationStatus.FAILED) and (
            new["status"] != was
        ):
            self._look(new)

    def _look(self, operation: Item) -> None:
        asked = json.loads(operation["arguments"])["version"]
        for guest in self.hub.run.fleet.of_instance(operation["instance_id"]):
            if guest.disk.enrolled_generation != int(operation["generation"]):
                continue
            self.exercised += 1
            has = guest.disk.agent
            if operation["status"] == OperationStatus.SUCCEEDED and has != asked:
                self.broken(f"its agent is of {has} instead of {asked}", operation["instance_id"])
            if kind_of(has) is not Kind.SOUND:
                text = f"{has}, which is {kind_of(has)}, has proved itself"
                self.broken(text, operation["instance_id"])
