"""The Lambda handlers of the task manager: `cloud` may call OpenStack, `local` may not."""

from __future__ import annotations

from typing import Any, Final

from chalicelib import logs
from functions import create_instance, delete_instance, maintenance, remove, step
from functions.step import Step

logs.set_up()

CLOUD_STEPS: Final[dict[str, Step]] = {
    "create_instance.volume": Step(create_instance.volume),
    "create_instance.network": Step(create_instance.ports_and_groups),
    "create_instance.server": Step(create_instance.server),
    "remove_server": Step(remove.server, backwards=True),
    "remove_volume": Step(remove.volume, backwards=True),
    "remove_network": Step(remove.ports_and_groups, backwards=True),
}

LOCAL_STEPS: Final[dict[str, Step]] = {
    "create_instance.message_queue": Step(create_instance.message_queue),
    "create_instance.prepare": Step(create_instance.prepare),
    "create_instance.complete": Step(create_instance.complete, ends=True),
    "create_instance.fail": Step(create_instance.fail, backwards=True, ends=True),
    "remove_message_queue": Step(remove.message_queue, backwards=True),
    # A delete cannot be undone: one that was cancelled on its way still ends as what it is.
    "delete_instance.complete": Step(delete_instance.complete, backwards=True, ends=True),
    "delete_instance.fail": Step(delete_instance.fail, backwards=True, ends=True),
}


def cloud(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A step that calls OpenStack, or the maintenance on its schedule."""
    if event.get("step") == "maintenance":
        return maintenance.run()
    return step.run(CLOUD_STEPS, event)


def local(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A step that calls AWS only."""
    return step.run(LOCAL_STEPS, event)
