"""Neutron v2.0: networks, subnets, ports, security groups and rules, quotas, extensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from simulator.cloud.http import network_views as views
from simulator.cloud.http.lists import matches, page, sort
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    Service,
    empty,
    json_response,
    names_of,
    open_route,
    text_of,
    truth,
    unauthorized_view,
)
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest, CloudError, NotFound
from simulator.cloud.model.security_groups import Traffic
from simulator.cloud.model.sharing import ACTION


class Tagged(Protocol):
    """Anything that bears tags."""

    tags: list[str]


def error_view(error: CloudError) -> Response:
    """Neutron's body: `{"NeutronError": {"type", "message", "detail"}}`."""
    if error.status == 401:
        return unauthorized_view(error)
    content = {"NeutronError": {"type": error.kind, "message": error.message, "detail": ""}}
    return JSONResponse(content, error.status)


class NetworkApi(Service):
    """Routes below `/network`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, error_view)
        self._neutron = cloud.network
        self._groups = cloud.network.security_groups

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        versions = {"versions": [views.version(self.url)]}
        resources = {"resources": views.resources(self.url)}
        return [
            open_route("/", lambda: json_response(versions)),
            open_route("/v2.0", lambda: json_response(resources)),
            open_route("/v2.0/", lambda: json_response(resources)),
            self._resource("networks", self.list_networks, self.create_network),
            self._one("networks", self.show_network, self.update_network, self.delete_network),
            self._resource("subnets", self.list_subnets, self.create_subnet),
            self._one("subnets", self.show_subnet, self.update_subnet, self.delete_subnet),
            self._resource("ports", self.list_ports, self.create_port),
            self._one("ports", self.show_port, self.update_port, self.delete_port),
            self._resource("security-groups", self.list_groups, self.create_group),
            self._one("security-groups", self.show_group, self.update_group, self.delete_group),
            self._resource("security-group-rules", self.list_rules, self.create_rule),
            self.route(
                "/v2.0/security-group-rules/{id}", get=self.show_rule, delete=self.delete_rule
            ),
            self.route("/v2.0/{collection}/{id}/tags", get=self.show_tags, put=self.set_tags),
            self.route(
                "/v2.0/{collection}/{id}/tags/{tag}", put=self.add_tag, delete=self.remove_tag
            ),
            self.route("/v2.0/extensions", get=self.list_extensions),
            self.route("/v2.0/extensions/{alias}", get=self.show_extension),
            self._resource("floatingips", self.list_floating, self.create_floating),
            self.route(
                "/v2.0/floatingips/{id}", get=self.show_floating, delete=self.delete_floating
            ),
            self._resource("rbac-policies", self.list_policies, self.create_policy),
            self.route("/v2.0/rbac-policies/{id}", get=self.show_policy, delete=self.delete_policy),
            self.route("/v2.0/routers", get=lambda call: json_response({"routers": []})),
            self.route(
                "/v2.0/quotas/{project_id}",
                get=self.show_quotas,
                put=self.update_quotas,
                delete=self.reset_quotas,
            ),
        ]

    def _resource(
        self, name: str, get: Callable[[Call], Response], post: Callable[[Call], Response]
    ) -> BaseRoute:
        return self.route(f"/v2.0/{name}", get=get, post=post)

    def _one(
        self,
        name: str,
        get: Callable[[Call], Response],
        put: Callable[[Call], Response],
        delete: Callable[[Call], Response],
    ) -> BaseRoute:
        return self.route(f"/v2.0/{name}/{{id}}", get=get, put=put, delete=delete)

    def list_networks(self, call: Call) -> Response:
        """GET /networks."""
        with self.cloud.faults.around("network", "list_networks", ""):
            networks = self._neutron.networks.values()
            usable = [n for n in networks if self._neutron.may_use(call.caller, n)]
        rows = (views.network(network, self._neutron, call.caller) for network in usable)
        return self._list(call, "networks", rows)

    def create_network(self, call: Call) -> Response:
        """POST /networks."""
        wanted = call.item("network")
        network = self._neutron.create_network(
            call.caller,
            text_of(wanted, "name"),
            shared=truth(wanted.get("shared", False)),
            external=truth(wanted.get("router:external", False)),
        )
        network.description = text_of(wanted, "description")
        return json_response({"network": views.network(network, self._neutron, call.caller)}, 201)

    def show_network(self, call: Call) -> Response:
        """GET /networks/{id}."""
        network = self._neutron.network(call.caller, call.path["id"])
        with self.cloud.faults.around("network", "get_network", network.name):
            return json_response({"network": views.network(network, self._neutron, call.caller)})

    def update_network(self, call: Call) -> Response:
        """PUT /networks/{id}: name and description."""
        network = self._neutron.network(call.caller, call.path["id"])
        if network.project_id != call.caller.project_id:
            call.caller.require_admin("update_network")
        wanted = call.item("network")
        network.name = text_of(wanted, "name", network.name)
        network.description = text_of(wanted, "description", network.description)
        return json_response({"network": views.network(network, self._neutron, call.caller)})

    def delete_network(self, call: Call) -> Response:
        """DELETE /networks/{id}."""
        self._neutron.delete_network(call.caller, call.path["id"])
        return empty()

    def list_subnets(self, call: Call) -> Response:
        """GET /subnets."""
        with self.cloud.faults.around("network", "list_subnets", ""):
            networks = self._neutron.networks
            usable = [
                subnet
                for subnet in self._neutron.subnets.values()
                if self._neutron.may_use(call.caller, networks[subnet.network_id])
            ]
        return self._list(call, "subnets", (views.subnet(subnet) for subnet in usable))

    def create_subnet(self, call: Call) -> Response:
        """POST /subnets."""
        wanted = call.item("subnet")
        pools = wanted.get("allocation_pools") or []
        subnet = self._neutron.create_subnet(
            call.caller,
            text_of(wanted, "network_id"),
            text_of(wanted, "cidr"),
            text_of(wanted, "name"),
            gateway=text_of(wanted, "gateway_ip") if "gateway_ip" in wanted else None,
            pool=(text_of(pools[0], "start"), text_of(pools[0], "end")) if pools else None,
            enable_dhcp=truth(wanted.get("enable_dhcp", True)),
        )
        return json_response({"subnet": views.subnet(subnet)}, 201)

    def show_subnet(self, call: Call) -> Response:
        """GET /subnets/{id}."""
        subnet = self._neutron.subnet(call.caller, call.path["id"])
        with self.cloud.faults.around("network", "get_subnet", subnet.name):
            return json_response({"subnet": views.subnet(subnet)})

    def update_subnet(self, call: Call) -> Response:
        """PUT /subnets/{id}: name, description, and whether there is DHCP."""
        subnet = self._neutron.subnet(call.caller, call.path["id"])
        if subnet.project_id != call.caller.project_id:
            call.caller.require_admin("update_subnet")
        wanted = call.item("subnet")
        subnet.name = text_of(wanted, "name", subnet.name)
        subnet.description = text_of(wanted, "description", subnet.description)
        subnet.enable_dhcp = truth(wanted.get("enable_dhcp", subnet.enable_dhcp))
        return json_response({"subnet": views.subnet(subnet)})

    def delete_subnet(self, call: Call) -> Response:
        """DELETE /subnets/{id}."""
        self._neutron.delete_subnet(call.caller, call.path["id"])
        return empty()

    def list_ports(self, call: Call) -> Response:
        """GET /ports."""
        rows = (views.port(port) for port in self._neutron.list_ports(call.caller))
        return self._list(call, "ports", rows)

    def create_port(self, call: Call) -> Response:
        """POST /ports."""
        wanted = call.item("port")
        groups = wanted.get("security_groups")
        addresses = wanted.get("fixed_ips")
        port = self._neutron.create_port(
            call.caller,
            text_of(wanted, "network_id"),
            name=text_of(wanted, "name"),
            project_id=_project(wanted),
            description=text_of(wanted, "description"),
            wanted=None if addresses is None else [_address(entry) for entry in addresses],
            security_group_ids=None if groups is None else names_of(wanted, "security_groups"),
            device_id=text_of(wanted, "device_id"),
            device_owner=text_of(wanted, "device_owner"),
            tags=names_of(wanted, "tags"),
        )
        return json_response({"port": views.port(port)}, 201)

    def show_port(self, call: Call) -> Response:
        """GET /ports/{id}."""
        port = self._neutron.get_port(call.caller, call.path["id"])
        return json_response({"port": views.port(port)})

    def update_port(self, call: Call) -> Response:
        """PUT /ports/{id}."""
        port = self._neutron.update_port(call.caller, call.path["id"], call.item("port"))
        return json_response({"port": views.port(port)})

    def delete_port(self, call: Call) -> Response:
        """DELETE /ports/{id}."""
        self._neutron.delete_port(call.caller, call.path["id"])
        return empty()

    def list_floating(self, call: Call) -> Response:
        """GET /floatingips."""
        rows = (views.floating(each) for each in self._neutron.floating.list(call.caller))
        return self._list(call, "floatingips", rows)

    def create_floating(self, call: Call) -> Response:
        """POST /floatingips."""
        wanted = call.item("floatingip")
        made = self._neutron.floating.create(
            call.caller,
            text_of(wanted, "floating_network_id"),
            text_of(wanted, "port_id") or None,
            text_of(wanted, "description"),
        )
        return json_response({"floatingip": views.floating(made)}, 201)

    def show_floating(self, call: Call) -> Response:
        """GET /floatingips/{id}."""
        found = self._neutron.floating.show(call.caller, call.path["id"])
        return json_response({"floatingip": views.floating(found)})

    def delete_floating(self, call: Call) -> Response:
        """DELETE /floatingips/{id}."""
        self._neutron.floating.delete(call.caller, call.path["id"])
        return empty()

    def list_groups(self, call: Call) -> Response:
        """GET /security-groups."""
        rows = (views.security_group(group) for group in self._groups.list(call.caller))
        return self._list(call, "security_groups", rows)

    def create_group(self, call: Call) -> Response:
        """POST /security-groups."""
        wanted = call.item("security_group")
        group = self._groups.create(
            call.caller,
            self._neutron.owner(call.caller, _project(wanted)),
            text_of(wanted, "name"),
            text_of(wanted, "description"),
            names_of(wanted, "tags"),
        )
        return json_response({"security_group": views.security_group(group)}, 201)

    def show_group(self, call: Call) -> Response:
        """GET /security-groups/{id}."""
        group = self._groups.show(call.caller, call.path["id"])
        return json_response({"security_group": views.security_group(group)})

    def update_group(self, call: Call) -> Response:
        """PUT /security-groups/{id}."""
        changes = call.item("security_group")
        group = self._groups.update(call.caller, call.path["id"], changes)
        return json_response({"security_group": views.security_group(group)})

    def delete_group(self, call: Call) -> Response:
        """DELETE /security-groups/{id}."""
        self._groups.delete(call.caller, call.path["id"])
        return empty()

    def list_rules(self, call: Call) -> Response:
        """GET /security-group-rules."""
        rows = (views.rule(rule) for rule in self._groups.rules(call.caller))
        return self._list(call, "security_group_rules", rows)

    def create_rule(self, call: Call) -> Response:
        """POST /security-group-rules."""
        wanted = call.item("security_group_rule")
        traffic = Traffic(
            direction=text_of(wanted, "direction"),
            ethertype=text_of(wanted, "ethertype", "IPv4"),
            protocol=str(wanted["protocol"]) if wanted.get("protocol") is not None else None,
            port_range_min=_port_number(wanted, "port_range_min"),
            port_range_max=_port_number(wanted, "port_range_max"),
            remote_ip_prefix=wanted.get("remote_ip_prefix"),
            remote_group_id=wanted.get("remote_group_id"),
        )
        group_id, description = text_of(wanted, "security_group_id"), text_of(wanted, "description")
        rule = self._groups.create_rule(call.caller, group_id, traffic, description)
        return json_response({"security_group_rule": views.rule(rule)}, 201)

    def show_rule(self, call: Call) -> Response:
        """GET /security-group-rules/{id}."""
        rule = self._groups.rule(call.caller, call.path["id"])
        return json_response({"security_group_rule": views.rule(rule)})

    def delete_rule(self, call: Call) -> Response:
        """DELETE /security-group-rules/{id}."""
        self._groups.delete_rule(call.caller, call.path["id"])
        return empty()

    def list_policies(self, call: Call) -> Response:
        """GET /rbac-policies."""
        rows = (views.policy(each) for each in self._neutron.sharing.list(call.caller))
        return self._list(call, "rbac_policies", rows)

    def create_policy(self, call: Call) -> Response:
        """POST /rbac-policies: of networks, which are shared."""
        wanted = call.item("rbac_policy")
        if (wanted.get("object_type"), wanted.get("action")) != ("network", ACTION):
            raise BadRequest("Invalid input: this cloud shares networks.", kind="InvalidInput")
        target = text_of(wanted, "target_project") or text_of(wanted, "target_tenant")
        made = self._neutron.share(call.caller, text_of(wanted, "object_id"), target)
        return json_response({"rbac_policy": views.policy(made)}, 201)

    def show_policy(self, call: Call) -> Response:
        """GET /rbac-policies/{id}."""
        found = self._neutron.sharing.get(call.caller, call.path["id"])
        return json_response({"rbac_policy": views.policy(found)})

    def delete_policy(self, call: Call) -> Response:
        """DELETE /rbac-policies/{id}."""
        self._neutron.sharing.delete(call.caller, call.path["id"])
        return empty()

    def show_tags(self, call: Call) -> Response:
        """GET the tags of a resource."""
        return json_response({"tags": self._tagged(call).tags})

    def set_tags(self, call: Call) -> Response:
        """PUT all tags of a resource."""
        tags = names_of(call.body, "tags")
        self._tagged(call).tags = tags
        return json_response({"tags": tags})

    def add_tag(self, call: Call) -> Response:
        """PUT one tag."""
        tagged = self._tagged(call)
        if call.path["tag"] not in tagged.tags:
            tagged.tags.append(call.path["tag"])
        return empty(201)

    def remove_tag(self, call: Call) -> Response:
        """DELETE one tag."""
        tagged = self._tagged(call)
        if call.path["tag"] not in tagged.tags:
            raise NotFound(f"Tag {call.path['tag']} could not be found.", kind="TagNotFound")
        tagged.tags.remove(call.path["tag"])
        return empty()

    def _tagged(self, call: Call) -> Tagged:
        identifier = call.path["id"]
        match call.path["collection"]:
            case "networks":
                return self._neutron.network(call.caller, identifier)
            case "subnets":
                return self._neutron.subnet(call.caller, identifier)
            case "ports":
                return self._neutron.port(call.caller, identifier)
            case "security-groups":
                return self._groups.get(call.caller, identifier)
            case _:
                raise NotFound("The resource could not be found.", kind="HTTPNotFound")

    def list_extensions(self, call: Call) -> Response:
        """GET /extensions."""
        return json_response({"extensions": views.EXTENSIONS})

    def show_extension(self, call: Call) -> Response:
        """GET /extensions/{alias}."""
        for extension in views.EXTENSIONS:
            if extension["alias"] == call.path["alias"]:
                return json_response({"extension": extension})
        raise NotFound("The resource could not be found.", kind="HTTPNotFound")

    def show_quotas(self, call: Call) -> Response:
        """GET /quotas/{project}."""
        project_id = call.path["project_id"]
        if project_id != call.caller.project_id:
            call.caller.require_admin("get_quota")
        return json_response({"quota": self._neutron.quotas.limits(project_id)})

    def update_quotas(self, call: Call) -> Response:
        """PUT /quotas/{project}, for an admin."""
        call.caller.require_admin("update_quota")
        limits = self._neutron.quotas.update(call.path["project_id"], call.item("quota"))
        return json_response({"quota": limits})

    def reset_quotas(self, call: Call) -> Response:
        """DELETE /quotas/{project}, for an admin."""
        call.caller.require_admin("delete_quota")
        self._neutron.quotas.reset(call.path["project_id"])
        return empty()

    def _list(self, call: Call, name: str, documents: Iterable[Json]) -> Response:
        kept = [document for document in documents if matches(document, call.query)]
        url = f"{self.url}/v2.0/{name.replace('_', '-')}"
        rows, following = page(sort(kept, call.query), call.query, url)
        fields = call.query.getlist("fields")
        if fields:
            rows = [{key: row[key] for key in fields if key in row} for row in rows]
        extra = {f"{name}_links": following} if following else {}
        return json_response({name: rows, **extra})


def _project(wanted: Json) -> str | None:
    return text_of(wanted, "project_id") or text_of(wanted, "tenant_id") or None


def _address(entry: object) -> tuple[str | None, str | None]:
    if not isinstance(entry, dict):
        raise BadRequest("Invalid input for fixed_ips.", kind="HTTPBadRequest")
    return text_of(entry, "subnet_id") or None, text_of(entry, "ip_address") or None


def _port_number(wanted: Json, name: str) -> int | None:
    value = wanted.get(name)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"Invalid input for {name}. '{value}' is not an integer.") from error
