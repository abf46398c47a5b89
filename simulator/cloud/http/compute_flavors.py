"""Flavors and their extra specs."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http import compute_views as views
from simulator.cloud.http.compute_base import ComputeRoutes, microversion
from simulator.cloud.http.lists import page
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    empty,
    json_response,
    number_of,
    strings_of,
    text_of,
)
from simulator.cloud.model.errors import NotFound
from simulator.cloud.model.flavors import Flavor

EPHEMERAL = "OS-FLV-EXT-DATA:ephemeral"


class Flavors(ComputeRoutes):
    """Routes below `/flavors`."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
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

    def list_flavors(self, call: Call) -> Response:
        """GET /flavors: id, name and links."""
        rows = [
            {"id": f.id, "name": f.name, "links": views.links(self.url, "flavors", f.id)}
            for f in self._flavors(call)
        ]
        return self._flavor_list(call, rows, "")

    def list_flavors_detail(self, call: Call) -> Response:
        """GET /flavors/detail."""
        version = microversion(call)
        rows = [views.flavor(f, self.url, version) for f in self._flavors(call)]
        return self._flavor_list(call, rows, "/detail")

    def create_flavor(self, call: Call) -> Response:
        """POST /flavors, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-manage:create")
        wanted = call.item("flavor")
        flavor = self.nova.flavors.add(
            Flavor(
                id=str(wanted.get("id") or self.cloud.ids.uuid()),
                name=text_of(wanted, "name"),
                ram=number_of(wanted, "ram"),
                vcpus=number_of(wanted, "vcpus"),
                disk=number_of(wanted, "disk"),
                description=wanted.get("description"),
                ephemeral=number_of({EPHEMERAL: 0, **wanted}, EPHEMERAL),
                swap=number_of({"swap": 0, **wanted}, "swap"),
            )
        )
        return json_response({"flavor": views.flavor(flavor, self.url, microversion(call))})

    def show_flavor(self, call: Call) -> Response:
        """GET /flavors/{id}."""
        flavor = self.nova.flavors.get(call.path["flavor_id"])
        with self.cloud.faults.around("compute", "get_flavor", flavor.name):
            return json_response({"flavor": views.flavor(flavor, self.url, microversion(call))})

    def delete_flavor(self, call: Call) -> Response:
        """DELETE /flavors/{id}, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-manage:delete")
        self.nova.flavors.delete(call.path["flavor_id"])
        return empty(202)

    def show_extra_specs(self, call: Call) -> Response:
        """GET /flavors/{id}/os-extra_specs."""
        flavor = self.nova.flavors.get(call.path["flavor_id"])
        return json_response({"extra_specs": flavor.extra_specs})

    def set_extra_specs(self, call: Call) -> Response:
        """POST /flavors/{id}/os-extra_specs, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-extra-specs:create")
        flavor = self.nova.flavors.get(call.path["flavor_id"])
        flavor.extra_specs.update(strings_of(call.body, "extra_specs"))
        return json_response({"extra_specs": flavor.extra_specs})

    def delete_extra_spec(self, call: Call) -> Response:
        """DELETE /flavors/{id}/os-extra_specs/{key}, for an admin."""
        call.caller.require_admin("os_compute_api:os-flavor-extra-specs:delete")
        flavor = self.nova.flavors.get(call.path["flavor_id"])
        if flavor.extra_specs.pop(call.path["key"], None) is None:
            raise NotFound(f"Flavor {flavor.id} has no extra specs with key {call.path['key']}.")
        return empty(200)

    def _flavors(self, call: Call) -> list[Flavor]:
        with self.cloud.faults.around("compute", "list_flavors", ""):
            least_ram = int(call.query.get("minRam") or 0)
            least_disk = int(call.query.get("minDisk") or 0)
            return [
                flavor
                for flavor in self.nova.flavors.flavors.values()
                if flavor.ram >= least_ram and flavor.disk >= least_disk
            ]

    def _flavor_list(self, call: Call, rows: list[Json], path: str) -> Response:
        rows, following = page(rows, call.query, f"{self.url}/v2.1/flavors{path}")
        extra = {"flavors_links": following} if following else {}
        return json_response({"flavors": rows, **extra})
