"""What the end of an operation makes of its subject's row, told by the operation's row alone.

The last transaction of an operation writes it, and a restored table is mended by it
(`chalicelib.store.restoring`): both read the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any, Final

import msgspec
from pynamodb.expressions.update import Action

from chalicelib.domain.configurations import UNKNOWN, Application
from chalicelib.domain.flows import What
from chalicelib.domain.operations import OperationAction
from chalicelib.domain.rollouts import Progress
from chalicelib.store.base import as_dict
from chalicelib.store.models import Operation, Subject
from chalicelib.store.subjects import setting


class Outcome(msgspec.Struct, frozen=True):
    """New values of the attributes of a subject; None removes one.

    `holds` is what the subject holds afterwards of the resources named, or nothing of any when it
    is `gone`.
    """

    values: Mapping[str, Any] = {}
    holds: Mapping[str, int] = {}
    gone: bool = False

    def held_after(self, held: Mapping[str, int]) -> dict[str, int]:
        """What of the quota a subject holds afterwards that held this before."""
        return {} if self.gone else {**held, **self.holds} if held else {}

    def actions(self, model: type[Subject], *, without: Container[str] = ()) -> list[Action]:
        """The update of the row, but for its status and its quota, and for what is left out."""
        return setting(model, self.values, without=without)


def outcome(operation: Operation, ended: What) -> Outcome:
    """What that end of an operation makes of its subject."""
    action = OperationAction(operation.action)
    made = _OUTCOMES[action](operation, ended)
    if ended is not What.SUCCEEDED or action not in _SETTINGS:
        return made
    log = {"log_waits": None} if action in _STARTED else {}
    values = {**made.values, **_SETTINGS[action](operation), **log}
    return msgspec.structs.replace(made, values=values)


def accepted(operation: Operation) -> dict[str, Any]:
    """What its subject has since an operation was accepted, whatever became of it."""
    if operation.action != OperationAction.CONFIGURE:
        return {}
    return {"configuration_id": (operation.arguments or {})["configuration"]}


def _held(operation: Operation) -> dict[str, Any]:
    """What its guest holds of a configuration group since an operation that has told it."""
    told = as_dict(operation.resources)
    values: dict[str, Any] = {}
    if (holding := told.get("holding")) is not None:
        values["configuration_held"] = holding or None
    if why_not := told.get("configuration_refused"):
        values |= {"fault_message": why_not, "fault_created": float(operation.updated)}
    return values


def _told_running(operation: Operation) -> dict[str, Any]:
    """The same of an engine that was told last: some of it may wait for a restart."""
    waits = as_dict(operation.resources).get("restart_required")
    return {**_held(operation), "restart_required": waits or None}


def _started_last(operation: Operation) -> dict[str, Any]:
    """The same of an engine that has started, or will, after it was told: nothing waits for it."""
    return {**_held(operation), "restart_required": None}


def _created(operation: Operation, ended: What) -> Outcome:
    if ended is not What.SUCCEEDED:
        return Outcome(gone=ended is What.UNDONE)
    resources = as_dict(operation.resources)
    for noted in ("sent", "holding", "configuration_refused"):  # nothing that it owns
        resources.pop(noted, None)
    addresses = resources.pop("addresses", [])
    return Outcome({"resources": resources, "addresses": addresses})


def _deleted(_: Operation, ended: What) -> Outcome:
    """One that failed has taken something away, so that nothing is the instance's for certain."""
    if ended is What.SUCCEEDED:
        return Outcome(gone=True)
    return Outcome({"resources": {}, "addresses": []})


def _access_updated(operation: Operation, ended: What) -> Outcome:
    values: dict[str, Any] = {}
    if (addresses := as_dict(operation.resources).get("addresses")) is not None:
        values["addresses"] = addresses
    if ended is What.SUCCEEDED:
        values |= {"access": operation.arguments, **_NO_FAULT}
    return Outcome(values)


def _volume_resized(operation: Operation, ended: What) -> Outcome:
    """What was measured holds, whatever was asked for; the quota keeps no more than that."""
    size = as_dict(operation.resources).get("volume_size")
    if size is None:
        return Outcome()
    told = _NO_FAULT if ended is What.SUCCEEDED else {}
    return Outcome({"volume_size": size, **told}, holds={"volumes": size})


def _flavor_resized(operation: Operation, ended: What) -> Outcome:
    """Nova was seen to have confirmed it, or to have taken it back; else nobody knows."""
    asked = operation.arguments or {}
    if ended is What.SUCCEEDED:
        return _of_flavor(asked["flavor"])
    return Outcome(holds={"ram": asked["before"]["ram"]} if ended is What.UNDONE else {})


def _of_flavor(flavor: Mapping[str, Any]) -> Outcome:
    values = {f"flavor_{name}": flavor[name] for name in ("id", "ram", "vcpus")}
    return Outcome({**values, **_NO_FAULT}, holds={"ram": flavor["ram"]})


def _started(operation: Operation, ended: What) -> Outcome:
    """The flavor that its server was seen with, of which a resize may not have seen the end."""
    seen = as_dict(operation.resources).get("flavor")
    return _of_flavor(seen) if seen and ended is What.SUCCEEDED else _came_back(operation, ended)


def _came_back(_: Operation, ended: What) -> Outcome:
    return Outcome(_NO_FAULT if ended is What.SUCCEEDED else {})


def _rebuilt(operation: Operation, ended: What) -> Outcome:
    """Its guest is the new one as soon as that was begun, however it ended.

    The image of its server is known when it was seen to have succeeded.
    """
    told = _started(operation, ended)
    owns = as_dict(operation.resources).get("owns")
    if owns is not None:  # a server that was made anew
        told = msgspec.structs.replace(told, values={**told.values, "resources": owns})
    if "new_generation" not in as_dict(operation.resources):
        return told
    image_id = as_dict(operation.resources).get("image_id") if ended is What.SUCCEEDED else None
    values = {**told.values, "generation": operation.generation, "image_id": image_id}
    if ended is not What.SUCCEEDED:  # unless the one of the way back has told, it is told again
        holding = as_dict(operation.resources).get("holding")
        values |= {"configuration_held": holding or None, "restart_required": None}
    return msgspec.structs.replace(told, values=values)


def _upgraded(operation: Operation, ended: What) -> Outcome:
    """The version is the new one when its engine was seen to run, and not before."""
    told = _rebuilt(operation, ended)
    if ended is not What.SUCCEEDED:
        return told
    version = (operation.arguments or {})["version"]
    return msgspec.structs.replace(told, values={**told.values, **of_version(version)})


def of_version(version: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance's row tells of a datastore version: its id, name, number and image."""
    return {
        "datastore_version_id": version["id"],
        "datastore_version": version["name"],
        "datastore_version_number": version["number"],
        "image": version["image"],
    }


def _configured(_: Operation, ended: What) -> Outcome:
    """A guest that did not answer, or too late, may have taken the values, and has others then."""
    if ended is What.SUCCEEDED:
        return Outcome(_NO_FAULT)
    return Outcome({"configuration_held": UNKNOWN})


def _as_before(_: Operation, __: What) -> Outcome:
    """What it makes is another row's."""
    return Outcome()


def _deleted_backup(_: Operation, ended: What) -> Outcome:
    return Outcome(gone=ended is What.SUCCEEDED)


def _rolled_out(operation: Operation, _: What) -> Outcome:
    counted = Progress.of(as_dict(operation.resources))
    return Outcome({"progress": counted.recorded()})


def _applied(operation: Operation, ended: What) -> Outcome:
    counted = Application.of(as_dict(operation.resources))
    told = _NO_FAULT if ended is What.SUCCEEDED else {}
    return Outcome({"progress": counted.recorded(), **told})


_NO_FAULT: Final[Mapping[str, Any]] = {"fault_message": None, "fault_created": None}

_PREPARED: Final = frozenset(
    {
        *(OperationAction.CREATE, OperationAction.RESTORE, OperationAction.RESTORE_SNAPSHOT),
        OperationAction.UPGRADE,
        *(OperationAction.REBUILD, OperationAction.REBUILD_STOPPED),
    }
)
"""Whose success says that a guest has begun with what it was sent."""
_STARTED: Final = frozenset(
    {
        *(OperationAction.RESTART, OperationAction.STOP, OperationAction.START),
        *(OperationAction.REBOOT, OperationAction.RESIZE_FLAVOR, OperationAction.MIGRATE),
    }
)
"""With whose success an engine keeps the log that is wanted, or will; one on a new root disk does
so only if the volume says so, which its guest tells."""
_SETTINGS: Final[Mapping[OperationAction, Callable[[Operation], dict[str, Any]]]] = {
    **dict.fromkeys(
        (
            *_PREPARED,
            *(OperationAction.RESTART, OperationAction.STOP),
        ),
        _started_last,
    ),
    **dict.fromkeys(
        (
            *(OperationAction.START, OperationAction.REBOOT, OperationAction.CONFIGURE),
            *(OperationAction.RESIZE_FLAVOR, OperationAction.MIGRATE),
        ),
        _told_running,
    ),
}
"""What the success of these tells of the settings of a group."""

_OUTCOMES: Final[Mapping[OperationAction, Callable[[Operation, What], Outcome]]] = {
    **dict.fromkeys(
        (OperationAction.CREATE, OperationAction.RESTORE, OperationAction.RESTORE_SNAPSHOT),
        _created,
    ),
    OperationAction.DELETE: _deleted,
    OperationAction.UPDATE_ACCESS: _access_updated,
    OperationAction.RESTART: _came_back,
    **dict.fromkeys(
        (OperationAction.STOP, OperationAction.REBOOT, OperationAction.MIGRATE), _came_back
    ),
    OperationAction.START: _started,
    OperationAction.RESIZE_VOLUME: _volume_resized,
    OperationAction.RESIZE_FLAVOR: _flavor_resized,
    **dict.fromkeys((OperationAction.REBUILD, OperationAction.REBUILD_STOPPED), _rebuilt),
    OperationAction.UPGRADE: _upgraded,
    OperationAction.UPGRADE_AGENT: _came_back,
    OperationAction.CONFIGURE: _configured,
    OperationAction.ROLL_OUT: _rolled_out,
    OperationAction.APPLY: _applied,
    OperationAction.CREATE_BACKUP: _as_before,
    OperationAction.CREATE_SNAPSHOT: _as_before,
    OperationAction.VERIFY_BACKUP: _as_before,
    OperationAction.DELETE_BACKUP: _deleted_backup,
}
