"""Takes a deployment back: out of the catalog first, then off AWS."""

from __future__ import annotations

from typing import NamedTuple

from infra import remove
from infra.deployment import catalog, front, service_users
from infra.deployment.catalog import Entry
from infra.deployment.survey import Survey
from infra.errors import DeployError
from infra.local.progress import Progress


class Undeployed(NamedTuple):
    """What was there, what stays, and what an administrator has to run still."""

    found: bool
    tables: list[str]
    backups: str | None
    commands: list[str]


class InstancesLiveError(DeployError):
    """Servers and volumes would be left that nothing knows of any more."""


def require_no_instances(survey: Survey) -> None:
    """Raise InstancesLiveError while the tables know instances that are not deleted."""
    if living := remove.instances(survey.target, survey.wanted.stack):
        raise InstancesLiveError(
            f"{living} instance{'s live' if living > 1 else ' lives'} in this deployment; nothing "
            "was changed.",
            "Delete them first (openstack database instance delete). With --even-with-instances "
            "their servers, volumes, ports and groups stay in the cloud, unmanaged: each has "
            f"coffer_deployment={survey.deployment_id} in its metadata or description.",
        )


def undeploy(survey: Survey, progress: Progress, *, tables: bool, with_cloud: bool) -> Undeployed:
    """Remove the deployment; what only an administrator of the cloud may do is answered."""
    target, stack = survey.target, survey.wanted.stack
    commands: list[str] = []
    if with_cloud and (root := survey.present_root) is not None:
        commands = _leave_cloud(survey, survey.entry(root)._replace(root=root), progress)
    front.stop(survey)
    with progress.step(f"Remove {stack}, its packages and its secrets"):
        removed = remove.remove(target, stack, survey.wanted.secrets_path, tables=tables)
    return Undeployed(removed.found, removed.left, removed.backups, commands)


def _leave_cloud(survey: Survey, entry: Entry, progress: Progress) -> list[str]:
    cloud = survey.cloud
    if cloud.is_admin:
        with progress.step("Catalog entry, service users"):
            gone = catalog.remove(cloud, entry)
            names = service_users.remove(cloud, survey.users)
        progress.say(f"{gone} endpoints, {len(names)} users: {', '.join(names) or 'none was ours'}")
        return []
    if catalog.leads_to(cloud, entry.root):
        return catalog.removal(entry)
    return []
