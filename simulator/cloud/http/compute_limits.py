"""Limits, quotas and what else Nova tells about itself: zones, extensions, key pairs."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http.compute_base import ComputeRoutes
from simulator.cloud.http.plumbing import Call, empty, json_response


class Limits(ComputeRoutes):
    """Routes for what a project may use, and for what there is."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
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

    def limits(self, call: Call) -> Response:
        """GET /limits."""
        limits = self.nova.quotas.limits(call.caller.project_id)
        used = self.nova.used(call.caller.project_id)
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
        """GET /os-availability-zone."""
        zones = [
            {"zoneName": name, "zoneState": {"available": True}, "hosts": None}
            for name in self.nova.list_zones()
        ]
        return json_response({"availabilityZoneInfo": zones})

    def show_quotas(self, call: Call) -> Response:
        """GET /os-quota-sets/{project}."""
        project_id = _quota_project(call)
        limits = self.nova.quotas.limits(project_id)
        return json_response({"quota_set": {"id": project_id, **limits}})

    def show_quotas_detail(self, call: Call) -> Response:
        """GET /os-quota-sets/{project}/detail."""
        project_id = _quota_project(call)
        used = self.nova.used(project_id)
        rows = {
            name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
            for name, limit in self.nova.quotas.limits(project_id).items()
        }
        return json_response({"quota_set": {"id": project_id, **rows}})

    def update_quotas(self, call: Call) -> Response:
        """PUT /os-quota-sets/{project}, for an admin."""
        call.caller.require_admin("os_compute_api:os-quota-sets:update")
        limits = self.nova.quotas.update(call.path["project_id"], call.item("quota_set"))
        return json_response({"quota_set": limits})

    def reset_quotas(self, call: Call) -> Response:
        """DELETE /os-quota-sets/{project}, for an admin."""
        call.caller.require_admin("os_compute_api:os-quota-sets:delete")
        self.nova.quotas.reset(call.path["project_id"])
        return empty(202)


def _quota_project(call: Call) -> str:
    project_id = call.path["project_id"]
    if project_id != call.caller.project_id:
        call.caller.require_admin("os_compute_api:os-quota-sets:show")
    return project_id
