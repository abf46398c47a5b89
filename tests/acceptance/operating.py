"""The operations on one instance, as a tenant or an administrator asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import requests

from tests.acceptance.stack import TIMEOUT_SECONDS, Stack, eventually

WITHIN: Final = 600
"""An operation whose token was lost: its bound, the sweeps after it, and its undoing."""
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class Operation(NamedTuple):
    """What somebody sends, given the instance as it is shown; `administrators` to `/mgmt`."""

    body: Callable[[dict[str, Any]], dict[str, Any]]
    administrators: bool = False


OPERATIONS: Final[dict[str, Operation]] = {
    "restart_instance": Operation(lambda _: {"restart": {}}),
    "resize_volume": Operation(
        lambda shown: {"resize": {"volume": {"size": shown["volume"]["size"] + 1}}}
    ),
    "resize_flavor": Operation(
        lambda shown: {"resize": {"flavorRef": "4" if shown["flavor"]["id"] == "1" else "1"}}
    ),
    "stop_instance": Operation(lambda _: {"stop": {}}),
    "start_instance": Operation(lambda _: {"start": {}}),
    "reboot_instance": Operation(lambda _: {"reboot": {}}, administrators=True),
    "migrate_instance": Operation(lambda _: {"migrate": {}}, administrators=True),
    "rebuild_instance": Operation(
        lambda shown: {"rebuild": {"image_id": shown["image"]}}, administrators=True
    ),
}
"""The one before a start is a stop, whichever test comes first."""


def ask(stack: Stack, instance_id: str, body: dict[str, Any], *, admin: bool = False) -> None:
    path = f"/instances/{instance_id}/action"
    answer = (
        stack.admin.request("POST", f"/mgmt{path}", body)
        if admin
        else stack.demo.request("POST", path, body)
    )
    assert answer.status_code == 202, answer.text


def begin(stack: Stack, instance_id: str, flow: str, shown: dict[str, Any]) -> None:
    """Ask for the operation; the image of a rebuild is the one that the cloud has."""
    operation = OPERATIONS[flow]
    (image, *_) = requests.get(
        f"{stack.settings.cloud_url}/image/v2/images",
        headers={"X-Auth-Token": stack.admin.user.token},
        timeout=TIMEOUT_SECONDS,
    ).json()["images"]
    shown = {**shown, "image": image["id"]}
    ask(stack, instance_id, operation.body(shown), admin=operation.administrators)


def over(stack: Stack, instance_id: str) -> dict[str, Any]:
    """The newest operation, once it has ended."""

    def ended() -> dict[str, Any] | None:
        (newest, *_) = stack.demo.operations(instance_id)
        return newest if newest["status"] in ENDED else None

    return eventually(ended, WITHIN, f"the operation of {instance_id} ends")
