"""What hangs on a server: addresses, metadata, tags, volumes, interfaces, security groups."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http import compute_views as views
from simulator.cloud.http.compute_base import ComputeRoutes
from simulator.cloud.http.plumbing import (
    Call,
    empty,
    json_response,
    names_of,
    strings_of,
    text_of,
)
from simulator.cloud.model.compute import attached_volume
from simulator.cloud.model.errors import NotFound


class ServerParts(ComputeRoutes):
    """Routes below `/servers/{id}`."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
        return [
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
            self.route("/v2.1/servers/{server_id}/os-instance-actions", get=self.list_actions),
            self.route(
                "/v2.1/servers/{server_id}/os-instance-actions/{request_id}", get=self.show_action
            ),
            self.route("/v2.1/servers/{server_id}/os-interface", get=self.list_interfaces),
            self.route("/v2.1/servers/{server_id}/os-security-groups", get=self.list_groups),
        ]

    def list_addresses(self, call: Call) -> Response:
        """GET /servers/{id}/ips."""
        server = self.nova.get(call.caller, call.path["server_id"])
        return json_response({"addresses": views.addresses(server, self.cloud.network)})

    def show_metadata(self, call: Call) -> Response:
        """GET /servers/{id}/metadata."""
        server = self.nova.get(call.caller, call.path["server_id"])
        return json_response({"metadata": server.metadata})

    def merge_metadata(self, call: Call) -> Response:
        """POST /servers/{id}/metadata."""
        return self._write_metadata(call, strings_of(call.body, "metadata"), replace=False)

    def replace_metadata(self, call: Call) -> Response:
        """PUT /servers/{id}/metadata."""
        return self._write_metadata(call, strings_of(call.body, "metadata"), replace=True)

    def _write_metadata(self, call: Call, items: dict[str, str], *, replace: bool) -> Response:
        server_id = call.path["server_id"]
        kept = self.nova.set_metadata(call.caller, server_id, items, replace=replace)
        return json_response({"metadata": kept})

    def show_metadata_item(self, call: Call) -> Response:
        """GET /servers/{id}/metadata/{key}."""
        metadata = self.nova.get(call.caller, call.path["server_id"]).metadata
        key = call.path["key"]
        if key not in metadata:
            raise NotFound("Metadata item was not found")
        return json_response({"meta": {key: metadata[key]}})

    def set_metadata_item(self, call: Call) -> Response:
        """PUT /servers/{id}/metadata/{key}."""
        items = strings_of(call.body, "meta")
        server_id = call.path["server_id"]
        self.nova.set_metadata(call.caller, server_id, items, replace=False)
        return json_response({"meta": items})

    def delete_metadata_item(self, call: Call) -> Response:
        """DELETE /servers/{id}/metadata/{key}."""
        self.nova.delete_metadata(call.caller, call.path["server_id"], call.path["key"])
        return empty()

    def list_tags(self, call: Call) -> Response:
        """GET /servers/{id}/tags."""
        return json_response({"tags": self.nova.get(call.caller, call.path["server_id"]).tags})

    def set_tags(self, call: Call) -> Response:
        """PUT /servers/{id}/tags."""
        server = self.nova.get(call.caller, call.path["server_id"])
        server.tags = names_of(call.body, "tags")
        return json_response({"tags": server.tags})

    def list_volumes(self, call: Call) -> Response:
        """GET /servers/{id}/os-volume_attachments."""
        server = self.nova.get(call.caller, call.path["server_id"])
        rows = [views.volume_attachment(server, volume) for volume in server.volumes]
        return json_response({"volumeAttachments": rows})

    def attach_volume(self, call: Call) -> Response:
        """POST /servers/{id}/os-volume_attachments."""
        wanted = call.item("volumeAttachment")
        volume = self.nova.attach_volume(
            call.caller,
            call.path["server_id"],
            text_of(wanted, "volumeId"),
            text_of(wanted, "device") or None,
        )
        server = self.nova.get(call.caller, call.path["server_id"])
        return json_response({"volumeAttachment": views.volume_attachment(server, volume)})

    def show_volume(self, call: Call) -> Response:
        """GET /servers/{id}/os-volume_attachments/{volume id}."""
        server = self.nova.get(call.caller, call.path["server_id"])
        volume = attached_volume(server, call.path["volume_id"])
        return json_response({"volumeAttachment": views.volume_attachment(server, volume)})

    def detach_volume(self, call: Call) -> Response:
        """DELETE /servers/{id}/os-volume_attachments/{volume id}."""
        self.nova.detach_volume(call.caller, call.path["server_id"], call.path["volume_id"])
        return empty(202)

    def list_actions(self, call: Call) -> Response:
        """GET /servers/{id}/os-instance-actions."""
        found = self.nova.actions(call.caller, call.path["server_id"])
        rows = [views.action(each, call.path["server_id"]) for each in found]
        return json_response({"instanceActions": rows})

    def show_action(self, call: Call) -> Response:
        """GET /servers/{id}/os-instance-actions/{request id}: with its one event."""
        server_id = call.path["server_id"]
        found = self.nova.action(call.caller, server_id, call.path["request_id"])
        return json_response({"instanceAction": views.action_in_full(found, server_id)})

    def list_interfaces(self, call: Call) -> Response:
        """GET /servers/{id}/os-interface."""
        server = self.nova.get(call.caller, call.path["server_id"])
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
        server = self.nova.get(call.caller, call.path["server_id"])
        return json_response({"security_groups": self.view(server, call)["security_groups"]})
