"""What there is: domains, regions, services and their endpoints."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http import identity_views as views
from simulator.cloud.http.identity_base import IdentityRoutes
from simulator.cloud.http.plumbing import Call, empty, json_response, text_of, truth
from simulator.cloud.model.errors import NotFound
from simulator.cloud.model.identity import DEFAULT_DOMAIN_ID


class CatalogEntries(IdentityRoutes):
    """Routes below `/domains`, `/regions`, `/services` and `/endpoints`."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
        return [
            self.route("/v3/auth/domains", get=self.list_domains),
            self.route("/v3/domains", get=self.list_domains),
            self.route("/v3/domains/{domain_id}", get=self.show_domain),
            self.route("/v3/regions", get=self.list_regions),
            self.route("/v3/regions/{region_id}", get=self.show_region),
            self.route("/v3/services", get=self.list_services, post=self.create_service),
            self.route(
                "/v3/services/{service_id}",
                get=self.show_service,
                patch=self.update_service,
                delete=self.delete_service,
            ),
            self.route("/v3/endpoints", get=self.list_endpoints, post=self.create_endpoint),
            self.route(
                "/v3/endpoints/{endpoint_id}",
                get=self.show_endpoint,
                patch=self.update_endpoint,
                delete=self.delete_endpoint,
            ),
        ]

    def list_domains(self, call: Call) -> Response:
        """GET /v3/domains: there is one."""
        return self.list_of("domains", [views.domain(self.url)], call)

    def show_domain(self, call: Call) -> Response:
        """GET /v3/domains/{id}."""
        if call.path["domain_id"] != DEFAULT_DOMAIN_ID:
            raise NotFound(f"Could not find domain: {call.path['domain_id']}.")
        return json_response({"domain": views.domain(self.url)})

    def list_regions(self, call: Call) -> Response:
        """GET /v3/regions: there is one."""
        return self.list_of("regions", [views.region(self.cloud.settings.region, self.url)], call)

    def show_region(self, call: Call) -> Response:
        """GET /v3/regions/{id}."""
        if call.path["region_id"] != self.cloud.settings.region:
            raise NotFound(f"Could not find region: {call.path['region_id']}.")
        return json_response({"region": views.region(self.cloud.settings.region, self.url)})

    def list_services(self, call: Call) -> Response:
        """GET /v3/services, by type or name."""
        call.caller.require_admin("identity:list_services")
        found = self.cloud.identity.catalog.services.values()
        return self.list_of("services", [views.service(s, self.url) for s in found], call)

    def create_service(self, call: Call) -> Response:
        """POST /v3/services."""
        call.caller.require_admin("identity:create_service")
        wanted = call.item("service")
        service = self.cloud.identity.catalog.add_service(
            text_of(wanted, "type"), text_of(wanted, "name"), text_of(wanted, "description")
        )
        return json_response({"service": views.service(service, self.url)}, 201)

    def show_service(self, call: Call) -> Response:
        """GET /v3/services/{id}."""
        call.caller.require_admin("identity:get_service")
        service = self.cloud.identity.catalog.service(call.path["service_id"])
        return json_response({"service": views.service(service, self.url)})

    def update_service(self, call: Call) -> Response:
        """PATCH /v3/services/{id}."""
        call.caller.require_admin("identity:update_service")
        service = self.cloud.identity.catalog.service(call.path["service_id"])
        wanted = call.item("service")
        service.type = text_of(wanted, "type", service.type)
        service.name = text_of(wanted, "name", service.name)
        service.description = text_of(wanted, "description", service.description)
        service.enabled = truth(wanted.get("enabled", service.enabled))
        return json_response({"service": views.service(service, self.url)})

    def delete_service(self, call: Call) -> Response:
        """DELETE /v3/services/{id}."""
        call.caller.require_admin("identity:delete_service")
        self.cloud.identity.catalog.delete_service(call.path["service_id"])
        return empty()

    def list_endpoints(self, call: Call) -> Response:
        """GET /v3/endpoints, by service_id, interface or region_id."""
        call.caller.require_admin("identity:list_endpoints")
        found = self.cloud.identity.catalog.endpoints.values()
        return self.list_of("endpoints", [views.endpoint(e, self.url) for e in found], call)

    def create_endpoint(self, call: Call) -> Response:
        """POST /v3/endpoints."""
        call.caller.require_admin("identity:create_endpoint")
        wanted = call.item("endpoint")
        endpoint = self.cloud.identity.catalog.add_endpoint(
            text_of(wanted, "service_id"),
            text_of(wanted, "interface"),
            text_of(wanted, "url"),
            wanted.get("region_id") or wanted.get("region"),
        )
        return json_response({"endpoint": views.endpoint(endpoint, self.url)}, 201)

    def show_endpoint(self, call: Call) -> Response:
        """GET /v3/endpoints/{id}."""
        call.caller.require_admin("identity:get_endpoint")
        endpoint = self.cloud.identity.catalog.endpoint(call.path["endpoint_id"])
        return json_response({"endpoint": views.endpoint(endpoint, self.url)})

    def update_endpoint(self, call: Call) -> Response:
        """PATCH /v3/endpoints/{id}."""
        call.caller.require_admin("identity:update_endpoint")
        changes = call.item("endpoint")
        endpoint = self.cloud.identity.catalog.update_endpoint(call.path["endpoint_id"], changes)
        return json_response({"endpoint": views.endpoint(endpoint, self.url)})

    def delete_endpoint(self, call: Call) -> Response:
        """DELETE /v3/endpoints/{id}."""
        call.caller.require_admin("identity:delete_endpoint")
        self.cloud.identity.catalog.delete_endpoint(call.path["endpoint_id"])
        return empty()
