"""What several invariants read out of rows."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.domain.flows import FLOWS, What
from chalicelib.domain.operations import OperationAction, OperationStatus
from simulator.aws.dynamodb.values import Item
from simulator.invariants.hub import Hub


def changed(old: Item | None, new: Item | None, *names: str) -> bool:
    """Whether one of these attributes differs between two images of an item."""
    before, after = old or {}, new or {}
    return any(before.get(name) != after.get(name) for name in names)


def held_of(row: Item | None) -> dict[str, int]:
    """The quota that an instance's row holds."""
    return json_of(row, "held")


def json_of(row: Item | None, name: str) -> dict[str, Any]:
    """The object that an attribute of a row holds; an empty one when it has none."""
    text = (row or {}).get(name)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def parents_of(backup: Item) -> list[str]:
    """The ids of what a backup builds on, the full one first."""
    found: list[str] = json.loads(backup.get("parents") or "[]")
    return found


def unseen_end(hub: Hub, instance_id: str, action: OperationAction) -> bool:
    """Whether nobody saw the end of an instance's last resize: it may have had its effect."""
    known = (hub.row("operations", each) for each in hub.resizes.get((instance_id, action), ()))
    resizes = [row for row in known if row is not None]
    last: Item = max(resizes, key=lambda row: float(row["created"]), default={})
    failed = last.get("status") in (OperationStatus.FAILED, OperationStatus.CANCELLED)
    if failed and action is OperationAction.RESIZE_VOLUME:
        return "volume_size" not in last["resources"]
    return failed and FLOWS[action].ended(last.get("ended") or {}) is What.FAILED
