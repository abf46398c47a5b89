"""The whole cloud: its services wired to each other, and what is in it from the start."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.flavors import Flavor
from simulator.cloud.model.identity import Identity, stable_id
from simulator.cloud.model.image import ImageService
from simulator.cloud.model.network import NetworkService
from simulator.cloud.model.object_store import ObjectStore
from simulator.cloud.model.quota import Quotas
from simulator.cloud.model.resize import ResizingCompute, ResizingLifecycle
from simulator.cloud.model.seams import Clock, Hypervisor, Ids, Scheduler
from simulator.cloud.model.server import Server
from simulator.cloud.model.settings import CloudSettings
from simulator.cloud.model.volume import VolumeService, VolumeType

GUEST_IMAGE = "coffer-guest"
PRIVATE_NETWORK = "private"
PUBLIC_NETWORK = "public"
PUBLIC_CIDR = "203.0.113.0/24"
FLAVORS = (
    Flavor("1", "db.tiny", ram=512, vcpus=1, disk=5),
    Flavor("2", "db.small", ram=1024, vcpus=1, disk=10),
    Flavor("3", "db.medium", ram=2048, vcpus=2, disk=20),
    Flavor("4", "db.memory", ram=1024, vcpus=1, disk=5),
)
SERVICES = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("network", "neutron", "/network"),
    ("volumev3", "cinderv3", "/volume/v3/$(project_id)s"),
    ("block-storage", "cinder", "/volume/v3/$(project_id)s"),
    ("image", "glance", "/image"),
    ("object-store", "swift", "/object-store/v1/AUTH_$(project_id)s"),
    ("database", "trove", None),
)


@dataclass(frozen=True)
class Passwords:
    """The passwords of the users that exist from the start."""

    admin: str = field(repr=False)
    service: str = field(repr=False)
    demo: str = field(repr=False)
    validation: str = field(repr=False)


class Cloud:
    """A running cloud: `identity`, `compute`, `network`, `volume`, `image`, `objects`, `faults`."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        later: Scheduler,
        hypervisor: Hypervisor,
        settings: CloudSettings | None = None,
    ) -> None:
        self.settings = settings or CloudSettings()
        self.clock = clock
        self.ids = ids
        self.faults = Faults()
        self.identity = Identity(clock, ids, self.settings.token_seconds)
        self.image = ImageService(clock, ids, self.faults)
        self.objects = ObjectStore(clock, self.faults)
        self.network = NetworkService(clock, ids, self.faults, Quotas(self.settings.network_quota))
        self.volume = VolumeService(
            clock,
            ids,
            later,
            hypervisor,
            self.faults,
            Quotas(self.settings.volume_quota),
            self.settings.delays,
        )
        servers: dict[str, Server] = {}
        lifecycle = ResizingLifecycle(
            servers, clock, later, hypervisor, self.network, self.volume, self.settings.delays
        )
        lifecycle.confirm_seconds = self.settings.resize_confirm_seconds
        self._lifecycle = lifecycle
        self.keep_deleted(self.settings.reclaim_seconds)
        self.compute = ResizingCompute(
            clock,
            ids,
            self.faults,
            Quotas(self.settings.compute_quota),
            servers,
            lifecycle,
            self.network,
            self.volume,
            self.image,
        )
        self.compute.host_role = self.settings.host_role
        self.compute.zones = self.settings.zones
        self.volume.zones = self.settings.volume_zones

    def keep_deleted(self, seconds: float) -> None:
        """Have Nova keep a server for so long that is deleted from now on; 0 is not at all."""
        self._lifecycle.reclaim_seconds = seconds

    def bootstrap(self, passwords: Passwords, public_url: str) -> None:
        """Make the users, projects, quotas, flavors, image, networks and catalog of a fresh cloud.

        Ids come from names, so that every run of a cloud has the same ones.
        """
        self._make_people(passwords)
        self._make_catalog(public_url)
        admin = self.admin()
        for flavor in FLAVORS:
            self.compute.flavors.add(
                Flavor(flavor.id, flavor.name, flavor.ram, flavor.vcpus, flavor.disk)
            )
        self.image.create(
            admin,
            GUEST_IMAGE,
            visibility="public",
            tags=["coffer"],
            image_id=stable_id("image", GUEST_IMAGE),
        )
        standard = VolumeType(
            stable_id("volume type", "standard"), "standard", "Directories", is_default=True
        )
        reserved = VolumeType(
            stable_id("volume type", "reserved"),
            "reserved",
            "Directories of some projects",
            projects=frozenset({_key("project", "demo2"), _key("project", "service")}),
        )
        self.volume.types |= {standard.id: standard, reserved.id: reserved}
        self._make_networks(admin)

    def admin(self) -> Caller:
        """The caller for what the cloud does by itself."""
        roles = frozenset({"admin", "member", "reader"})
        return Caller(_key("user", "admin"), _key("project", "admin"), roles)

    def _make_people(self, passwords: Passwords) -> None:
        identity = self.identity
        names = ("admin", "manager", "member", "reader", "service")
        roles = {name: identity.add_role(name) for name in names}
        for name in ("admin", "service", "demo", "demo2"):
            identity.add_project(name, _key("project", name))
        people = (
            ("admin", passwords.admin, "admin", "admin"),
            *(
                ("coffer", passwords.service, "service", each)
                for each in self.settings.service_roles
            ),
            ("coffer-api", passwords.validation, "service", "service"),
            ("demo", passwords.demo, "demo", "member"),
            ("demo2", passwords.demo, "demo2", "member"),
        )
        for name, password, project, role in people:
            if _key("user", name) not in identity.users:
                identity.add_user(name, password, _key("user", name))
            identity.grant(_key("user", name), _key("project", project), roles[role].id)
        identity.system_assignments.add((_key("user", "admin"), roles["admin"].id))
        raised: dict[str, object] = {**self.settings.service_quota}
        for service in (self.compute, self.volume, self.network):
            service.quotas.update(_key("project", "service"), raised)

    def _make_catalog(self, public_url: str) -> None:
        catalog = self.identity.catalog
        for service_type, name, path in SERVICES:
            service = catalog.add_service(
                service_type, name, service_id=_key("service", service_type)
            )
            for interface in ("public", "internal", "admin") if path else ():
                catalog.add_endpoint(
                    service.id,
                    interface,
                    f"{public_url}{path}",
                    self.settings.region,
                    _key("endpoint", f"{service_type}/{interface}"),
                )

    def _make_networks(self, admin: Caller) -> None:
        private = self.network.create_network(
            admin, PRIVATE_NETWORK, network_id=stable_id("network", PRIVATE_NETWORK), shared=True
        )
        block = ipaddress.IPv4Network(self.settings.guest_network)
        # The first 256 addresses of a larger range stay free for the host and its gateway.
        skipped = 257 if block.num_addresses > 1024 else 2
        self.network.create_subnet(
            admin,
            private.id,
            str(block),
            f"{PRIVATE_NETWORK}-subnet",
            pool=(str(block.network_address + skipped), str(block.broadcast_address - 1)),
            subnet_id=stable_id("subnet", PRIVATE_NETWORK),
        )
        public = self.network.create_network(
            admin, PUBLIC_NETWORK, network_id=stable_id("network", PUBLIC_NETWORK), external=True
        )
        self.network.create_subnet(
            admin,
            public.id,
            PUBLIC_CIDR,
            f"{PUBLIC_NETWORK}-subnet",
            subnet_id=stable_id("subnet", PUBLIC_NETWORK),
        )


def _key(kind: str, name: str) -> str:
    return stable_id(kind, name).replace("-", "")
