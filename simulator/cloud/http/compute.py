"""Nova v2.1: servers, their actions, metadata and volumes; flavors; limits and quotas."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from simulator.cloud.http import compute_views as views
from simulator.cloud.http.lists import page, sort
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    Service,
    empty,
    fault_view,
    json_response,
    names_of,
    number_of,
    open_route,
    strings_of,
    text_of,
    truth,
)
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.compute import attached_volume
from simulator.cloud.model.errors import BadRequest, NotFound
from simulator.cloud.model.flavors import Flavor
from simulator.cloud.model.server import NetworkWish, Server, ServerWish, VolumeWish

NAME_LENGTH_MOST = 255


class ComputeApi(Service):
    """Routes below `/compute`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, fault_view)
        self._nova = cloud.compute

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        version = views.version(self.url)
        return [
            open_route("/", lambda: json_response({"versions": [version]})),
            open_route("/v2.1", lambda: json_response({"version": version})),
            open_route("/v2.1/", lambda: json_response({"version": version})),
            self.route("/v2.1/servers", get=self.list_servers, post=self.create),
            self.route("/v2.1/servers/detail", get=self.list_servers_detail),
            self.route(
                "/v2.1/servers/{server_id}",
                get=self.show,
                put=self.update,
                delete=self.delete,
            ),
            self.route("/v2.1/servers/{server_id}/action", post=self.action),
            self.route("/v2.1/servers/{server_id}/ips", get=self.list_addresses),
            self.route(
                "/v2.1/servers/{server_id}/metadata",
                get=self.show_metadata,
                post=self.merge_metadata,
                put=self.replace_metadata,
            ),
            self.route(
                "/v2.1/servers/{server_id}/metadata/{key}",
                get=self.show_metadata_item,
                put=self.set_metadata_item,
                delete=self.delete_metadata_item,
            ),
            self.route("/v2.1/servers/{server_id}/tags", get=self.list_tags, put=self.set_tags),
            self.route(
                "/v2.1/servers/{server_id}/os-volume_attachments",
                get=self.list_volumes,
                post=self.attach_volume,
            ),
            self.route(
                "/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}",
                get=self.show_volume,
                delete=self.detach_volume,
            ),
            self.route("/v2.1/servers/{server_id}/os-interface", get=self.list_interfaces),
            self.route("/v2.1/servers/{server_id}/os-security-groups", get=self.list_groups),
            *self._flavor_routes(),
            *self._operator_routes(),
        ]

    def _flavor_routes(self) -> list[BaseRoute]:
        specs = "/v2.1/flavors/{flavor_id}/os-extra_specs"
        return [
            self.route("/v2.1/flavors", get=self.list_flavors, post=self.create_flavor),
            self.route("/v2.1/flavors/detail", get=self.list_flavors_detail),
            self.route(
                "/v2.1/flavors/{flavor_id}", get=self.show_flavor, delete=self.delete_flavor
            ),
            self.route(specs, get=self.show_extra_specs, post=self.set_extra_specs),
            self.route(specs + "/{key}", delete=self.delete_extra_spec),
        ]

    def _operator_routes(self) -> list[BaseRoute]:
        quotas = "/v2.1/os-quota-sets/{project_id}"
        return [
            self.route("/v2.1/limits", get=self.limits),
            self.route("/v2.1/extensions", get=lambda call: json_response({"extensions": []})),
            self.route("/v2.1/os-availability-zone", get=self.list_zones),
            self.route("/v2.1/os-availability-zone/detail", get=self.list_zones),
            self.route("/v2.1/os-keypairs", get=lambda call: json_response({"keypairs": []})),
            self.route(
                quotas, get=self.show_quotas, put=self.update_quotas, delete=self.reset_quotas
            ),
            self.route(quotas + "/defaults", get=self.show_quotas),
            self.route(quotas + "/detail", get=self.show_quotas_detail),
        ]

    def create(self, call: Call) -> Response:
        """POST /servers: 202 with the id and the links."""
        wish = _wish(call.item("server"))
        server = self._nova.create(call.caller, wish)
        view = {
            "id": server.id,
            "links": views.links(self.url, "servers", server.id),
            "OS-DCF:diskConfig": "MANUAL",
            "security_groups": [{"name": name} for name in wish.security_groups or ("default",)],
            "adminPass": self.cloud.ids.token()[:12],
        }
        location = f"{self.url}/v2.1/servers/{server.id}"
        return JSONResponse({"server": view}, 202, headers={"Location": location})

    def list_servers(self, call: Call) -> Response:
        """GET /servers: id, name and links."""
        return self._list(call, [views.server_summary(s, self.url) for s in self._found(call)], "")

    def list_servers_detail(self, call: Call) -> Response:
        """GET /servers/detail."""
        return self._list(call, [self._view(s, call) for s in self._found(call)], "/detail")

    def show(self, call: Call) -> Response:
        """GET /servers/{id}."""
        server = self._nova.show(call.caller, call.path["server_id"])
        return json_response({"server": self._view(server, call)})

    def update(self, call: Call) -> Response:
        """PUT /servers/{id}: name or description."""
        changes = call.item("server")
        if "name" in changes:
            _check_name(changes["name"])
        server = self._nova.update(call.caller, call.path["server_id"], changes)
        return json_response({"server": self._view(server, call)})

    def delete(self, call: Call) -> Response:
        """DELETE /servers/{id}."""
        self._nova.delete(call.caller, call.path["server_id"])
        return empty()

    def action(self, call: Call) -> Response:
        """POST /servers/{id}/action."""
        server_id, caller = call.path["server_id"], call.caller
        if "reboot" in call.body:
            kind = text_of(call.item("reboot"), "type").upper()
            self._nova.reboot(caller, server_id, kind)
        elif "rebuild" in call.body:
            return self._rebuild(call)
        elif "os-stop" in call.body:
            self._nova.stop(caller, server_id)
        elif "os-start" in call.body:
            self._nova.start(caller, server_id)
        elif "os-resetState" in call.body:
            self._nova.reset_state(caller, server_id, text_of(call.item("os-resetState"), "state"))
        elif "forceDelete" in call.body:
            self._nova.delete(caller, server_id)
        else:
            raise BadRequest(f"There is no such action: {', '.join(call.body) or 'none'}")
        return empty(202)

    def _rebuild(self, call: Call) -> Response:
        wanted = call.item("rebuild")
        server = self._nova.rebuild(
            call.caller,
            call.path["server_id"],
            text_of(wanted, "imageRef"),
            name=text_of(wanted, "name") or None,
            metadata=strings_of(wanted, "metadata") if "metadata" in wanted else None,
            user_data=wanted.get("user_data"),
            keep_user_data="user_data" not in wanted,
        )
        return json_response({"server": self._view(server, call)}, 202)

    def list_addresses(self, call: Call) -> Response:
        """GET /servers/{id}/ips."""
        server = self._nova.get(call.caller, call.path["server_id"])
        return json_response({"addresses": views.addresses(server, self.cloud.network)})

    def show_metadata(self, call: Call) -> Response:
        """GET /servers/{id}/metadata."""
        server = self._nova.get(call.caller, call.path["server_id"])
        return json_response({"metadata": server.metadata})

    def merge_metadata(self, call: Call) -> Response:
        """POST /servers/{id}/metadata."""
        return self._write_metadata(call, strings_of(call.body, "metadata"), replace=False)

    def replace_metadata(self, call: Call) -> Response:
        """PUT /servers/{id}/metadata."""
        return self._write_metadata(call, strings_of(call.body, "metadata"), replace=True)

    def _write_metadata(self, call: Call, items: dict[str, str], *, replace: bool) -> Response:
        server_id = call.path["server_id"]
        kept = self._nova.set_metadata(call.caller, server_id, items, replace=replace)
        return json_response({"metadata": kept})

    def show_metadata_item(self, call: Call) -> Response:
        """GET /servers/{id}/metadata/{key}."""
        metadata = self._nova.get(call.caller, call.path["server_id"]).metadata
        key = call.path["key"]
        if key not in metadata:
            raise NotFound("Metadata item was not found")
        return json_response({"meta": {key: metadata[key]}})

    def set_metadata_item(self, call: Call) -> Response:
        """PUT /servers/{id}/metadata/{key}."""
        items = strings_of(call.body, "meta")
        server_id = call.path["server_id"]
        self._nova.set_metadata(call.caller, server_id, items, replace=False)
        return json_response({"meta": items})

    def delete_metadata_item(self, call: Call) -> Response:
        """DELETE /servers/{id}/metadata/{key}."""
        self._nova.delete_metadata(call.caller, call.path["server_id"], call.path["key"])
        return empty()

    def list_tags(self, call: Call) -> Response:
        """GET /servers/{id}/tags."""
        return json_response({"tags": self._nova.get(call.caller, call.path["server_id"]).tags})

    def set_tags(self, call: Call) -> Response:
        """PUT /servers/{id}/tags."""
        server = self._nova.get(call.caller, call.path["server_id"])
        server.tags = names_of(call.body, "tags")
        return json_response({"tags": server.tags})

    def list_volumes(self, call: Call) -> Response:
        """GET /servers/{id}/os-volume_attachments."""
        server = self._nova.get(call.caller, call.path["server_id"])
        rows = [views.volume_attachment(server, volume) for volume in server.volumes]
        return json_response({"volumeAttachments": rows})

    def attach_volume(self, call: Call) -> Response:
        """POST /servers/{id}/os-volume_attachments."""
        wanted = call.item("volumeAttachment")
        volume = self._nova.attach_volume(
            call.caller,
            call.path["server_id"],
            text_of(wanted, "volumeId"),
            text_of(wanted, "device") or None,
        )
        server = self._nova.get(call.caller, call.path["server_id"])
        return json_response({"volumeAttachment": views.volume_attachment(server, volume)})

    def show_volume(self, call: Call) -> Response:
        """GET /servers/{id}/os-volume_attachments/{volume id}."""
        server = self._nova.get(call.caller, call.path["server_id"])
        volume = attached_volume(server, call.path["volume_id"])
        return json_response({"volumeAttachment": views.volume_attachment(server, volume)})

    def detach_volume(self, call: Call) -> Response:
        """DELETE /servers/{id}/os-volume_attachments/{volume id}."""
        self._nova.detach_volume(call.caller, call.path["server_id"], call.path["volume_id"])
        return empty(202)

    def list_interfaces(self, call: Call) -> Response:
        """GET /servers/{id}/os-interface."""
        server = self._nova.get(call.caller, call.path["server_id"])
        ports = self.cloud.network.ports
        rows = [
            {
                "port_id": port.id,
                "net_id": port.network_id,
                "mac_addr": port.mac_address,
                "port_state": port.status,
                "fixed_ips": [{"subnet_id": s, "ip_address": a} for s, a in port.fixed_ips],
            }
            for port in (ports[port_id] for port_id in server.port_ids if port_id in ports)
        ]
        return json_response({"interfaceAttachments": rows})

    def list_groups(self, call: Call) -> Response:
        """GET /servers/{id}/os-security-groups."""
        server = self._nova.get(call.caller, call.path["server_id"])
        return json_response({"security_groups": self._view(server, call)["security_groups"]})

    def list_flavors(self, call: Call) -> Response:
        """GET /flavors: id, name and links."""
        rows = [
            {"id": f.id, "name": f.name, "links": views.links(self.url, "flavors", f.id)}
            for f in self._flavors(call)
        ]
        return self._flavor_list(call, rows, "")

    def list_flavors_detail(self, call: Call) -> Response:
        """GET /flavors/detail."""
        version = _microversion(call)
        rows = [views.flavor(f, self.url, version) for f in self._flavors(call)]
        return self._flavor_list(call, rows, "/detail")

    def create_flavor(self, call: Call) -> Response:
        """POST /flavors, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-manage:create")
        wanted = call.item("flavor")
        flavor = self._nova.flavors.add(
            Flavor(
                id=str(wanted.get("id") or self.cloud.ids.uuid()),
                name=text_of(wanted, "name"),
                ram=number_of(wanted, "ram"),
                vcpus=number_of(wanted, "vcpus"),
                disk=number_of(wanted, "disk"),
                description=wanted.get("description"),
            )
        )
        return json_response({"flavor": views.flavor(flavor, self.url, _microversion(call))})

    def show_flavor(self, call: Call) -> Response:
        """GET /flavors/{id}."""
        flavor = self._nova.flavors.get(call.path["flavor_id"])
        with self.cloud.faults.around("compute", "get_flavor", flavor.name):
            return json_response({"flavor": views.flavor(flavor, self.url, _microversion(call))})

    def delete_flavor(self, call: Call) -> Response:
        """DELETE /flavors/{id}, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-manage:delete")
        self._nova.flavors.delete(call.path["flavor_id"])
        return empty(202)

    def show_extra_specs(self, call: Call) -> Response:
        """GET /flavors/{id}/os-extra_specs."""
        flavor = self._nova.flavors.get(call.path["flavor_id"])
        return json_response({"extra_specs": flavor.extra_specs})

    def set_extra_specs(self, call: Call) -> Response:
        """POST /flavors/{id}/os-extra_specs, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-extra-specs:create")
        flavor = self._nova.flavors.get(call.path["flavor_id"])
        flavor.extra_specs.update(strings_of(call.body, "extra_specs"))
        return json_response({"extra_specs": flavor.extra_specs})

    def delete_extra_spec(self, call: Call) -> Response:
        """DELETE /flavors/{id}/os-extra_specs/{key}, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-extra-specs:delete")
        flavor = self._nova.flavors.get(call.path["flavor_id"])
        if flavor.extra_specs.pop(call.path["key"], None) is None:
            raise NotFound(f"Flavor {flavor.id} has no extra specs with key {call.path['key']}.")
        return empty(200)

    def limits(self, call: Call) -> Response:
        """GET /limits."""
        limits = self._nova.quotas.limits(call.caller.project_id)
        used = self._nova.used(call.caller.project_id)
        absolute = {
            "maxTotalInstances": limits["instances"],
            "maxTotalCores": limits["cores"],
            "maxTotalRAMSize": limits["ram"],
            "maxTotalKeypairs": limits["key_pairs"],
            "maxServerMeta": limits["metadata_items"],
            "totalInstancesUsed": used["instances"],
            "totalCoresUsed": used["cores"],
            "totalRAMUsed": used["ram"],
        }
        return json_response({"limits": {"rate": [], "absolute": absolute}})

    def list_zones(self, call: Call) -> Response:
        """GET /os-availability-zone: there is one."""
        zone = {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
        return json_response({"availabilityZoneInfo": [zone]})

    def show_quotas(self, call: Call) -> Response:
        """GET /os-quota-sets/{project}."""
        project_id = _quota_project(call)
        limits = self._nova.quotas.limits(project_id)
        return json_response({"quota_set": {"id": project_id, **limits}})

    def show_quotas_detail(self, call: Call) -> Response:
        """GET /os-quota-sets/{project}/detail."""
        project_id = _quota_project(call)
        used = self._nova.used(project_id)
        rows = {
            name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
            for name, limit in self._nova.quotas.limits(project_id).items()
        }
        return json_response({"quota_set": {"id": project_id, **rows}})

    def update_quotas(self, call: Call) -> Response:
        """PUT /os-quota-sets/{project}, for an admin."""
        call.caller.require_admin("os_compute_api:os-quota-sets:update")
        limits = self._nova.quotas.update(call.path["project_id"], call.item("quota_set"))
        return json_response({"quota_set": limits})

    def reset_quotas(self, call: Call) -> Response:
        """DELETE /os-quota-sets/{project}, for an admin."""
        call.caller.require_admin("os_compute_api:os-quota-sets:delete")
        self._nova.quotas.reset(call.path["project_id"])
        return empty(202)

    def _view(self, server: Server, call: Call) -> Json:
        return views.server(server, self.cloud.network, self.url, _microversion(call))

    def _found(self, call: Call) -> list[Server]:
        """The servers that pass the filters; the name is a regular expression, as in Nova."""
        query = call.query
        everything = truth(query.get("all_tenants", "")) or query.get("all_tenants") == ""
        servers = self._nova.list(call.caller, all_tenants=everything)
        name = _pattern(query.get("name"))
        address = _pattern(query.get("ip"))
        project = query.get("project_id") or query.get("tenant_id")
        tags = set(filter(None, query.get("tags", "").split(",")))
        exact = {
            "id": query.get("uuid"),
            "status": (query.get("status") or "").upper() or None,
            "image_id": query.get("image"),
            "project_id": project if everything else None,
        }
        return [
            server
            for server in servers
            if (name is None or name.search(server.name))
            and all(value in (None, getattr(server, key)) for key, value in exact.items())
            and query.get("flavor") in (None, server.flavor.id)
            and tags <= set(server.tags)
            and (address is None or self._has_address(server, address))
        ]

    def _has_address(self, server: Server, pattern: re.Pattern[str]) -> bool:
        networks = views.addresses(server, self.cloud.network).values()
        return any(pattern.search(row["addr"]) for rows in networks for row in rows)

    def _flavors(self, call: Call) -> list[Flavor]:
        with self.cloud.faults.around("compute", "list_flavors", ""):
            least_ram = int(call.query.get("minRam") or 0)
            least_disk = int(call.query.get("minDisk") or 0)
            return [
                flavor
                for flavor in self._nova.flavors.flavors.values()
                if flavor.ram >= least_ram and flavor.disk >= least_disk
            ]

    def _flavor_list(self, call: Call, rows: list[Json], path: str) -> Response:
        rows, following = page(rows, call.query, f"{self.url}/v2.1/flavors{path}")
        extra = {"flavors_links": following} if following else {}
        return json_response({"flavors": rows, **extra})

    def _list(self, call: Call, rows: list[Json], path: str) -> Response:
        url = f"{self.url}/v2.1/servers{path}"
        rows, following = page(sort(rows, call.query), call.query, url)
        extra = {"servers_links": following} if following else {}
        return json_response({"servers": rows, **extra})


def _wish(wanted: Json) -> ServerWish:
    """The body of POST /servers as a wish; BadRequest where it does not fit."""
    _check_name(wanted.get("name"))
    flavor = wanted.get("flavorRef")
    if not isinstance(flavor, (str, int)) or flavor == "":
        raise BadRequest("Invalid input for field/attribute server. 'flavorRef' is required.")
    mappings = wanted.get("block_device_mapping_v2") or []
    groups = wanted.get("security_groups") or []
    return ServerWish(
        name=str(wanted["name"]),
        flavor_id=str(flavor).rsplit("/", 1)[-1],
        image_id=_image_ref(wanted, mappings),
        networks=_networks(wanted.get("networks")),
        volumes=tuple(_volume(m) for m in mappings if m.get("source_type") == "volume"),
        metadata=strings_of(wanted, "metadata"),
        user_data=text_of(wanted, "user_data") or None,
        security_groups=tuple(text_of(group, "name") for group in groups),
        tags=tuple(names_of(wanted, "tags")),
        description=wanted.get("description"),
        key_name=wanted.get("key_name"),
        availability_zone=wanted.get("availability_zone"),
        config_drive=truth(wanted.get("config_drive", True)),
    )


def _image_ref(wanted: Json, mappings: list[Json]) -> str:
    reference = text_of(wanted, "imageRef")
    for mapping in mappings:
        if mapping.get("source_type") == "image":
            reference = reference or text_of(mapping, "uuid")
    return reference.rsplit("/", 1)[-1]


def _networks(wanted: object) -> tuple[NetworkWish, ...] | None:
    if wanted is None or wanted == "auto":
        return None
    if wanted == "none":
        return ()
    if not isinstance(wanted, list):
        raise BadRequest("Invalid input for field/attribute networks.")
    wishes = []
    for entry in wanted:
        port_id, network_id = text_of(entry, "port"), text_of(entry, "uuid")
        if not port_id and not network_id:
            raise BadRequest("Bad network format: missing 'uuid'")
        address = text_of(entry, "fixed_ip") or None
        wishes.append(NetworkWish(port_id or None, network_id or None, address))
    return tuple(wishes) if wishes else None


def _volume(mapping: Json) -> VolumeWish:
    if not text_of(mapping, "uuid"):
        raise BadRequest("Block Device Mapping is Invalid: a volume needs its uuid.")
    return VolumeWish(
        volume_id=text_of(mapping, "uuid"),
        device=text_of(mapping, "device_name") or None,
        delete_on_termination=truth(mapping.get("delete_on_termination", False)),
    )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_LENGTH_MOST:
        raise BadRequest(f"Invalid input for field/attribute name. Value: {name!r}.")


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRequest(f"Invalid regular expression {text!r}.") from error


def _quota_project(call: Call) -> str:
    project_id = call.path["project_id"]
    if project_id != call.caller.project_id:
        call.caller.require_admin("os_compute_api:os-quota-sets:show")
    return project_id


def _microversion(call: Call) -> tuple[int, int]:
    """The microversion asked for, 2.1 by default; `latest` is the newest there is."""
    text = call.headers.get("x-openstack-nova-api-version", "2.1")
    for part in call.headers.get("openstack-api-version", "").split(","):
        service, _, version = part.strip().partition(" ")
        if service == "compute":
            text = version.strip()
    if text == "latest":
        text = views.MICROVERSION
    match = re.fullmatch(r"2\.(\d+)", text)
    if match is None:
        raise BadRequest(f"API Version String {text} is of invalid format.")
    return 2, int(match[1])
