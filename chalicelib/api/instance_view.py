"""An instance as Trove shows it, in a list and in detail. No call is made for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from chalicelib import aws, lifecycle
from chalicelib.api.frame import Request
from chalicelib.api.links import Link, Next
from chalicelib.api.response import View, one_of
from chalicelib.api.times import Naive, naive
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.status import RESTART_REQUIRED
from chalicelib.store import configurations
from chalicelib.store.models import Instance, ServiceStatusRow

STATUSES: Final = one_of(
    [*(each for each in Status if each is not Status.DELETED), RESTART_REQUIRED]
)
OPERATING: Final = one_of(
    ["", *dict.fromkeys(lifecycle.OPERATING_STATUS.values()), lifecycle.UNHEARD]
)

Given = msgspec.UnsetType


class FlavorNamed(View, frozen=True):
    """The flavor of an instance."""

    id: str
    links: list[Link]


class DatastoreNamed(View, frozen=True):
    """What runs in an instance, as it was named when it was made or upgraded."""

    type: str
    version: str
    version_number: str


class AccessView(View, frozen=True):
    """Who may reach an instance; without networks everybody who can reach its address."""

    is_public: bool
    allowed_cidrs: list[str]


class VolumeView(View, frozen=True):
    """The data volume; `size` in GiB, `used` too, as the guest has reported it."""

    size: int
    type: str | Given = msgspec.UNSET
    used: float | Given = msgspec.UNSET
    used_percent: float | Given = msgspec.UNSET


class AddressView(View, frozen=True):
    """An address of an instance, and the network that it is in."""

    address: str
    type: Annotated[str, one_of(("private", "public"))]
    network: str | Given = msgspec.UNSET


class ConfigurationNamed(View, frozen=True):
    """The configuration group of an instance."""

    id: str
    name: str
    links: list[Link]


class FaultView(View, frozen=True):
    """Why something failed last, or what the database is in trouble with."""

    message: str
    created: Naive


class InstanceSummary(View, frozen=True, kw_only=True):
    """An instance in a list. Administrators see whose it is."""

    id: str
    name: str
    status: Annotated[str, STATUSES]
    operating_status: Annotated[str, OPERATING]
    links: list[Link]
    flavor: FlavorNamed
    datastore: DatastoreNamed
    region: str
    access: AccessView
    volume: VolumeView
    description: str | None
    tags: list[str]
    deletion_protection: bool
    ip: list[str] | Given = msgspec.UNSET
    addresses: list[AddressView] | Given = msgspec.UNSET
    tenant_id: str | Given = msgspec.UNSET


class InstanceDetail(InstanceSummary, frozen=True, kw_only=True):
    """An instance. Administrators see its server and its volume."""

    created: Naive
    updated: Naive
    locality: str | Given = msgspec.UNSET
    service_status_updated: Naive | Given = msgspec.UNSET
    fault: FaultView | Given = msgspec.UNSET
    configuration: ConfigurationNamed | Given = msgspec.UNSET
    server_id: str | Given | None = msgspec.UNSET
    volume_id: str | Given | None = msgspec.UNSET
    encrypted_rpc_messaging: bool | Given = msgspec.UNSET


class InstanceList(View, frozen=True):
    """A page of instances."""

    instances: list[InstanceSummary]
    links: Next = msgspec.UNSET


class InstanceDetailList(View, frozen=True):
    """A page of instances, in detail."""

    instances: list[InstanceDetail]
    links: Next = msgspec.UNSET


class OneInstance(View, frozen=True):
    """One instance."""

    instance: InstanceDetail


def summary(request: Request, row: Instance, reported: ServiceStatusRow | None) -> InstanceSummary:
    """The item of a list; `reported` is what the guest said last, if it ever did."""
    place = request.place
    access = row.access or {}
    return InstanceSummary(
        id=row.id,
        name=row.name,
        status=row.shown_status,
        operating_status=_operating_status(row, reported),
        links=place.links("instances", row.id),
        flavor=FlavorNamed(row.flavor_id, place.links("flavors", row.flavor_id)),
        datastore=DatastoreNamed(
            row.datastore_name, row.datastore_version, row.datastore_version_number
        ),
        region=row.region,
        access=AccessView(bool(access.get("is_public")), list(access.get("allowed_cidrs") or [])),
        volume=VolumeView(int(row.volume_size)),
        description=row.description,
        tags=sorted(row.tags or ()),
        deletion_protection=bool(row.protected),
        ip=[each["address"] for each in row.addresses] or msgspec.UNSET,
        addresses=msgspec.convert(row.addresses, list[AddressView]) or msgspec.UNSET,
        tenant_id=row.tenant_id if request.context.is_admin else msgspec.UNSET,
    )


def groups_of(rows: Iterable[Instance]) -> dict[str, str]:
    """The names of the configuration groups of instances by id: one read, when any has one."""
    named = {row.configuration_id for row in rows if row.configuration_id is not None}
    return configurations.names_of(named) if named else {}


def detail(
    request: Request,
    row: Instance,
    reported: ServiceStatusRow | None,
    groups: Mapping[str, str] | None = None,
) -> InstanceDetail:
    """What `show` and `detail` answer; `groups` are the names of configuration groups by id."""
    admin, owned = request.context.is_admin, row.resources
    listed = msgspec.structs.asdict(summary(request, row, reported))
    return InstanceDetail(
        **{**listed, "volume": _volume(row, reported)},
        created=naive(row.created),
        updated=naive(row.updated),
        locality=row.locality or msgspec.UNSET,
        service_status_updated=naive(reported.updated) if reported else msgspec.UNSET,
        fault=_fault(row, reported) or msgspec.UNSET,
        configuration=_configuration(request, row, groups or {}),
        server_id=owned.get("server_id") if admin else msgspec.UNSET,
        volume_id=owned.get("volume_id") if admin else msgspec.UNSET,
        encrypted_rpc_messaging=True if admin else msgspec.UNSET,
    )


def _configuration(
    request: Request, row: Instance, groups: Mapping[str, str]
) -> ConfigurationNamed | Given:
    group_id = row.configuration_id
    if group_id is None:
        return msgspec.UNSET
    links = request.place.links("configurations", group_id)
    return ConfigurationNamed(group_id, groups.get(group_id, group_id), links)


def _operating_status(row: Instance, reported: ServiceStatusRow | None) -> str:
    if reported is None:
        return lifecycle.operating_status(row.status, lifecycle.ServiceStatus.NEW, 0, 1)
    age_seconds = aws.clock() - reported.updated
    expiry = settings().heartbeat_expiry_seconds
    return lifecycle.operating_status(row.status, reported.status, age_seconds, expiry)


def _volume(row: Instance, reported: ServiceStatusRow | None) -> VolumeView:
    told: dict[str, Any] = {"type": row.volume_type} if row.volume_type else {}
    if reported is not None and reported.volume_used is not None:
        told["used"] = round(float(reported.volume_used), 2)
        if reported.volume_total:
            share = float(reported.volume_used) / float(reported.volume_total)
            told["used_percent"] = round(100 * share, 2)
    return VolumeView(int(row.volume_size), **told)


def _fault(row: Instance, reported: ServiceStatusRow | None) -> FaultView | None:
    """What failed last; else what the database itself is in trouble with.

    That goes when the guest reports it well.
    """
    if row.fault_message:
        # Clients read the time of a fault unasked.
        since = row.updated if row.fault_created is None else row.fault_created
        return FaultView(row.fault_message, naive(since))
    if row.status != Status.ACTIVE or reported is None or not reported.status_reason:
        return None
    said = f"{reported.status_reason[:1].upper()}{reported.status_reason[1:]}."
    return FaultView(said, naive(reported.updated))
