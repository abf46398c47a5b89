"""The Lambda handlers of the task manager: `cloud` may call OpenStack, `local` may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from chalicelib import logs
from chalicelib.domain.flows import KINDS
from chalicelib.store.models import Operation
from functions import create_instance, delete_instance, maintenance, remove, step, update_access
from functions.outcomes import Outcome
from functions.step import Step

logs.set_up()


def _steps(runs: Mapping[str, Callable[[Operation, str | None], Outcome]]) -> dict[str, Step]:
    """Steps by their names in a payload, of the kinds that the flows declare them."""
    return {
        name: Step(run, backwards=KINDS[name].backwards, ends=KINDS[name].ends)
        for name, run in runs.items()
    }


CLOUD_STEPS: Final = _steps(
    {
        "create_instance.volume": create_instance.volume,
        "create_instance.network": create_instance.ports_and_groups,
        "create_instance.server": create_instance.server,
        "update_access.apply": update_access.apply,
        "update_access.restore": update_access.restore,
        "remove_server": remove.server,
        "remove_volume": remove.volume,
        "remove_network": remove.ports_and_groups,
    }
)

LOCAL_STEPS: Final = _steps(
    {
        "create_instance.message_queue": create_instance.message_queue,
        "create_instance.prepare": create_instance.prepare,
        "create_instance.complete": create_instance.complete,
        "create_instance.fail": create_instance.fail,
        "remove_message_queue": remove.message_queue,
        "delete_instance.complete": delete_instance.complete,
        "delete_instance.fail": delete_instance.fail,
        "update_access.complete": update_access.complete,
        "update_access.fail": update_access.fail,
    }
)


def cloud(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A step that calls OpenStack, or a job of the maintenance on its schedule."""
    if event.get("step") in maintenance.JOBS:
        return maintenance.run(event)
    return step.run(CLOUD_STEPS, event)


def local(event: dict[str, Any], _: object) -> dict[str, Any]:
    """A step that calls AWS only."""
    return step.run(LOCAL_STEPS, event)
