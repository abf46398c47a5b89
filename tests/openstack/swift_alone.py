"""A real Swift beside a Keystone that is there: what `make test` stores backups in, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.processes import PartProcess
from tests.openstack import swift
from tests.openstack.site import Site, await_all, listens
from tests.support.installed import installed
from tests.support.loopback import free_port

REQUIREMENTS: Final = "openstack/swift-requirements.txt"
PORTS: Final = ("swift", *(f"swift-{kind}" for kind in swift.KINDS))


@dataclass(frozen=True)
class SwiftSite(Site):
    """A Swift that has its tokens validated elsewhere, as a user with the role service."""

    keystone_url: str = ""
    validator: str = ""

    @property
    def auth_url(self) -> str:
        return self.keystone_url

    def database_url(self, name: str) -> str:
        """It has none."""
        return ""

    def service_login(self) -> dict[str, object]:
        return {**super().service_login(), "username": self.validator}


@contextmanager
def running(folder: Path, keystone_url: str, validator: str, password: str) -> Iterator[str]:
    """The URL of a Swift whose accounts are there for the projects of that Keystone."""
    site = SwiftSite(
        state=folder,
        environment=installed("swift", REQUIREMENTS),
        ports={name: free_port() for name in PORTS},
        guest_network="",
        password=password,
        keystone_url=keystone_url,
        validator=validator,
    )
    swift.configure(site)
    parts: list[PartProcess] = []
    try:
        parts += swift.start(site)
        await_all(dict(zip(parts, map(listens, site.ports.values()), strict=True)))
        yield f"{site.url('swift')}/v1/{swift.REALM}$(project_id)s"
    finally:
        for part in parts:
            part.stop()


@contextmanager
def in_catalog(admin: Any, url: str) -> Iterator[None]:
    """Have a Keystone's catalog lead to another object store for a while."""
    identity = admin.identity
    (service,) = identity.services(type="object-store")
    endpoints = list(identity.endpoints(service_id=service.id))
    for each in endpoints:
        identity.update_endpoint(each, url=url)
    try:
        yield
    finally:
        for each in endpoints:
            identity.update_endpoint(each.id, url=each.url)
