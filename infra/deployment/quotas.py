"""OpenStack's own quotas of the service's project: all instances of all tenants share them."""

from __future__ import annotations

from typing import Any, Final

from infra.deployment.openstack import CloudError
from infra.deployment.survey import Survey
from infra.deployment.verdicts import Doubt

DEFAULTS: Final = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "server_groups": 10,
    "volumes": 10,
    "gigabytes": 1000,
    "port": 500,
    "security_group": 10,
    "security_group_rule": 100,
}
"""What Nova, Cinder and Neutron give to a project of which nobody has said anything else:
https://docs.openstack.org/nova/latest/admin/quotas.html, and the same of the others."""
OF_EACH: Final = {"instances": 0, "volumes": 0, "port": 0, "security_group": 1}
"""A database has one of each; so many are gone before the first (the group `default`)."""
PLENTY: Final = ("port",)
"""What is enough for hundreds by default."""
UNLIMITED: Final = -1
OPTIONS: Final = {
    **{name: name.replace("_", "-") for name in DEFAULTS},
    "port": "ports",
    "security_group": "secgroups",
    "security_group_rule": "secgroup-rules",
}
"""What the client calls them."""


def check(survey: Survey) -> str:
    """Whether somebody has raised them: they let a first database be made, and a tenth fail."""
    name, project_id = survey.service.scope["project_name"], survey.service_project_id
    if project_id is None:
        return f"project {name} is still to be made"
    try:
        limits = _limits(survey, project_id)
    except CloudError as error:
        raise Doubt(
            f"The quotas of project {name} cannot be read: {error.message}",
            f"An administrator looks: openstack quota show {name}",
        ) from None
    figures = ", ".join(f"{each} {limit}" for each, limit in limits.items())
    low = {
        each: limit
        for each, limit in limits.items()
        if UNLIMITED < limit <= DEFAULTS[each] and each not in PLENTY
    }
    if not low:
        return f"{name}: {figures}"
    rooms = [limits[each] - gone for each, gone in OF_EACH.items() if limits[each] != UNLIMITED]
    room = f"for {max(0, min(rooms))} databases of all tenants" if rooms else "for few"
    raised = " ".join(f"--{OPTIONS[each]} {_more(each)}" for each in low)
    raise Doubt(
        f"The quotas of project {name} have room {room}: {figures}.",
        f"For a hundred: openstack quota set {raised} {name} (docs/deploying.md)",
    )


def _more(name: str) -> int:
    """For a hundred databases of a few GiB, one of each thing and what a change takes meanwhile."""
    return max(1000, DEFAULTS[name] * 20)


def _limits(survey: Survey, project_id: str) -> dict[str, int]:
    """By the names of the services, in the order of `DEFAULTS`; one that a cloud lacks is left."""
    connection = survey.seen.connection
    asked = (
        (connection.compute, f"/os-quota-sets/{project_id}", "quota_set"),
        (connection.block_storage, f"/os-quota-sets/{project_id}", "quota_set"),
        (connection.network, f"/quotas/{project_id}", "quota"),
    )
    found: dict[str, Any] = {}
    for service, path, inside in asked:
        with survey.seen.answering("tell its quotas"):
            answer = service.get(path)
            answer.raise_for_status()
            found |= answer.json()[inside]
    return {name: int(found[name]) for name in DEFAULTS if name in found}
