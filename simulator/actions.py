"""What tenants, their applications and operators ask for: each action is one coroutine's work.

Names are drawn from a few, so that requests meet each other's things; lists in bodies are as long
as the plan allows. A tenant forgets an instance that is said to be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from chalicelib import engines
from chalicelib.domain.archives import moment
from chalicelib.domain.archives import shown as as_time
from chalicelib.domain.quotas import RESOURCES
from chalicelib.engines.engine import Part
from chalicelib.status import RESTART_REQUIRED
from simulator.clients import NAMES, Clients, Tenant
from simulator.cloud.model.settings import HOSTS
from simulator.fleet.releases import BUNDLES
from simulator.inputs import DATASTORE
from simulator.invariants.marks import SECRET_MARK
from simulator.versions import FIRST, IMAGES, NEWER, of

USUAL_LIMITS: Final = {"instances": 10, "volumes": 40, "ram": -1}
REBUILD_SECONDS: Final = 300.0
LOWERED: Final = {"instances": (0, 1, 3), "volumes": (0, 1, 3), "ram": (0, 512, 1024, 2048)}

LISTS: Final = (
    *("/instances", "/instances/detail", "/instances/detail?sort_key=created&sort_dir=desc"),
    "/instances?status=ACTIVE&limit=2&sort_key=name",
)
WRONG_IMAGE: Final = 0.1
"""Share of the rebuilds whose operator takes any image."""
SOUND_BUNDLE: Final = 0.6
"""Share of the upgrades of agents whose bundle is sound for certain."""
UNFIT: Final = 0.15
"""Share of what a datastore has not that is asked for all the same, to be refused."""
STATUSES: Final = ("ACTIVE", "STOPPED", "ERROR")
"""Those in which an instance stays."""

SETTINGS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "mariadb": {
        "max_connections": (40, 50, 60),
        "wait_timeout": (60, 70),
        "innodb_sort_buffer_size": (2**21, 2**22),
    },
    "postgresql": {"work_mem": (4096, 8192), "max_connections": (40, 50)},
    "redis": {"maxclients": (100, 200), "hz": (10, 20)},
}
"""Of each datastore some that the running engine takes, and one that it takes at a start."""
UNKNOWN_PARAMETER: Final = 0.05
"""Share of the values with a parameter that is offered by none."""

INCREMENTAL: Final = 0.4
NAMED_PARENT: Final = 0.3
"""Shares of the backups that build on the newest one of their instance, or on one that is named."""

CASCADING: Final = 0.3
"""Share of the deletes of backups that take along what builds on them."""
CONTAINERS: Final = ("nightly", "by hand")
"""Of each tenant's, in Swift."""

SOON_MINUTES: Final = 3
"""A schedule's first time comes within so many: a run of the swarm lasts only a few."""
MOST_CHAIN: Final = 3
HOURLY: Final = 0.2
ON: Final = 0.7
"""Shares of the schedules of an interval, and of the changes that switch one on."""
ARCHIVED: Final = 0.3
"""Share of the schedules, and of their changes, that have a log archived."""
SEEN_SECONDS: Final = 5.0
BEGUN_SECONDS: Final = 90.0
"""So long after a start of the database its archive has begun, in good weather."""
IMPOSSIBLE: Final = 0.1
"""Share of the moments that no archive has."""
ZONES: Final = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")

LOCALITIES: Final = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")

Action = Callable[[Clients, Tenant, str | None], None]


class Ask:
    """The way of one action to the API: whose it is, and which instance it is about."""

    def __init__(self, work: Clients, tenant: Tenant, instance_id: str | None) -> None:
        self.work = work
        self.tenant = tenant
        self.instance_id = instance_id

    def __call__(self, method: str, path: str, body: Any = None) -> None:
        """A request on the instance; one that is gone is forgotten."""
        if self.instance_id is None:
            return
        whole = f"/instances/{self.instance_id}{path}"
        if method == "POST":
            self.work.post(self.tenant, whole, body)
            return
        reply = self.work.request(self.tenant, method, whole, body)
        if reply.status == 404 and not path:
            self.tenant.instances.pop(self.instance_id, None)


def create(work: Clients, tenant: Tenant, _: str | None) -> None:
    """A new instance, half of the time with databases and users in it from the begin."""
    datastore = work.datastore()
    body = creation(work.name("db"), work.stream.randrange(1, 4), datastore)
    fits = engines.can(datastore, Part.USERS) or work.stream.random() < UNFIT
    if fits and work.stream.random() < 0.5:
        body["instance"]["databases"] = [{"name": "first"}]
        body["instance"]["users"] = [_user(work, "owner", ["first"])]
    if work.stream.random() < 0.5:
        body["instance"]["access"] = _access(work)
    if work.stream.random() < 0.2:
        body["instance"]["locality"] = work.stream.choice(LOCALITIES)
    reply = work.post(tenant, "/instances", body)
    if reply.status == 200:
        work.learn(tenant, reply)


def _access(work: Clients) -> dict[str, Any]:
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


def _datastore_of(tenant: Tenant, instance_id: str | None) -> str:
    return tenant.instances.get(instance_id or "", DATASTORE)


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


# ------------------------------------------------------------------------------------- users


def create_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    grants = [work.name("schema")] if work.stream.random() < 0.3 else []
    users = [_user(work, name, grants) for name in work.several("user")]
    Ask(work, tenant, instance_id)("POST", "/users", {"users": users})


def list_users(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    limit = f"?limit={work.stream.randrange(1, NAMES)}" if work.stream.random() < 0.3 else ""
    Ask(work, tenant, instance_id)("GET", f"/users{limit}")


def show_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", f"/users/{quote(work.name('user'))}")


def change_password(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    users = [
        {"name": name, "password": _user(work, name, [])["password"]}
        for name in work.several("user")
    ]
    Ask(work, tenant, instance_id)("PUT", "/users", {"users": users})


def change_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Another name, or another password, for one user."""
    changed = _user(work, work.name("user"), [])
    chosen = work.stream.choice(("name", "password"))
    path = f"/users/{quote(work.name('user'))}"
    Ask(work, tenant, instance_id)("PUT", path, {"user": {chosen: changed[chosen]}})


def delete_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", f"/users/{quote(work.name('user'))}")


def grant(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    body = {"databases": [{"name": name} for name in work.several("schema")]}
    Ask(work, tenant, instance_id)("PUT", f"/users/{quote(work.name('user'))}/databases", body)


def list_access(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", f"/users/{quote(work.name('user'))}/databases")


def revoke(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    path = f"/users/{quote(work.name('user'))}/databases/{work.name('schema')}"
    Ask(work, tenant, instance_id)("DELETE", path)


def _user(work: Clients, name: str, databases: list[str]) -> dict[str, Any]:
    password = f"{SECRET_MARK}{work.names.getrandbits(64):016x}"
    return {"name": name, "password": password, "databases": [{"name": d} for d in databases]}


# --------------------------------------------------------------------------------- databases


def create_database(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    body = {"databases": [{"name": name} for name in work.several("schema")]}
    Ask(work, tenant, instance_id)("POST", "/databases", body)


def list_databases(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    limit = f"?limit={work.stream.randrange(1, NAMES)}" if work.stream.random() < 0.3 else ""
    Ask(work, tenant, instance_id)("GET", f"/databases{limit}")


def delete_database(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", f"/databases/{work.name('schema')}")


def write(work: Clients, _: Tenant, instance_id: str | None) -> None:
    """An application writes a row; no call of the API."""
    fleet = work.world.fleet
    for guest in fleet.of_instance(instance_id or ""):
        fleet.write(guest.server_id, work.name("schema"), work.name("key"), work.name("value"))


# ------------------------------------------------------------------------------ the instance


def enable_root(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/root")


def show_root(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", "/root")


def disable_root(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", "/root")


def restart(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/action", {"restart": {}})


def stop(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/action", {"stop": {}})


def start(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/action", {"start": {}})


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
    datastore = _datastore_of(tenant, instance_id)
    name = FIRST[datastore].name
    if shown.status == 200:
        name = shown.document["instance"]["datastore"]["version"]
    if work.careless and work.stream.random() < WRONG_IMAGE:
        name = work.stream.choice([each.name for each in of(datastore)])
    body = {"rebuild": {"image_id": IMAGES[name]}}
    work.request(tenant, "POST", f"{path}/action", body, admin=True)


def upgrade(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Often to one that works: what it has, an older one and another major are refused."""
    datastore = _datastore_of(tenant, instance_id)
    names = [each.name for each in of(datastore) if each.works or work.careless]
    name = NEWER[datastore].name if work.stream.random() < 0.4 else work.stream.choice(names)
    body = {"instance": {"datastore_version": name}}
    Ask(work, tenant, instance_id)("PATCH", "", body)


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
    Ask(work, tenant, instance_id)("PUT", "", {"instance": {"access": _access(work)}})


def limits(work: Clients, tenant: Tenant, _: str | None) -> None:
    work.request(tenant, "GET", "/limits")


# --------------------------------------------------------------------------------- operators


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


# -------------------------------------------------------------------- configuration groups


def create_group(work: Clients, tenant: Tenant, _: str | None) -> None:
    datastore = work.datastore()
    named = {"type": datastore, "version": FIRST[datastore].name}
    body = {"name": work.name("group"), "values": _values(work, datastore), "datastore": named}
    reply = work.post(tenant, "/configurations", {"configuration": body})
    if reply.status == 200:
        tenant.groups[reply.document["configuration"]["id"]] = datastore


def change_group(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Some of its values, or all of them."""
    group = _group(work, tenant)
    if group is not None:
        body = {"configuration": {"values": _values(work, tenant.groups[group])}}
        method = work.stream.choice(("PATCH", "PATCH", "PUT"))
        work.request(tenant, method, f"/configurations/{group}", body)


def list_groups(work: Clients, tenant: Tenant, _: str | None) -> None:
    """All, or what there is to know of one."""
    group = _group(work, tenant)
    below = ("", "") if group is None else ("", f"/{group}", f"/{group}/instances")
    work.request(tenant, "GET", f"/configurations{work.stream.choice(below)}")


def delete_group(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Many are in use, which is refused."""
    group = _group(work, tenant)
    if group is not None:
        reply = work.request(tenant, "DELETE", f"/configurations/{group}")
        if reply.status in (202, 404):
            tenant.groups.pop(group, None)


def attach(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    group = _group(work, tenant)
    if group is not None:
        Ask(work, tenant, instance_id)("PUT", "", {"instance": {"configuration": group}})


def detach(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("PUT", "", {"instance": {"configuration": None}})


def _group(work: Clients, tenant: Tenant) -> str | None:
    return work.stream.choice(list(tenant.groups)) if tenant.groups else None


def _values(work: Clients, datastore: str) -> dict[str, Any]:
    """One or two parameters, of which one needs a start; now and then one that there is not."""
    known = SETTINGS[datastore]
    names = work.stream.sample(sorted(known), work.stream.randrange(1, len(known) + 1))
    values: dict[str, Any] = {name: work.stream.choice(known[name]) for name in names}
    if work.stream.random() < UNKNOWN_PARAMETER:
        values["datadir"] = "elsewhere"
    return values


# ------------------------------------------------------------------------------------- backups


def create_backup(
    work: Clients, tenant: Tenant, instance_id: str | None, container: str | None = None
) -> None:
    """Of all, of what has changed since the newest, or since one that is named, which often cannot
    be built on."""
    if instance_id is None:
        return
    body: dict[str, Any] = {"name": work.name("backup"), "instance": instance_id}
    if container is not None:
        body["swift_container"] = container
    how = work.stream.random()
    parents = [each for each, (_, source) in tenant.backups.items() if source == instance_id]
    if how < INCREMENTAL:
        body["incremental"] = 1
    elif how < INCREMENTAL + NAMED_PARENT and parents:
        body["parent_id"] = work.stream.choice(parents)
    reply = work.post(tenant, "/backups", {"backup": body})
    if reply.status == 202:
        work.learn_backup(tenant, reply)


def create_backup_in_container(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """The same in one of two containers of the tenant's: a chain lies in one of them."""
    create_backup(work, tenant, instance_id, work.stream.choice(CONTAINERS))


def list_backups(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """All, those of an instance, or one."""
    backup = _backup(work, tenant)
    paths = ["/backups", "/backups?limit=2"]
    if instance_id is not None:
        paths += [f"/backups?instance_id={instance_id}", f"/instances/{instance_id}/backups"]
    if backup is not None:
        paths += [f"/backups/{backup}"] * 2
    work.request(tenant, "GET", work.stream.choice(paths))


def restore(work: Clients, tenant: Tenant, _: str | None) -> None:
    """An instance with the data of a backup, now and then one that is not complete."""
    backup = _backup(work, tenant)
    if backup is None:
        return
    datastore, _source = tenant.backups[backup]
    body = creation(work.name("restored"), work.stream.randrange(1, 4), datastore)
    body["instance"]["restorePoint"] = {"backupRef": backup}
    if work.stream.random() < 0.5:
        del body["instance"]["datastore"]
    if engines.can(datastore, Part.USERS) and work.stream.random() < 0.2:
        body["instance"]["users"] = [_user(work, work.name("user"), [])]
    reply = work.post(tenant, "/instances", body)
    if reply.status == 200:
        work.learn(tenant, reply)


def delete_backup(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Some are built on, which is refused unless that goes too, some are being restored."""
    backup = _backup(work, tenant)
    if backup is None:
        return
    more = "?cascade=true" if work.stream.random() < CASCADING else ""
    if work.request(tenant, "DELETE", f"/backups/{backup}{more}").status == 404:
        tenant.backups.pop(backup, None)


def verify_backup(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Some are not complete, or their instance is gone."""
    backup = _backup(work, tenant)
    if backup is not None:
        work.post(tenant, f"/backups/{backup}/action", {"verify": {}})


def delete_after_backup(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    if instance_id is not None:
        name = work.name("last")
        work.request(
            tenant, "DELETE", f"/instances/{instance_id}?final_backup=true&backup_name={name}"
        )


def _backup(work: Clients, tenant: Tenant) -> str | None:
    return work.stream.choice(list(tenant.backups)) if tenant.backups else None


def create_schedule(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Backups again and again: soon and each quarter of an hour, or each hour; some are kept."""
    if instance_id is None:
        return
    datastore = _datastore_of(tenant, instance_id)
    fits = engines.ENGINES[datastore].incremental_backups or work.stream.random() < UNFIT
    body = {
        "name": work.name("schedule"),
        "instance": instance_id,
        "full_every": work.stream.randrange(1, MOST_CHAIN + 1) if fits else 1,
        **_times(work),
        **_keeping(work),
        **_trying(work),
        "point_in_time": work.stream.random() < ARCHIVED,
    }
    if work.stream.random() < UNFIT:
        path = "/backup_schedules?dry_run=true"
        work.request(tenant, "POST", path, {"backup_schedule": body})  # whose key is not kept
        return
    reply = work.post(tenant, "/backup_schedules", {"backup_schedule": body})
    if reply.status == 200:
        work.learn_schedule(tenant, reply)
        if body["point_in_time"]:
            tenant.archived[instance_id] = datastore


def change_schedule(work: Clients, tenant: Tenant, _: str | None) -> None:
    """Other times, more or fewer that are kept or tried out, the log archived or not, on or off."""
    schedule = _schedule(work, tenant)
    if schedule is None:
        return
    log, on = work.stream.random() < ARCHIVED, work.stream.random() < ON
    chosen = (
        *(_times(work), _keeping(work), _trying(work)),
        *({"enabled": on}, {"point_in_time": log}),
    )
    body = {"backup_schedule": work.stream.choice(chosen)}
    work.request(tenant, "PUT", f"/backup_schedules/{schedule}", body)


def list_schedules(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """All, those of an instance, or one."""
    schedule = _schedule(work, tenant)
    paths = ["/backup_schedules", f"/backup_schedules?instance_id={instance_id}&limit=1"]
    if schedule is not None:
        paths += [f"/backup_schedules/{schedule}"]
    work.request(tenant, "GET", work.stream.choice(paths))


def delete_schedule(work: Clients, tenant: Tenant, _: str | None) -> None:
    schedule = _schedule(work, tenant)
    if schedule is not None:
        reply = work.request(tenant, "DELETE", f"/backup_schedules/{schedule}")
        if reply.status in (202, 404):
            tenant.schedules.pop(schedule, None)


def _schedule(work: Clients, tenant: Tenant) -> str | None:
    return work.stream.choice(list(tenant.schedules)) if tenant.schedules else None


def _times(work: Clients) -> dict[str, Any]:
    if work.stream.random() < HOURLY:
        return {"interval_hours": 1}
    first = int(work.world.kernel.now // 60) + work.stream.randrange(1, SOON_MINUTES)
    minutes = sorted((first + quarter * 15) % 60 for quarter in range(4))
    zone = work.stream.choice(ZONES)
    return {"cron": f"{','.join(map(str, minutes))} * * * *", "time_zone": zone}


def _keeping(work: Clients) -> dict[str, Any]:
    counts, days = work.stream.choice((None, 1, 1, 2, 3)), work.stream.choice((None, None, 1))
    return {"keep_count": counts, "keep_days": days}


def _trying(work: Clients) -> dict[str, Any]:
    return {"verify_every": work.stream.choice((None, None, 1, 2))}


# ------------------------------------------------------------------------------------- moments


def archive_log(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Have a log archived, with what that needs: a restart where the engine begins it with one, and
    a backup that it goes on from."""
    if instance_id is None:
        return
    body = {
        "name": work.name("schedule"),
        "instance": instance_id,
        "interval_hours": 1,
        "point_in_time": True,
    }
    reply = work.post(tenant, "/backup_schedules", {"backup_schedule": body})
    if reply.status != 200:
        return
    work.learn_schedule(tenant, reply)
    tenant.archived[instance_id] = _datastore_of(tenant, instance_id)
    work.world.kernel.sleep(work.stream.random() * SEEN_SECONDS)
    path = f"/instances/{instance_id}"
    shown = work.request(tenant, "GET", path)
    if shown.status == 200 and shown.document["instance"]["status"] == RESTART_REQUIRED:
        work.post(tenant, f"{path}/action", {"restart": {}})
    work.world.kernel.sleep(BEGUN_SECONDS)
    create_backup(work, tenant, instance_id)


def restore_to_moment(work: Clients, tenant: Tenant, _: str | None) -> None:
    """An instance as another one was, which may be gone, at a moment that an archive has; now and
    then at one that none has."""
    if not tenant.archived:
        return
    source = work.stream.choice(list(tenant.archived))
    told = work.request(tenant, "GET", f"/instances/{source}/archives")
    archives = told.document["archives"] if told.status == 200 else []
    ranges = [
        (moment(each["restorable_from"]), moment(each["restorable_until"]))
        for each in archives
        if each["restorable_from"] is not None
    ]
    now_ms = int(work.world.kernel.now * 1000)
    since, until = work.stream.choice(ranges) if ranges else (now_ms, now_ms)
    at_ms = work.stream.randint(since, until)
    if work.stream.random() < IMPOSSIBLE:
        at_ms = work.stream.choice((since - 1, until + 1000))
    datastore = tenant.archived[source]
    body = creation(work.name("restored"), work.stream.randrange(1, 4), datastore)
    body["instance"]["restorePoint"] = {"instance": source, "time": as_time(at_ms)}
    if work.stream.random() < 0.5:
        del body["instance"]["datastore"]
    reply = work.post(tenant, "/instances", body)
    if reply.status == 200:
        work.learn(tenant, reply)


def purge_log(work: Clients, _: Tenant, instance_id: str | None) -> None:
    """The owner of a database removes what is kept of its log, with what was written just now; no
    call of the API."""
    fleet = work.world.fleet
    for guest in fleet.of_instance(instance_id or ""):
        for number in range(NAMES):
            fleet.write(guest.server_id, f"schema{number}", work.name("key"), work.name("value"))
        fleet.purge_log(guest.server_id)


ACTIONS: Final[dict[str, Action]] = {
    "list": list_instances,
    **{
        action.__name__: action
        for action in (
            *(create, delete, show, list_operations, list_events, cancel, rename, protect),
            *(update_access, restart, resize_volume, resize_flavor, plan),
            *(stop, start, reboot, migrate, rebuild, upgrade, upgrade_agent, expel, roll_out),
            *(create_user, list_users, show_user, change_password, change_user, delete_user),
            *(grant, list_access, revoke, create_database, list_databases, delete_database, write),
            *(enable_root, show_root, disable_root, limits, quota, force_delete, reset_status),
            *(create_group, change_group, list_groups, delete_group, attach, detach),
            *(
                create_backup,
                list_backups,
                restore,
                delete_backup,
                verify_backup,
                delete_after_backup,
            ),
            create_backup_in_container,
            *(create_schedule, change_schedule, list_schedules, delete_schedule),
            *(archive_log, restore_to_moment, purge_log),
        )
    },
}
"""All actions by the name that a plan's mix uses."""
_BY_PART: Final = {
    Part.USERS: (create_user, list_users, show_user, change_password, change_user, delete_user),
    Part.ACCESS: (grant, list_access, revoke),
    Part.DATABASES: (create_database, list_databases, delete_database),
    Part.ROOT: (enable_root, show_root, disable_root),
    Part.UPGRADES: (upgrade,),
    Part.BACKUPS: (
        create_backup,
        create_backup_in_container,
        create_schedule,
        delete_after_backup,
    ),
    Part.LOG: (archive_log, purge_log),
}
PART_OF: Final = {action.__name__: part for part, all_of in _BY_PART.items() for action in all_of}
"""The part of the guest contract that an action asks for, where it is not every engine's."""
