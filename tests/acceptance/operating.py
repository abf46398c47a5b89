"""The operations on one instance, as a tenant or an administrator asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from guest_agent.datastores.mariadb import version
from tests.acceptance.stack import Stack, eventually

WITHIN: Final = 600
"""An operation whose token was lost: its bound, the sweeps after it, and its undoing."""
ENGINE: Final = version.installed_engine().partition("-")[0]
"""What each image of the local cloud has."""
VERSIONS: Final = ("this one", "that one")
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class Operation(NamedTuple):
    """What somebody sends, given the instance as it is shown; `administrators` to `/mgmt`."""

    body: Callable[[dict[str, Any]], dict[str, Any]]
    administrators: bool = False
    method: str = "POST"
    path: str = "/action"


def _other_access(shown: dict[str, Any]) -> dict[str, Any]:
    """From a network that had no access before: a rule comes, and one goes."""
    first, second = "127.0.0.0/9", "127.0.0.0/8"
    chosen = second if shown["access"]["allowed_cidrs"] == [first] else first
    return {"instance": {"access": {"is_public": False, "allowed_cidrs": [chosen]}}}


def _other_version(shown: dict[str, Any]) -> dict[str, Any]:
    """To and fro between two names of one engine."""
    here, there = VERSIONS
    chosen = there if shown["datastore"]["version"] == here else here
    return {"instance": {"datastore_version": chosen}}


OPERATIONS: Final[dict[str, Operation]] = {
    "restart_instance": Operation(lambda _: {"restart": {}}),
    "resize_volume": Operation(
        lambda shown: {"resize": {"volume": {"size": shown["volume"]["size"] + 1}}}
    ),
    "resize_flavor": Operation(
        lambda shown: {"resize": {"flavorRef": "4" if shown["flavor"]["id"] == "1" else "1"}}
    ),
    "update_access": Operation(_other_access, method="PUT", path=""),
    "stop_instance": Operation(lambda _: {"stop": {}}),
    "start_instance": Operation(lambda _: {"start": {}}),
    "reboot_instance": Operation(lambda _: {"reboot": {}}, administrators=True),
    "migrate_instance": Operation(lambda _: {"migrate": {}}, administrators=True),
    "rebuild_instance": Operation(
        lambda shown: {"rebuild": {"image_id": shown["image"]}}, administrators=True
    ),
    "upgrade_instance": Operation(_other_version, method="PATCH", path=""),
}
"""The one before a start is a stop, whichever test comes first."""


def offer(stack: Stack, name: str, number: str = ENGINE, datastore: str = "mariadb") -> None:
    """One more version of a datastore, as an operator offers it; `number` is its engine's."""
    versions = stack.admin.request("GET", "/mgmt/datastore-versions").json()["versions"]
    if (datastore, name) in {(each["datastore_name"], each["name"]) for each in versions}:
        return
    first = next(each for each in versions if each["datastore_name"] == datastore)
    wanted = {
        "name": name,
        "version": number,
        "datastore_name": datastore,
        "datastore_manager": first["datastore_manager"],
        "image_tags": first["image_tags"],
        "active": True,
    }
    answer = stack.admin.request("POST", "/mgmt/datastore-versions", {"version": wanted})
    assert answer.status_code == 202, answer.text


def ask(
    stack: Stack,
    instance_id: str,
    body: dict[str, Any],
    *,
    admin: bool = False,
    method: str = "POST",
    path: str = "/action",
) -> None:
    """Send a request about an instance that has to be accepted."""
    whole = f"/instances/{instance_id}{path}"
    answer = (
        stack.admin.request(method, f"/mgmt{whole}", body)
        if admin
        else stack.demo.request(method, whole, body)
    )
    assert answer.status_code == 202, answer.text


def begin(stack: Stack, instance_id: str, flow: str, shown: dict[str, Any]) -> None:
    """Ask for the operation; the image of a rebuild is the one that the cloud has."""
    operation = OPERATIONS[flow]
    if flow == "upgrade_instance":
        for name in VERSIONS:
            offer(stack, name)
    shown = {**shown, "image": stack.image_id()}
    body, admin = operation.body(shown), operation.administrators
    method, path = operation.method, operation.path
    ask(stack, instance_id, body, admin=admin, method=method, path=path)


def over(stack: Stack, instance_id: str) -> dict[str, Any]:
    """The newest operation, once it has ended."""

    def ended() -> dict[str, Any] | None:
        (newest, *_) = stack.demo.operations(instance_id)
        return newest if newest["status"] in ENDED else None

    return eventually(ended, WITHIN, f"the operation of {instance_id} ends")
