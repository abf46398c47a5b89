"""A quota of the service's project that is used up: told to the operators, with what raises it.

All tenants share it, so a tenant reads that there is no room, and nothing of its figures.
"""

from __future__ import annotations

from typing import Final

from chalicelib.cloud.errors import OverQuota
from chalicelib.cloud.refusals import OPTIONS
from chalicelib.settings import settings
from chalicelib.store import events

ALARM_SECONDS: Final = 3600
"""One event of a quota in so long: each create of each tenant meets it."""


def alarm(error: OverQuota) -> None:
    """Tell the operators which quota it is, in the cloud's words and figures."""
    project = settings().os_project_name
    counted = f"The quota for {error.resource}" if error.resource else "A quota"
    option = OPTIONS.get(error.resource)
    raised = (
        f"openstack quota set {option} NUMBER {project}"
        if option
        else f"openstack quota set --help (project {project})"
    )
    events.alarm(
        f"quota.{error.resource or 'unknown'}",
        f"{counted} of the project {project} is used up. The cloud said: {error.told} "
        f"See: openstack quota show --usage {project}. Raise it: {raised}",
        every_seconds=ALARM_SECONDS,
    )
