"""Where the demo plays: on the local stack, or on a deployment in a cloud that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from chalicelib import parameters
from infra.cli import trove
from infra.deployment import catalog
from infra.deployment.openstack import Cloud
from infra.deployment.survey import Survey
from infra.errors import StackError
from infra.local.cloud import Admin
from infra.local.settings import STACK_NAME, StackSettings, load_secrets
from infra.target import Target

Inventory = dict[str, list[dict[str, Any]]]
"""What the cloud has, by its kind; each with its name and what marks it."""

LOCAL_SECONDS: Final = (120.0, 60.0)
DEPLOYED_SECONDS: Final = (1800.0, 1200.0)
"""The bounds of a create and of a delete; those of a deployment are the flows' own defaults."""


class Place(NamedTuple):
    """A deployment as its user and its operator see it; `seconds` bound a create and a delete."""

    api: trove.Api
    target: Target
    prefix: str
    inventory: Callable[[], Inventory]
    seconds: tuple[float, float]


def local(settings: StackSettings) -> Place:
    """The local stack, as its ready-made user."""
    secrets = load_secrets(settings)

    def inventory() -> Inventory:
        admin = Admin(settings.auth_url, secrets.admin_password)
        found = admin.call("GET", f"{settings.cloud_url}/_simulator/inventory")
        return {kind: items for kind, items in found.items() if isinstance(items, list)}

    api = trove.Api.log_in(settings.auth_url, "demo", secrets.demo_password)
    return Place(api, settings.target, STACK_NAME, inventory, LOCAL_SECONDS)


def deployed(survey: Survey) -> Place:
    """A deployment, found by the catalog's entry, as whom OS_* or clouds.yaml name.

    Raises StackError where there is none, or the catalog leads to another one.
    """
    name, root, cloud = survey.wanted.stack, survey.present_root, survey.cloud
    if root is None:
        raise StackError(f"There is no stack {name} here.", "Run: coffer deploy")
    if not catalog.leads_to(cloud, root):
        there = ", ".join(sorted(catalog.places(cloud))) or "nowhere"
        raise StackError(
            f"The catalog's entry leads to {there}, and the stack {name} answers at {root}.",
            f"See: coffer status --stack {name}",
        )
    with cloud.answering("give a token"):
        token = str(cloud.connection.session.get_token())
    api = trove.Api(cloud.urls(catalog.TYPE)[0], str(cloud.access.project_id), token)
    prefix = survey.present_parameters.get("Prefix") or name
    return Place(api, survey.target, prefix, lambda: _inventory(survey), DEPLOYED_SECONDS)


def _inventory(survey: Survey) -> Inventory:
    """What the functions' user sees: servers and volumes are in its project."""
    seen = survey.as_service.get(parameters.CLOUD)
    if seen is None:
        raise StackError(
            "What is left in the cloud cannot be seen: nobody is stored as the functions' user.",
            f"Run: coffer deploy --stack {survey.wanted.stack}",
        )
    with seen.answering("list what it has"):
        return {kind: [_named(each) for each in found] for kind, found in _lists(seen)}


def _lists(cloud: Cloud) -> Iterator[tuple[str, Any]]:
    connection, own = cloud.connection, str(cloud.access.project_id)
    yield "servers", connection.compute.servers(details=True)
    yield "volumes", connection.block_storage.volumes(details=True)
    yield "ports", connection.network.ports(project_id=own)
    yield "security_groups", connection.network.security_groups(project_id=own)


def _named(found: Any) -> dict[str, Any]:
    marks = getattr(found, "metadata", None) or getattr(found, "description", None)
    return {"name": found.name, "metadata": marks}
