"""The jobs beside the flows: the mirror of the flavors and the looks for leftovers on a schedule,
and what an operator runs after a restore of tables.

Each is an invocation of its own, so that neither waits for the other nor fails with it. A cloud
or an object store that is away is told to the operators; the next run is the retry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import crash, tracing
from chalicelib.cloud import flavors
from chalicelib.cloud.errors import CloudError
from chalicelib.store import events
from chalicelib.store import flavors as rows
from chalicelib.store.models import Flavor
from functions import (
    old_bundles,
    orphans,
    restoration,
    restoration_of_groups,
    stray_objects,
)

log = logging.getLogger(__name__)


def mirror_flavors(_: dict[str, Any]) -> dict[str, Any]:
    """Make the flavors table equal to Nova's list; answers how many there are."""
    present = [
        Flavor(
            id=each.id,
            name=each.name,
            ram=each.ram,
            vcpus=each.vcpus,
            disk=each.disk,
            ephemeral=each.ephemeral,
        )
        for each in flavors.list_all()
    ]
    rows.replace_all(present)
    return {"flavors": len(present)}


def look_for_orphans(event: dict[str, Any]) -> dict[str, Any]:
    """See `orphans.look`; `sure` comes from an operator who invokes the function by hand."""
    return orphans.look(sure=event.get("sure") is True)


def look_for_stray_objects(event: dict[str, Any]) -> dict[str, Any]:
    """See `stray_objects.look`; `sure` comes from an operator who invokes the function by hand."""
    return stray_objects.look(sure=event.get("sure") is True)


def look_for_old_bundles(_: dict[str, Any]) -> dict[str, Any]:
    """See `old_bundles.look`."""
    return old_bundles.look()


Jobs = dict[str, Callable[[dict[str, Any]], dict[str, Any]]]

JOBS: Final[Jobs] = {
    "mirror_flavors": mirror_flavors,
    "look_for_orphans": look_for_orphans,
    "restore_rows": restoration.restore_rows,
    "adopt": restoration.adopt,
    "restore_groups": restoration_of_groups.restore_groups,
    "recount_quotas": restoration.recount_quotas,
    "tell_lost": restoration.tell_lost,
}
"""Those that call the cloud."""
LOCAL_JOBS: Final[Jobs] = {
    "look_for_stray_objects": look_for_stray_objects,
    "look_for_old_bundles": look_for_old_bundles,
}
"""Those that call AWS only."""


def run(jobs: Jobs, event: dict[str, Any]) -> dict[str, Any]:
    """Run the job that the event names; answers what it did, or what was away and let it fail."""
    name = event["step"]
    with tracing.span(log, "job", step=name) as span, crash.scope(name):
        try:
            return jobs[name](event)
        except (CloudError, ClientError, BotoCoreError) as error:
            span.tell(outcome="failed")
            events.alarm("job.failed", f"{name.replace('_', ' ')}: {error}")
            return {"failed": str(error)}
