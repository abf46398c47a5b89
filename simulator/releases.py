"""What two releases of Coffer may differ in: the definitions of the flows, and items of the tables.

There is one release so far. What is made here of it is what another one could be without any harm:
a definition that does the same in other states and with other bounds, an item without what its
model has a default for, and one with an attribute that this release does not know.
"""

from __future__ import annotations

import json
from typing import Any, Final

from simulator.aws.dynamodb.values import Item

LATER: Final = "of_a_later_release"
"""An attribute that no model of this release has."""

ABSENT: Final[dict[str, dict[str, Any]]] = {
    "instances": {
        "access": {"is_public": False, "allowed_cidrs": []},
        "addresses": [],
        "held": {},
        "image": {},
        "resources": {},
    },
    "operations": {"attempt": 0, "compensating": False},
    "guests": {"issued_at_ms": 0, "quiet_at_ms": 0},
    "service-statuses": {"rejected": 0, "stale_reports": 0},
    "quotas": {"instances": 0, "ram": 0, "volumes": 0, "backups": 0},
    "datastores": {"revision": 0},
    "datastore-versions": {
        "image_tags": [],
        "packages": "",
        "active": True,
        "flavors": [],
        "volume_types": [],
    },
    "flavors": {"ephemeral": 0},
}
"""Attributes that an older release would not have, with the value that says no more than their
absence (lists and objects are stored as JSON). Not among them is what every release must have:
keys, statuses, the numbers that order reports, and the maps in which a step records itself."""

_FORGOTTEN: Final = {
    "service-statuses": ("volume_used", "volume_total", "agent_release", "agent_version"),
    "operations": ("traceparent",),
    "commands": ("traceparent",),
}
"""Attributes that may be forgotten: a status the guest tells again, a trace begins anew."""

KEEPERS: Final = (
    "instances",
    "operations",
    "commands",
    "guests",
    "service-statuses",
    "quotas",
    "datastores",
    "datastore-versions",
    "events",
)
"""Tables in which an attribute of a later release must stay. Flavors are not among them: a row is a
mirror of Nova's answer and is written as a whole."""


def revised(text: str, revision: int) -> str:
    """The definition of a flow as another release might have it; as it is at revision 0.

    One more state at the begin, another field in what each step is sent, other retries and bounds:
    an execution that changed its definition in the middle would show it.
    """
    if not revision:
        return text
    machine = json.loads(text)
    first = f"Revision {revision}"
    for state in machine["States"].values():
        if state["Type"] == "Task":
            _revise(state, revision)
    machine["States"][first] = {"Type": "Pass", "Next": machine["StartAt"]}
    machine["StartAt"] = first
    machine["Comment"] = f"{machine['Comment']} Revision {revision}."
    return json.dumps(machine)


def _revise(task: dict[str, Any], revision: int) -> None:
    """Bounds stay above those of the function; there are as many attempts as before."""
    parameters = task["Parameters"]
    parameters.get("Payload", parameters)["revision"] = revision
    task["TimeoutSeconds"] += 5 * revision
    for retry in task["Retry"]:
        retry["IntervalSeconds"] += revision % 3
        retry["MaxDelaySeconds"] += revision % 3


def as_older(table: str, item: Item) -> Item:
    """An item (of a table without its prefix) as an older release would have left it."""
    absent = ABSENT.get(table, {})
    dropped = {name for name, value in absent.items() if _is(item.get(name), value)}
    dropped.update(_FORGOTTEN.get(table, ()))
    return {name: value for name, value in item.items() if name not in dropped}


def _is(stored: Any, value: Any) -> bool:
    """Whether an attribute as it is stored has that value."""
    if isinstance(value, dict | list) and isinstance(stored, str):
        stored = json.loads(stored)
    return type(stored) is type(value) and bool(stored == value)


def as_later(item: Item, mark: str) -> Item:
    """An item as a later release would have left it; for a table of `KEEPERS`."""
    return {**item, LATER: {"mark": mark}}
