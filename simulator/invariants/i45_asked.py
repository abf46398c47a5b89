"""I45: a create makes what was asked for."""

from __future__ import annotations

import json
from typing import Any, Final

from chalicelib.domain.archives import moment, told_apart
from chalicelib.domain.operations import TERMINAL, OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.inputs import DATASTORE
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.invariants.rows import json_of
from simulator.versions import FIRST, IMAGES

CREATES: Final = (
    OperationAction.CREATE,
    OperationAction.RESTORE,
    OperationAction.RESTORE_SNAPSHOT,
)


class Made(Invariant):
    """Remembers each create that is accepted, and compares it with the cloud when it has succeeded.

    The cloud may have lost a thing by then (F15): L3 asks for that one. I15 asks for the access.
    """

    id = "I45"
    title = "A create makes what was asked for: server, volume, network, image, moment"

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
        if new["status"] not in TERMINAL or old["status"] == new["status"]:
            return
        asked = self._asked.pop(new["instance_id"], None)
        if asked is not None and new["status"] == OperationStatus.SUCCEEDED:
            wanted = self._wanted(asked, new.get("resources") or {})
            began: Any = json_of(new, "arguments")
            wanted |= self._begun(asked.get("restorePoint") or {}, began)
            self._compare(wanted, new["instance_id"])

    def _compare(self, wanted: dict[str, tuple[Any, Any]], instance_id: str) -> None:
        for what, (is_so, should_be) in wanted.items():
            if should_be is None:
                continue
            self.exercised += 1
            if is_so != should_be:
                text = f"it has the {what} {is_so}, and {should_be} was asked for"
                self.broken(text, instance_id)

    def _wanted(self, asked: dict[str, Any], made: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Of what is there in the cloud what it is, and what it should be; None is anything."""
        cloud, found = self.hub.run.cloud, dict[str, tuple[Any, Any]]()
        if (server := cloud.compute.servers.get(made.get("server_id", ""))) is not None:
            found["flavor"] = server.flavor.id, asked.get("flavorRef")
            found["image"] = server.image_id, _image(asked.get("datastore"))
        if (volume := cloud.volume.volumes.get(made.get("volume_id", ""))) is not None:
            found["size"] = volume.size, (asked.get("volume") or {}).get("size")
        if (port := cloud.network.ports.get(made.get("port_id", ""))) is not None:
            nic = (asked.get("nics") or [{}])[0]
            found["network"] = port.network_id, nic.get("network_id")
        return found

    def _begun(self, point: dict[str, Any], began: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The same of the data that it has begun with; a moment is the one that its log tells."""
        found: dict[str, tuple[Any, Any]] = {}
        if "backupRef" in point:
            found["backup"] = began.get("backup"), point["backupRef"].rpartition("/")[2]
        backup, log = self.hub.row("backups", began.get("backup", "")), began.get("log") or {}
        if backup is None:
            return found
        found["source"] = backup["instance_id"], point.get("instance")
        if "time" in point:
            asked_ms = told_apart(moment(point["time"]), backup["manager"])
            found["moment"] = log.get("target_ms"), asked_ms
        reached = log.get("target_position") or backup.get("reached_position")
        found["position"] = reached, point.get("position")
        return found


def _image(datastore: dict[str, Any] | None) -> str | None:
    """Of the version that was named, or of the usual one of the datastore."""
    named = datastore or {}
    return IMAGES.get(named.get("version") or FIRST[named.get("type") or DATASTORE].name)
