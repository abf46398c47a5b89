"""What tenants ask for about their instances."""

from __future__ import annotations

from typing import Any, Final

from chalicelib import engines
from chalicelib.engines.engine import Part
from simulator.actions.asking import UNFIT, Ask, datastore_of
from simulator.actions.contents import new_user
from simulator.clients import Clients, Tenant
from simulator.inputs import DATASTORE
from simulator.versions import FIRST, NEWER, of
from simulator.world import SECOND_ID

LISTS: Final = (
    *("/instances", "/instances/detail", "/instances/detail?sort_key=created&sort_dir=desc"),
    "/instances?status=ACTIVE&limit=2&sort_key=name",
)
STATUSES: Final = ("ACTIVE", "STOPPED", "ERROR")
"""Those in which an instance stays."""
ELSEWHERE: Final = 0.3
"""Share of the creates whose tenant chooses a network."""
LOCALITIES: Final = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


def create(work: Clients, tenant: Tenant, _: str | None) -> None:
    """A new instance, half of the time with databases and users in it from the begin."""
    datastore = work.datastore()
    body = creation(work.name("db"), work.stream.randrange(1, 4), datastore)
    fits = engines.can(datastore, Part.USERS) or work.stream.random() < UNFIT
    if fits and work.stream.random() < 0.5:
        body["instance"]["databases"] = [{"name": "first"}]
        body["instance"]["users"] = [new_user(work, "owner", ["first"])]
    if work.stream.random() < 0.5:
        body["instance"]["access"] = access_of(work)
    if work.stream.random() < 0.2:
        body["instance"]["locality"] = work.stream.choice(LOCALITIES)
    if work.stream.random() < ELSEWHERE:
        body["instance"]["nics"] = [{"network_id": SECOND_ID}]
    reply = work.post(tenant, "/instances", body)
    if reply.status == 200:
        work.learn(tenant, reply)


def access_of(work: Clients) -> dict[str, Any]:
    """Who may reach an instance: any two requests of a run often say the same."""
    chosen: dict[str, Any] = {"is_public": work.stream.random() < 0.5}
    if work.stream.random() < 0.5:
        networks = (f"10.{number}.0.0/16" for number in range(4))
        chosen["allowed_cidrs"] = [each for each in networks if work.stream.random() < 0.5]
    return chosen


def creation(name: str, size_gib: int, datastore: str = DATASTORE) -> dict[str, Any]:
    """The body of a create."""
    return {
        "instance": {
            "name": name,
            "flavorRef": "1",
            "volume": {"size": size_gib},
            "datastore": {"type": datastore, "version": FIRST[datastore].name},
        }
    }


def delete(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", "")


def show(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", "")


def list_instances(work: Clients, tenant: Tenant, _: str | None) -> None:
    labelled = f"/instances?tags={work.name('tag')}"
    being = f"/instances?status={work.stream.choice(STATUSES)}"
    work.request(tenant, "GET", work.stream.choice((*LISTS, labelled, being)))


def list_operations(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", "/operations")


def list_events(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Of all instances, of one, or of what its guest tells."""
    narrowed = ("", f"?instance={instance_id}" if instance_id else "", "?kind=guest&limit=5")
    work.request(tenant, "GET", f"/events{work.stream.choice(narrowed)}")


def plan(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """What a request would come to: nothing is done."""
    path = f"/instances/{instance_id}"
    created = creation(work.name("db"), work.stream.randrange(1, 13), work.datastore())
    method, target, body = work.stream.choice(
        (
            ("POST", "/instances", created),
            ("POST", f"{path}/action", {"resize": {"volume": {"size": work.stream.randrange(13)}}}),
            ("POST", f"{path}/action", {"restart": {}}),
            ("DELETE", path, None),
        )
    )
    if instance_id is not None:
        work.request(tenant, method, f"{target}?dry_run=true", body)


def cancel(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """The newest operation of an instance, whatever it is and however far it has come.

    A tenant's, or an operator's, who alone may cancel a rebuild.
    """
    if instance_id is None:
        return
    path, admin = f"/instances/{instance_id}/operations", work.stream.random() < 0.5
    reply = work.request(tenant, "GET", f"{path}?limit=1", admin=admin)
    for operation in reply.document["operations"] if reply.status == 200 else ():
        work.request(tenant, "DELETE", f"{path}/{operation['id']}", admin=admin)


def restart(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/action", {"restart": {}})


def stop(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/action", {"stop": {}})


def start(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/action", {"start": {}})


def upgrade(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Often to one that works: what it has, an older one and another major are refused."""
    datastore = datastore_of(tenant, instance_id)
    names = [each.name for each in of(datastore) if each.works or work.careless]
    name = NEWER[datastore].name if work.stream.random() < 0.4 else work.stream.choice(names)
    body = {"instance": {"datastore_version": name}}
    Ask(work, tenant, instance_id)("PATCH", "", body)


def resize_volume(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Often no more than it has, now and then more than there may be."""
    body = {"resize": {"volume": {"size": work.stream.randrange(1, 13)}}}
    Ask(work, tenant, instance_id)("POST", "/action", body)


def resize_flavor(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Mostly between two that have the same disk; some have a smaller one than the server's."""
    body = {"resize": {"flavorRef": work.stream.choice(("1", "4", "1", "4", "2"))}}
    Ask(work, tenant, instance_id)("POST", "/action", body)


def rename(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("PUT", "", {"instance": {"name": work.name("renamed")}})


def protect(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Protect an instance against deletion, or more often no more; some tags besides."""
    wanted: dict[str, Any] = {"deletion_protection": work.stream.random() < 0.4}
    if work.stream.random() < 0.3:
        wanted["tags"] = sorted({work.name("tag"), work.name("tag")})
    Ask(work, tenant, instance_id)("PUT", "", {"instance": wanted})


def update_access(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("PUT", "", {"instance": {"access": access_of(work)}})


def limits(work: Clients, tenant: Tenant, _: str | None) -> None:
    work.request(tenant, "GET", "/limits")
