"""What operators do."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib.domain.quotas import RESOURCES
from simulator.actions.asking import datastore_of
from simulator.clients import Clients, Tenant
from simulator.cloud.model.settings import HOSTS
from simulator.fleet.releases import BUNDLES
from simulator.versions import FIRST, IMAGES, NEWER, of

USUAL_LIMITS: Final = {"instances": 10, "volumes": 40, "ram": -1}
REBUILD_SECONDS: Final = 300.0
LOWERED: Final = {"instances": (0, 1, 3), "volumes": (0, 1, 3), "ram": (0, 512, 1024, 2048)}
WRONG_IMAGE: Final = 0.1
"""Share of the rebuilds whose operator takes any image."""
SOUND_BUNDLE: Final = 0.6
"""Share of the upgrades of agents whose bundle is sound for certain."""


def reboot(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """An operator's, on the route that Trove has for it."""
    if instance_id is not None:
        path = f"/mgmt/instances/{instance_id}/action"
        work.request(tenant, "POST", path, {"reboot": {}}, admin=True)


def migrate(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """An operator's: to another host, to one of those there are, or to one that there is not."""
    if instance_id is not None:
        nowhere = ("compute-nowhere",) if work.careless else ()
        host = work.stream.choice((None, None, *HOSTS, *nowhere))
        body = {"migrate": {} if host is None else {"host": host}}
        path = f"/mgmt/instances/{instance_id}/action"
        work.request(tenant, "POST", path, body, admin=True)


def rebuild(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """An operator's: a new root disk of the image of its version, or of any."""
    if instance_id is None:
        return
    path = f"/mgmt/instances/{instance_id}"
    shown = work.request(tenant, "GET", path, admin=True)
    datastore = datastore_of(tenant, instance_id)
    name = FIRST[datastore].name
    if shown.status == 200:
        name = shown.document["instance"]["datastore"]["version"]
    if work.careless and work.stream.random() < WRONG_IMAGE:
        name = work.stream.choice([each.name for each in of(datastore)])
    body = {"rebuild": {"image_id": IMAGES[name]}}
    work.request(tenant, "POST", f"{path}/action", body, admin=True)


def upgrade_agent(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """An operator's: to a bundle that is sound, or broken in one way or another."""
    if instance_id is not None:
        sound = work.stream.random() < SOUND_BUNDLE or not work.careless
        chosen = work.stream.choice([each for each in BUNDLES if not sound or each.sound])
        body = {"upgrade_agent": msgspec.to_builtins(chosen.asked)}
        path = f"/mgmt/instances/{instance_id}/action"
        work.request(tenant, "POST", path, body, admin=True)


def expel(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """An operator's: the guest was stolen. Often its instance is rebuilt soon."""
    if instance_id is None:
        return
    path = f"/mgmt/instances/{instance_id}/action"
    work.request(tenant, "POST", path, {"expel": {}}, admin=True)
    if work.stream.random() < 0.5:
        work.world.kernel.sleep(work.stream.random() * REBUILD_SECONDS)
        rebuild(work, tenant, instance_id)


def roll_out(work: Clients, tenant: Tenant, _: str | None) -> None:
    """An operator's: instances of a version, of a project or all, on its image; some are stopped.

    Now and then the image is of another version, whose engine does not touch the data.
    """
    stream, datastore = work.stream, work.datastore()
    first, newer = FIRST[datastore].name, NEWER[datastore].name
    name = stream.choice((first, first, newer))
    image = name
    if work.careless and stream.random() < WRONG_IMAGE:
        image = stream.choice([each.name for each in of(datastore)])
    asked: dict[str, Any] = {"image_id": IMAGES[image], "datastore_version": name}
    asked["at_once"], asked["tolerate"] = stream.randint(1, 3), stream.randrange(3)
    if stream.random() < 0.5:
        asked["project_id"] = tenant.name
    reply = work.request(tenant, "POST", "/mgmt/rollouts", {"rollout": asked}, admin=True)
    work.request(tenant, "GET", "/mgmt/rollouts", admin=True)
    if reply.status == 202 and stream.random() < 0.3:
        work.world.kernel.sleep(stream.random() * REBUILD_SECONDS)
        path = f"/mgmt/rollouts/{reply.document['rollout']['id']}"
        work.request(tenant, "DELETE", path, admin=True)
        work.request(tenant, "GET", path, admin=True)


def quota(work: Clients, tenant: Tenant, _: str | None) -> None:
    """An operator lowers a limit, perhaps below what is used, or sets all right again."""
    resource = work.stream.choice(list(LOWERED))
    chosen = work.stream.choice((*LOWERED[resource], None, None))
    set_quota(work, tenant, USUAL_LIMITS if chosen is None else {resource: chosen})


def set_quota(work: Clients, tenant: Tenant, wanted: dict[str, int]) -> None:
    """An operator sets limits of a tenant; the workload remembers whose are not the usual ones."""
    assert set(wanted) <= set(RESOURCES)
    body = {"quotas": wanted}
    reply = work.request(tenant, "PUT", f"/mgmt/quotas/{tenant.name}", body, admin=True)
    if reply.status == 200 and wanted != USUAL_LIMITS:
        work.lowered[tenant.name] = None


def force_delete(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """As Trove's client does it: an operator's reset of the status, then the delete."""
    if instance_id is None:
        return
    path = f"/instances/{instance_id}"
    if work.stream.random() < 0.5:
        body = {"force_delete": {"ignore_protection": True} if work.stream.random() < 0.3 else {}}
        work.request(tenant, "POST", f"{path}/action", body, admin=True)
    else:
        work.request(tenant, "POST", f"{path}/action", {"reset_status": {}}, admin=True)
        work.request(tenant, "DELETE", path)


def reset_status(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    if instance_id is not None:
        path = f"/instances/{instance_id}/action"
        work.request(tenant, "POST", path, {"reset_status": {}}, admin=True)
