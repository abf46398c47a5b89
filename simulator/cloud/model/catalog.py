"""The service catalog: services and their endpoints, as Keystone keeps and expands them."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.cloud.model.errors import BadRequest, NotFound
from simulator.cloud.model.seams import Ids

INTERFACES = ("public", "internal", "admin")


@dataclass
class Service:
    """A service by type (`compute`) and name (`nova`)."""

    id: str
    type: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass
class Endpoint:
    """A URL of a service; it may hold `%(project_id)s`, `$(project_id)s`, or `tenant_id` so."""

    id: str
    service_id: str
    interface: str
    region: str | None
    url: str
    enabled: bool = True

    def expanded(self, project_id: str) -> str:
        """The URL for one project."""
        url = self.url
        for name in ("project_id", "tenant_id"):
            url = url.replace(f"%({name})s", project_id).replace(f"$({name})s", project_id)
        return url


class Catalog:
    """Services and endpoints by id."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self.services: dict[str, Service] = {}
        self.endpoints: dict[str, Endpoint] = {}

    def add_service(
        self, service_type: str, name: str, description: str = "", service_id: str | None = None
    ) -> Service:
        """Make a service. Keystone allows two of one type."""
        if not service_type:
            raise BadRequest("Invalid input for field 'type': '' is too short")
        identifier = service_id or self._ids.uuid().replace("-", "")
        service = Service(identifier, service_type, name, description)
        self.services[service.id] = service
        return service

    def add_endpoint(
        self,
        service_id: str,
        interface: str,
        url: str,
        region: str | None,
        endpoint_id: str | None = None,
    ) -> Endpoint:
        """Make an endpoint; BadRequest for an unknown interface or service."""
        _check_interface(interface)
        if service_id not in self.services:
            raise BadRequest(f"Could not find service: {service_id}.")
        identifier = endpoint_id or self._ids.uuid().replace("-", "")
        endpoint = Endpoint(identifier, service_id, interface, region, url)
        self.endpoints[endpoint.id] = endpoint
        return endpoint

    def service(self, service_id: str) -> Service:
        """The service of that id, or NotFound."""
        if service_id not in self.services:
            raise NotFound(f"Could not find service: {service_id}.")
        return self.services[service_id]

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """The endpoint of that id, or NotFound."""
        if endpoint_id not in self.endpoints:
            raise NotFound(f"Could not find endpoint: {endpoint_id}.")
        return self.endpoints[endpoint_id]

    def update_endpoint(self, endpoint_id: str, changes: dict[str, object]) -> Endpoint:
        """Change url, interface, region, enabled or service of an endpoint."""
        endpoint = self.endpoint(endpoint_id)
        if "interface" in changes:
            _check_interface(str(changes["interface"]))
            endpoint.interface = str(changes["interface"])
        if "service_id" in changes:
            endpoint.service_id = self.service(str(changes["service_id"])).id
        if "url" in changes:
            endpoint.url = str(changes["url"])
        region = changes.get("region_id", changes.get("region"))
        if region is not None:
            endpoint.region = str(region)
        if "enabled" in changes:
            endpoint.enabled = bool(changes["enabled"])
        return endpoint

    def delete_service(self, service_id: str) -> None:
        """Remove a service and its endpoints."""
        del self.services[self.service(service_id).id]
        self.endpoints = {k: e for k, e in self.endpoints.items() if e.service_id != service_id}

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Remove an endpoint."""
        del self.endpoints[self.endpoint(endpoint_id).id]


def _check_interface(interface: str) -> None:
    if interface not in INTERFACES:
        raise BadRequest(
            f"Invalid input for field 'interface': {interface!r} is not one of {list(INTERFACES)}"
        )
