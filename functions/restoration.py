"""What an operator runs after a restore of tables, a page at a time: see `store.restoring`.

    restore_rows     each row against the operations since then
    adopt            what is in the cloud and has no row, made a row again or told
    restore_groups   configuration groups, see `functions.restoration_of_groups`
    recount_quotas   each tenant's counters against its rows
    tell_lost        backups of which nothing but their operation is known

Every page answers where the next one begins (`next`), so that a run is as long as its caller wants;
`check` changes nothing. Running a page again changes nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from chalicelib import engines
from chalicelib.bus import queues
from chalicelib.cloud import names, network, servers, volumes
from chalicelib.domain import instances as rules
from chalicelib.domain.flows import ADMITTING, FLOWS
from chalicelib.domain.operations import OperationAction
from chalicelib.outages import is_outage
from chalicelib.status import Status
from chalicelib.store import (
    guests,
    instances,
    restoring,
    restoring_archives,
    restoring_backups,
    restoring_many,
)
from chalicelib.store.base import ConditionFailed, Table
from chalicelib.store.models import (
    Archive,
    Backup,
    Configuration,
    Instance,
    Quota,
    Rollout,
    Subject,
)
from functions import access, kept_volumes, power, restoration_of_snapshots

PAGE_ROWS: Final = 100
PAGE_LOST: Final = 5
"""Instances whose lost backups are looked for at once: each of their operations may be of one,
which is a query, and the function has 20 seconds."""
PAGE_THINGS: Final = 100
REPLACING: Final = frozenset(ADMITTING) - {
    *(OperationAction.CREATE, OperationAction.RESTORE, OperationAction.RESTORE_SNAPSHOT)
}
_SERVERS: Final = "servers"
_VOLUMES: Final = "volumes"
_SNAPSHOTS: Final = "snapshots"
_AFTER: Final = {_SERVERS: _VOLUMES, _VOLUMES: _SNAPSHOTS}
log = logging.getLogger(__name__)

_Wrong = Callable[[Any], tuple[str, Any] | None]
_Mend = Callable[[Any, str, Any], None]


def _mend_row(row: Subject, _: str, actions: Any) -> None:
    restoring_many.mend(row, actions)


_OTHERS: Final[dict[str, tuple[type[Table], _Wrong, _Mend, str]]] = {
    "rollouts": (Rollout, restoring_many.wrong, _mend_row, "configurations"),
    "configurations": (Configuration, restoring_many.wrong, _mend_row, "backups"),
    "backups": (Backup, restoring_backups.wrong, _mend_row, "chains"),
    "chains": (Backup, restoring_backups.miscounted, _mend_row, "archives"),
    "archives": (Instance, restoring_archives.wrong, restoring_archives.mend, "logs"),
    "logs": (Archive, restoring_archives.nobodys, restoring_archives.end, ""),
}
"""The parts beside the instances: whose rows, what is wrong with one, how that is mended, and which
comes next."""


class Page(msgspec.Struct, frozen=True):
    """What an operator asks for: a page (the first has no part), and whether only to tell."""

    check: bool = False
    after: str | None = None
    part: str = ""


def restore_rows(event: dict[str, Any]) -> dict[str, Any]:
    """Put a page of rows right by their operations: of instances, then of what else has some."""
    asked = msgspec.convert(event, Page)
    if asked.part in _OTHERS:
        return _restore_others(asked)
    rows = scan(Instance, _key("id", asked.after))
    told = _put_right(asked, rows, restoring.wrong, restoring.mend)
    following = _after("id", rows.last_evaluated_key)
    return {"told": told, "next": following or {"part": next(iter(_OTHERS))}}


def _restore_others(asked: Page) -> dict[str, Any]:
    model, wrong, mend, then = _OTHERS[asked.part]
    rows = scan(model, _key("id", asked.after))
    told = _put_right(asked, rows, wrong, mend)
    if following := _after("id", rows.last_evaluated_key):
        return {"told": told, "next": {"part": asked.part, **following}}
    return {"told": told, "next": {"part": then} if then else None}


def _put_right(
    asked: Page,
    rows: Iterable[Any],
    wrong: _Wrong,
    mend: _Mend,
) -> list[str]:
    """Put each row of a page right, if it is to be; what was wrong of each.

    One that nobody can judge is told as that: the others are put right all the same.
    """
    told = []
    for row in rows:
        name = _name(row)
        try:
            if found := wrong(row):
                what, actions = found
                told.append(f"{name}: {what}")
                if not asked.check:
                    mend(row, what, actions)
        except ConditionFailed:
            told.append(f"{name}: it has changed meanwhile; look again")
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("%s could not be put right", name)
            told.append(f"{name}: cannot be put right ({type(error).__name__}); the log says more")
    return told


def _name(row: Any) -> str:
    if isinstance(row, Instance):
        return str(row.id)
    kind = "log archive" if isinstance(row, Archive) else row.kind
    return f"{kind} {row.id}"


def recount_quotas(event: dict[str, Any]) -> dict[str, Any]:
    """Count again what a page of tenants holds."""
    asked = msgspec.convert(event, Page)
    rows = scan(Quota, _key("tenant_id", asked.after))
    told = [
        f"{row.tenant_id}: {difference}"
        for row in rows
        if (difference := restoring.recount(row.tenant_id, check=asked.check))
    ]
    return {"told": told, "next": _after("tenant_id", rows.last_evaluated_key)}


def adopt(event: dict[str, Any]) -> dict[str, Any]:
    """Adopt what a page of the cloud's servers, of its volumes, then of its snapshots shows to
    have no row."""
    asked = msgspec.convert(event, Page)
    part = asked.part or _SERVERS
    if part == _SNAPSHOTS:
        of_backups, last = restoration_of_snapshots.adopt_page(
            asked.after, PAGE_THINGS, check=asked.check
        )
        return {"told": of_backups, "next": {"part": part, "after": last} if last else None}
    look = servers.page if part == _SERVERS else volumes.page
    page: list[servers.Server] | list[volumes.Volume] = look(asked.after, PAGE_THINGS)
    owned = {thing.owner: thing.metadata for thing in page if thing.owner is not None}
    kept = {each.kept_for for each in page if isinstance(each, volumes.Volume) and each.kept_for}
    rows = instances.find_instances(owned.keys() | kept)
    told = [
        f"{owner}: {_adopted(owner, metadata, check=asked.check)}"
        for owner, metadata in owned.items()
        if owner not in rows
    ]
    told += kept_volumes.doubtful((v for v in page if isinstance(v, volumes.Volume)), rows)
    following = {"part": part, "after": page[-1].id} if page else {"part": _AFTER[part]}
    return {"told": told, "next": following}


def tell_lost(event: dict[str, Any]) -> dict[str, Any]:
    """Tell which backups of a page of instances are lost: the last job, when all that can be found
    again has its row. It tells the same whenever it is run; nothing is there to be done."""
    asked = msgspec.convert(event, Page)
    rows = scan(Instance, _key("id", asked.after), PAGE_LOST)
    told = [
        f"backup {backup_id} of instance {operation.instance_id} of {operation.tenant_id}: is lost "
        "with its row, which held its key"
        for backup_id, operation in restoring_backups.lost(row.id for row in rows).items()
    ]
    following = _after("id", rows.last_evaluated_key)
    return {"told": told, "next": following}


def _adopted(instance_id: str, metadata: Any, *, check: bool) -> str:
    """What became of an instance without a row."""
    generation = metadata.get(names.GENERATION_KEY, "")
    record = names.record_in(metadata)
    row, running = None, restoring.under_way(instance_id)
    if record is not None and generation.isdecimal():
        present = max(int(generation), int(running.generation) if running else 0)
        row = restoring.row_from(instance_id, present, record)
    if row is None:
        return "cannot be adopted: its metadata holds no record of its row"
    awaited = running is not None and FLOWS[running.action].admits
    fault = None
    if missing := list(_gather(row)):
        if running is None or running.action not in REPLACING:
            row.resources = {}  # what has lost a part is not started; one of these makes it anew
        fault = f"Found again after a restore without {', '.join(missing)}; delete the instance."
    elif not awaited and guests.find(row.id, int(row.generation)) is None:
        fault = (
            "Found again after a restore without the key of its guest; rebuild the instance "
            "(openstack database instance rebuild)."
        )
    if not check and not restoring.adopt(row, fault):
        return "has a row meanwhile"
    return f"{row.name} of {row.tenant_id}" + (f": {fault}" if fault else "")


def _gather(row: Instance) -> Iterator[str]:
    """Write on the row what it owns in the cloud; yields the kinds of which there is not one."""
    ports, groups = network.find_ports(row.id), network.find_security_groups(row.id)
    disks = volumes.find(row.id)
    if disks:  # it may have grown since the record
        row.volume_size = disks[0].size
        row.held = {**row.held, "volumes": disks[0].size}
    machines = servers.find(row.id)
    if machines and machines[0].status == "SHUTOFF":
        row.status = Status.STOPPED
    if machines and (flavor := power.flavor_of(machines[0])):  # resized since the record
        row.flavor_id = flavor.id
        row.flavor_ram, row.flavor_vcpus = flavor.ram, flavor.vcpus
        row.held = {**row.held, "ram": int(flavor.ram)}
    ids: dict[str, list[str]] = {
        "server": [each.id for each in machines],
        "volume": [each.id for each in disks],
        "port": [each.id for each in ports],
        "security_group": [each.id for each in groups],
    }
    resources: dict[str, Any] = {"queue_url": queues.guest_queue_url(row.id, int(row.generation))}
    for kind, found in ids.items():
        if len(found) == 1:
            resources[f"{kind}_id"] = found[0]
        else:
            what = kind.replace("_", " ")
            yield f"its {what}" if not found else f"a single {what} ({len(found)} are there)"
    row.resources = resources
    floating = network.find_floating_addresses(row.id)
    if bool(floating) != bool((row.access or {}).get("is_public")):
        row.access = {**(row.access or {}), "is_public": bool(floating)}
    row.addresses = [address for port in ports for address in access.addresses(port, floating)]
    for group in groups:
        _open_as(row, group)


def _open_as(row: Instance, group: network.SecurityGroup) -> None:
    """Who may reach the database may have changed since the record: the rules are what holds."""
    ports = set(engines.tcp_ports(row.manager))
    now = sorted({rule.cidr for rule in group.rules if rule.port in ports})
    told = row.access or {}
    if now != sorted(rules.sources(told.get("allowed_cidrs") or [])):
        row.access = {**told, "allowed_cidrs": now}


def scan(model: type[Table], after: dict[str, Any] | None, limit: int | None = None) -> Any:
    """A page of rows as they are now: the job before has just written some of them."""
    return model.scan(limit=limit or PAGE_ROWS, last_evaluated_key=after, consistent_read=True)


def _key(name: str, after: str | None) -> dict[str, Any] | None:
    return {name: {"S": after}} if after is not None else None


def _after(name: str, key: dict[str, Any] | None) -> dict[str, Any] | None:
    return {"after": key[name]["S"]} if key else None
