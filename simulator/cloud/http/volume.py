"""Cinder v3: volumes, their actions and attachments, types, limits and quotas."""

from __future__ import annotations

import ast

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http.lists import page, sort
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    Service,
    empty,
    fault_view,
    json_response,
    number_of,
    open_route,
    strings_of,
    text_of,
    timestamp,
)
from simulator.cloud.http.snapshots import SnapshotApi
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest, NotFound
from simulator.cloud.model.volume import Volume, VolumeType

MICROVERSION = "3.71"
NAME_LENGTH_MOST = 255


class VolumeApi(Service):
    """Routes below `/volume`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, fault_view)
        self._cinder = cloud.volume
        self._snapshots = SnapshotApi(cloud.volume, url)

    def routes(self) -> list[BaseRoute]:
        """All routes of the service; those of a project are below `/v3/{project_id}`."""
        versions = {"versions": [_version(self.url)]}
        return [
            open_route("/", lambda: json_response(versions, 300)),
            open_route("/v3", lambda: json_response(versions)),
            open_route("/v3/", lambda: json_response(versions)),
            self._own("/volumes", get=self.list_volumes, post=self.create),
            self._own("/volumes/detail", get=self.list_volumes_detail),
            self._own("/volumes/summary", get=self.summary),
            self._own("/volumes/{id}", get=self.show, put=self.update, delete=self.delete),
            self._own("/volumes/{id}/action", post=self.action),
            self._own(
                "/volumes/{id}/metadata",
                get=self.show_metadata,
                post=self.merge_metadata,
                put=self.replace_metadata,
            ),
            self._own("/volumes/{id}/metadata/{key}", delete=self.delete_metadata_item),
            self._own("/types", get=self.list_types),
            self._own("/types/{id}", get=self.show_type),
            self._own("/types/{id}/os-volume-type-access", get=self.list_type_access),
            self._own("/attachments", get=self.list_attachments),
            self._own("/attachments/detail", get=self.list_attachments),
            self._own("/snapshots", get=self._snapshots.index, post=self._snapshots.create),
            self._own("/snapshots/detail", get=self._snapshots.detail),
            self._own("/snapshots/{id}", get=self._snapshots.show, delete=self._snapshots.delete),
            self._own("/snapshots/{id}/action", post=self._snapshots.action),
            self._own("/backups/detail", get=lambda call: json_response({"backups": []})),
            self._own("/os-availability-zone", get=self.list_zones),
            self._own("/extensions", get=lambda call: json_response({"extensions": []})),
            self._own("/limits", get=self.limits),
            self._own(
                "/os-quota-sets/{quota_project}",
                get=self.show_quotas,
                put=self.update_quotas,
                delete=self.reset_quotas,
            ),
        ]

    def _own(self, path: str, **handlers: object) -> BaseRoute:
        """A route of a project; the project in the path has to be the token's."""

        def guarded(handler: object) -> object:
            def checked(call: Call) -> Response:
                if call.path["project_id"] != call.caller.project_id:
                    raise BadRequest("Malformed request url")
                assert callable(handler)
                response = handler(call)
                assert isinstance(response, Response)
                return response

            return checked

        methods = {name: guarded(handler) for name, handler in handlers.items()}
        return self.route("/v3/{project_id}" + path, **methods)  # type: ignore[arg-type]

    def create(self, call: Call) -> Response:
        """POST /volumes: 202."""
        wanted = call.item("volume")
        if wanted.get("source_volid") or wanted.get("imageRef"):
            raise BadRequest("Invalid input received: a volume is empty here, or of a snapshot.")
        volume = self._cinder.create(
            call.caller,
            number_of(wanted, "size"),
            name=_name(wanted),
            description=text_of(wanted, "description") or None,
            volume_type=text_of(wanted, "volume_type") or None,
            metadata=strings_of(wanted, "metadata"),
            availability_zone=text_of(wanted, "availability_zone") or None,
            snapshot_id=text_of(wanted, "snapshot_id") or None,
        )
        return json_response({"volume": self._view(volume)}, 202)

    def list_volumes(self, call: Call) -> Response:
        """GET /volumes: id, name and links."""
        rows, links = self._page(call, "")
        short = [{key: row[key] for key in ("id", "name", "links")} for row in rows]
        return json_response({"volumes": short, **links})

    def list_volumes_detail(self, call: Call) -> Response:
        """GET /volumes/detail."""
        rows, links = self._page(call, "/detail")
        return json_response({"volumes": rows, **links})

    def summary(self, call: Call) -> Response:
        """GET /volumes/summary."""
        volumes = self._cinder.list(call.caller, all_tenants=call.flag("all_tenants"))
        total = {"total_count": len(volumes), "total_size": sum(v.size for v in volumes)}
        return json_response({"volume-summary": total})

    def show(self, call: Call) -> Response:
        """GET /volumes/{id}."""
        return json_response(
            {"volume": self._view(self._cinder.show(call.caller, call.path["id"]))}
        )

    def update(self, call: Call) -> Response:
        """PUT /volumes/{id}."""
        volume = self._cinder.update(call.caller, call.path["id"], call.item("volume"))
        return json_response({"volume": self._view(volume)})

    def delete(self, call: Call) -> Response:
        """DELETE /volumes/{id}: 202."""
        force = call.flag("force") and call.caller.is_admin
        self._cinder.delete(call.caller, call.path["id"], force=force)
        return empty(202)

    def action(self, call: Call) -> Response:
        """POST /volumes/{id}/action."""
        volume_id, caller = call.path["id"], call.caller
        if "os-extend" in call.body:
            self._cinder.extend(caller, volume_id, number_of(call.item("os-extend"), "new_size"))
        elif "os-force_delete" in call.body:
            caller.require_admin("volume_extension:volume_admin_actions:force_delete")
            self._cinder.delete(caller, volume_id, force=True)
        elif "os-reset_status" in call.body:
            status = text_of(call.item("os-reset_status"), "status")
            self._cinder.reset_status(caller, volume_id, status)
        else:
            raise BadRequest(f"There is no such action: {', '.join(call.body) or 'none'}")
        return empty(202)

    def show_metadata(self, call: Call) -> Response:
        """GET /volumes/{id}/metadata."""
        return json_response({"metadata": self._cinder.get(call.caller, call.path["id"]).metadata})

    def merge_metadata(self, call: Call) -> Response:
        """POST /volumes/{id}/metadata."""
        volume = self._cinder.get(call.caller, call.path["id"])
        return self._write_metadata(call, {**volume.metadata, **strings_of(call.body, "metadata")})

    def replace_metadata(self, call: Call) -> Response:
        """PUT /volumes/{id}/metadata."""
        return self._write_metadata(call, strings_of(call.body, "metadata"))

    def delete_metadata_item(self, call: Call) -> Response:
        """DELETE /volumes/{id}/metadata/{key}."""
        self._cinder.delete_metadata(call.caller, call.path["id"], call.path["key"])
        return empty()

    def _write_metadata(self, call: Call, metadata: dict[str, str]) -> Response:
        changes: dict[str, object] = {"metadata": metadata}
        volume = self._cinder.update(call.caller, call.path["id"], changes)
        return json_response({"metadata": volume.metadata})

    def list_types(self, call: Call) -> Response:
        """GET /types."""
        rows = [_type_view(one) for one in self._cinder.list_types(call.caller)]
        rows, _ = page(rows, call.query, f"{self.url}/types")
        return json_response({"volume_types": rows})

    def show_type(self, call: Call) -> Response:
        """GET /types/{id}, also `default`."""
        wanted = call.path["id"]
        for one in self._cinder.list_types(call.caller):
            if one.id == wanted or (wanted == "default" and one.is_default):
                return json_response({"volume_type": _type_view(one)})
        raise NotFound(f"Volume type {wanted} could not be found.")

    def list_type_access(self, call: Call) -> Response:
        """GET /types/{id}/os-volume-type-access."""
        type_id = call.path["id"]
        projects = self._cinder.type_access(call.caller, type_id)
        rows = [{"volume_type_id": type_id, "project_id": each} for each in sorted(projects)]
        return json_response({"volume_type_access": rows})

    def list_attachments(self, call: Call) -> Response:
        """GET /attachments."""
        volumes = self._cinder.list(call.caller, all_tenants=call.flag("all_tenants"))
        rows = [
            {
                "id": attachment.id,
                "volume_id": volume.id,
                "instance": attachment.server_id,
                "status": "attached",
                "attach_mode": "rw",
                "attached_at": _time(attachment.attached_at),
                "detached_at": None,
            }
            for volume in volumes
            for attachment in volume.attachments
            if call.query.get("volume_id") in (None, volume.id)
            and call.query.get("instance_id") in (None, attachment.server_id)
        ]
        return json_response({"attachments": rows})

    def list_zones(self, call: Call) -> Response:
        """GET /os-availability-zone."""
        zones = [
            {"zoneName": each, "zoneState": {"available": True}} for each in self._cinder.zones
        ]
        return json_response({"availabilityZoneInfo": zones})

    def limits(self, call: Call) -> Response:
        """GET /limits."""
        limits = self._cinder.quotas.limits(call.caller.project_id)
        used = self._cinder.used(call.caller.project_id)
        absolute = {
            "maxTotalVolumes": limits["volumes"],
            "maxTotalVolumeGigabytes": limits["gigabytes"],
            "maxTotalSnapshots": limits["snapshots"],
            "totalVolumesUsed": used["volumes"],
            "totalGigabytesUsed": used["gigabytes"],
            "totalSnapshotsUsed": used["snapshots"],
        }
        return json_response({"limits": {"rate": [], "absolute": absolute}})

    def show_quotas(self, call: Call) -> Response:
        """GET /os-quota-sets/{project}, with what is used when `usage` is true."""
        project_id = call.path["quota_project"]
        if project_id != call.caller.project_id:
            call.caller.require_admin("volume_extension:quotas:show")
        limits: Json = dict(self._cinder.quotas.limits(project_id))
        if call.flag("usage"):
            used = self._cinder.used(project_id)
            limits = {
                name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
                for name, limit in limits.items()
            }
        return json_response({"quota_set": {"id": project_id, **limits}})

    def update_quotas(self, call: Call) -> Response:
        """PUT /os-quota-sets/{project}, for an admin."""
        call.caller.require_admin("volume_extension:quotas:update")
        limits = self._cinder.quotas.update(call.path["quota_project"], call.item("quota_set"))
        return json_response({"quota_set": limits})

    def reset_quotas(self, call: Call) -> Response:
        """DELETE /os-quota-sets/{project}, for an admin."""
        call.caller.require_admin("volume_extension:quotas:delete")
        self._cinder.quotas.reset(call.path["quota_project"])
        return empty(200)

    def _page(self, call: Call, path: str) -> tuple[list[Json], Json]:
        query = call.query
        volumes = self._cinder.list(call.caller, all_tenants=call.flag("all_tenants"))
        metadata = _metadata_filter(query.get("metadata"))
        project = query.get("project_id") if call.caller.is_admin else None
        kept = [
            self._view(volume)
            for volume in volumes
            if query.get("name") in (None, volume.name)
            and query.get("status") in (None, volume.status)
            and project in (None, volume.project_id)
            and metadata.items() <= volume.metadata.items()
        ]
        url = f"{self.url}/v3/{call.caller.project_id}/volumes{path}"
        rows, following = page(sort(kept, query), query, url)
        return rows, {"volumes_links": following} if following else {}

    def _view(self, volume: Volume) -> Json:
        url = f"{self.url}/v3/{volume.project_id}/volumes/{volume.id}"
        return {
            "id": volume.id,
            "name": volume.name,
            "description": volume.description,
            "status": volume.status,
            "size": volume.size,
            "volume_type": volume.volume_type,
            "availability_zone": volume.availability_zone,
            "bootable": str(volume.bootable).lower(),
            "encrypted": False,
            "multiattach": False,
            "replication_status": None,
            "consistencygroup_id": None,
            "migration_status": None,
            "snapshot_id": volume.snapshot_id,
            "source_volid": None,
            "user_id": volume.user_id,
            "os-vol-tenant-attr:tenant_id": volume.project_id,
            "metadata": volume.metadata,
            "created_at": _time(volume.created_at),
            "updated_at": _time(volume.updated_at),
            "attachments": [
                {
                    "id": volume.id,
                    "attachment_id": attachment.id,
                    "volume_id": volume.id,
                    "server_id": attachment.server_id,
                    "device": attachment.device,
                    "host_name": "coffer-local",
                    "attached_at": _time(attachment.attached_at),
                }
                for attachment in volume.attachments
            ],
            "links": [
                {"rel": "self", "href": url},
                {"rel": "bookmark", "href": url.replace("/v3/", "/")},
            ],
        }


def _version(url: str) -> Json:
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": MICROVERSION,
        "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z",
        "links": [{"rel": "self", "href": f"{url}/v3/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.volume+json;version=3",
            }
        ],
    }


def _type_view(one: VolumeType) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "is_public": one.projects is None,
        "os-volume-type-access:is_public": one.projects is None,
        "qos_specs_id": None,
        "extra_specs": {},
    }


def _name(wanted: Json) -> str:
    name = text_of(wanted, "name")
    if len(name) > NAME_LENGTH_MOST:
        raise BadRequest("Invalid input for field/attribute name. It is too long.")
    return name


def _metadata_filter(text: str | None) -> dict[str, str]:
    """Cinder takes the filter as a Python or JSON literal of a mapping."""
    if not text:
        return {}
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise BadRequest("Invalid filter metadata.") from error
    if not isinstance(value, dict):
        raise BadRequest("Invalid filter metadata.")
    return {str(key): str(one) for key, one in value.items()}


def _time(seconds: float) -> str:
    return timestamp(seconds, zone=False, micros=True)
