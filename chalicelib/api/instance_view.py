"""An instance as Trove shows it, in a list and in detail. No call is made for it."""

from __future__ import annotations

from typing import Any

from chalicelib import aws, lifecycle
from chalicelib.api.frame import Request
from chalicelib.api.times import naive
from chalicelib.settings import settings
from chalicelib.store.models import Instance, ServiceStatusRow


def summary(request: Request, row: Instance, reported: ServiceStatusRow | None) -> dict[str, Any]:
    """The item of a list; `reported` is what the guest said last, if it ever did."""
    place = request.place
    access = row.access or {}
    view: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "operating_status": _operating_status(row, reported),
        "links": place.links("instances", row.id),
        "flavor": {"id": row.flavor_id, "links": place.links("flavors", row.flavor_id)},
        "datastore": {
            "type": row.datastore_name,
            "version": row.datastore_version,
            "version_number": row.datastore_version_number,
        },
        "region": row.region,
        "access": {
            "is_public": bool(access.get("is_public")),
            "allowed_cidrs": list(access.get("allowed_cidrs") or []),
        },
        "volume": {"size": int(row.volume_size)},
        "description": row.description,
        "tags": sorted(row.tags or ()),
        "deletion_protection": bool(row.protected),
    }
    if row.addresses:
        view["ip"] = [item["address"] for item in row.addresses]
        view["addresses"] = [dict(item) for item in row.addresses]
    if request.context.is_admin:
        view["tenant_id"] = row.tenant_id
    return view


def detail(request: Request, row: Instance, reported: ServiceStatusRow | None) -> dict[str, Any]:
    """What `show` and `detail` answer."""
    view = summary(request, row, reported)
    view |= {"created": naive(row.created), "updated": naive(row.updated)}
    if row.volume_type:
        view["volume"]["type"] = row.volume_type
    if row.locality:
        view["locality"] = row.locality
    if reported is not None:
        view["service_status_updated"] = naive(reported.updated)
        view["volume"] |= _usage(reported)
    if row.fault_message:
        view["fault"] = _fault(row)
    elif row.status == lifecycle.Status.ACTIVE and reported is not None and reported.status_reason:
        # What the database itself is in trouble with; it goes when the guest reports it well.
        said = f"{reported.status_reason[:1].upper()}{reported.status_reason[1:]}."
        view["fault"] = {"message": said, "created": naive(reported.updated)}
    if request.context.is_admin:
        view["server_id"] = row.resources.get("server_id")
        view["volume_id"] = row.resources.get("volume_id")
        view["encrypted_rpc_messaging"] = True
    return view


def _operating_status(row: Instance, reported: ServiceStatusRow | None) -> str:
    if reported is None:
        return lifecycle.operating_status(row.status, lifecycle.ServiceStatus.NEW, 0, 1)
    age_seconds = aws.clock() - reported.updated
    expiry = settings().heartbeat_expiry_seconds
    return lifecycle.operating_status(row.status, reported.status, age_seconds, expiry)


def _usage(reported: ServiceStatusRow) -> dict[str, float]:
    if reported.volume_used is None:
        return {}
    used = round(float(reported.volume_used), 2)
    if not reported.volume_total:
        return {"used": used}
    share = float(reported.volume_used) / float(reported.volume_total)
    return {"used": used, "used_percent": round(100 * share, 2)}


def _fault(row: Instance) -> dict[str, Any]:
    fault = {"message": row.fault_message}
    if row.fault_created is not None:
        fault["created"] = naive(row.fault_created)
    return fault
