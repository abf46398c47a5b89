"""What a fresh OpenStack is given, with the names that the local cloud has: users, projects and
quotas, the catalog, flavors, an image, volume types and networks.
"""

from __future__ import annotations

import io
from typing import Any, Final

import openstack
from simulator.cloud.model.cloud import FLAVORS, GUEST_IMAGE, PRIVATE_NETWORK, PUBLIC_NETWORK
from simulator.cloud.model.settings import RAISED, CloudSettings
from tests.openstack.site import REGION, SERVICE_USER, Site

ENDPOINTS: Final = (
    ("placement", "placement", "placement", ""),
    ("image", "glance", "glance", ""),
    ("network", "neutron", "neutron", ""),
    ("compute", "nova", "nova", "/v2.1"),
    ("block-storage", "cinder", "cinder", "/v3/$(project_id)s"),
    ("object-store", "swift", "swift", "/v1/AUTH_$(project_id)s"),
)
"""Type, name, whose port, path."""
PROJECTS: Final = ("service", "demo", "demo2")
MEMBERS: Final = (
    (SERVICE_USER, "service", ("admin", "service")),
    ("demo", "demo", ("member",)),
    ("demo2", "demo2", ("member",)),
)
IMAGE: Final = b"a guest is a process: nothing boots from it"


def connect(site: Site, user: str = "admin", project: str | None = None) -> Any:
    """A session of openstacksdk as a user, whose project is of the same name."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=site.auth_url,
        username=user,
        password=site.password,
        project_name=project or user,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=REGION,
    )


def make_people(site: Site) -> None:
    """Projects, users, roles and the catalog: Keystone has to be there, nobody else."""
    with connect(site) as admin:
        identity = admin.identity
        roles = {role.name: role for role in identity.roles()}
        projects = {name: identity.create_project(name=name) for name in PROJECTS}
        for name, project, held in MEMBERS:
            user = identity.create_user(
                name=name, password=site.password, default_project_id=projects[project].id
            )
            for role in held:
                identity.assign_project_role_to_user(projects[project], user, roles[role])
        for kind, name, owner, path in ENDPOINTS:
            service = identity.create_service(type=kind, name=name)
            for interface in ("public", "internal", "admin"):
                identity.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    region_id=REGION,
                    url=f"{site.url(owner)}{path}",
                )


def make_things(site: Site) -> None:
    """Quotas of the service project, flavors, image, volume types and networks."""
    with connect(site) as admin:
        service = admin.identity.find_project("service")
        _raise_quotas(admin, service.id)
        for flavor in FLAVORS:
            admin.compute.create_flavor(
                id=flavor.id,
                name=flavor.name,
                ram=flavor.ram,
                vcpus=flavor.vcpus,
                disk=flavor.disk,
            )
        image = admin.image.create_image(
            GUEST_IMAGE,
            disk_format="raw",
            container_format="bare",
            visibility="public",
            tags=["coffer"],
            data=io.BytesIO(IMAGE),
        )
        assert admin.image.get_image(image.id).status == "active"
        admin.block_storage.create_type(name="standard")
        reserved = admin.block_storage.create_type(name="reserved", is_public=False)
        for name in ("demo2", "service"):
            project = admin.identity.find_project(name)
            admin.block_storage.add_type_access(reserved, project.id)
        _make_networks(admin, site.guest_network)


def _raise_quotas(admin: Any, project_id: str) -> None:
    """As the documentation tells an operator: all instances of all tenants are this project's."""
    defaults = CloudSettings()
    services = (
        (admin.set_compute_quotas, defaults.compute_quota),
        (admin.set_volume_quotas, defaults.volume_quota),
        (admin.set_network_quotas, defaults.network_quota),
    )
    for raises, known in services:
        raises(project_id, **{name: RAISED[name] for name in RAISED if name in known})


def _make_networks(admin: Any, block: str) -> None:
    """A shared network for guests, an external one for floating addresses, a router between them.

    Both are on loopback, where Neutron serves no DHCP and has no gateway: a server learns its
    address from its config drive.
    """
    start = block.removesuffix(".0.0/16")
    network = admin.network
    private = network.create_network(name=PRIVATE_NETWORK, is_shared=True)
    inside = network.create_subnet(
        network_id=private.id,
        name=f"{PRIVATE_NETWORK}-subnet",
        ip_version=4,
        cidr=f"{start}.0.0/17",
        enable_dhcp=False,
        gateway_ip=None,
        allocation_pools=[{"start": f"{start}.1.1", "end": f"{start}.100.254"}],
    )
    public = network.create_network(
        name=PUBLIC_NETWORK, is_router_external=True, provider_network_type="local"
    )
    network.create_subnet(
        network_id=public.id,
        name=f"{PUBLIC_NETWORK}-subnet",
        ip_version=4,
        cidr=f"{start}.128.0/17",
        enable_dhcp=False,
        gateway_ip=None,
    )
    router = network.create_router(name="router", external_gateway_info={"network_id": public.id})
    fixed = [{"subnet_id": inside.id, "ip_address": f"{start}.0.1"}]
    port = network.create_port(network_id=private.id, fixed_ips=fixed)
    network.add_interface_to_router(router, port_id=port.id)
