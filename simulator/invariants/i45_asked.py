"""I45: a create makes what was asked for."""

from __future__ import annotations

import json
from typing import Any, Final

from chalicelib.domain.operations import OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Exchange, Invariant, owned_things
from simulator.versions import IMAGES

CREATES: Final = (
    OperationAction.CREATE,
    OperationAction.RESTORE,
    OperationAction.RESTORE_SNAPSHOT,
)


class Asked(Invariant):
    """Remembers each create that is accepted, and compares it with the cloud when it has succeeded.

    The cloud may have lost a thing by then (F15): L3 asks for that one.
    """

    id = "I45"
    title = "A create makes what was asked for: server, volume, network, image"

    def watch(self) -> None:
        self._asked: dict[str, dict[str, Any]] = {}
        self.hub.on_reply(self._replied)
        self.hub.on_write("operations", self._operation)

    def _replied(self, exchange: Exchange) -> None:
        accepted = exchange.reply.status == 200 and exchange.method == "POST"
        made = accepted and exchange.path.endswith("/instances") and not exchange.tried
        if made and exchange.body and not exchange.replayed:
            asked: dict[str, Any] = json.loads(exchange.body)["instance"]
            self._asked[exchange.reply.document["instance"]["id"]] = asked

    def _operation(self, old: Item | None, new: Item | None) -> None:
        if old is None or new is None or new["action"] not in CREATES:
            return
        if new["status"] != OperationStatus.SUCCEEDED or old["status"] == new["status"]:
            return
        asked = self._asked.pop(new["instance_id"], None)
        if asked is not None:
            for kind, instance_id, thing in owned_things(self.hub.run.cloud):
                if instance_id == new["instance_id"]:
                    self._compare(asked, kind, thing, instance_id)

    def _compare(self, asked: dict[str, Any], kind: str, thing: Any, instance_id: str) -> None:
        wanted = _wanted(asked, kind, thing)
        self.exercised += bool(wanted)
        for what, (is_so, should_be) in wanted.items():
            if should_be is not None and is_so != should_be:
                text = f"its {kind} has the {what} {is_so}, and {should_be} was asked for"
                self.broken(text, instance_id)


def _wanted(asked: dict[str, Any], kind: str, thing: Any) -> dict[str, tuple[Any, Any]]:
    """Of a thing in the cloud what it is and what it should be; None where nobody has said."""
    if kind == "server":
        version = (asked.get("datastore") or {}).get("version")
        image = IMAGES.get(version) if version is not None else None
        return {
            "flavor": (thing.flavor.id, asked.get("flavorRef")),
            "image": (thing.image_id, image),
        }
    if kind == "volume":
        return {"size": (thing.size, (asked.get("volume") or {}).get("size"))}
    if kind == "port":
        nic = (asked.get("nics") or [{}])[0]
        return {"network": (thing.network_id, nic.get("network_id"))}
    return {}
