"""Brings a whole OpenStack up, in the order in which its services need each other, and down."""

from __future__ import annotations

import hashlib
import inspect
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import requests

from infra.local.processes import leftovers, stop_all
from tests.openstack import (
    cinder,
    database,
    glance,
    keystone,
    messages,
    neutron,
    nova,
    people,
    placement,
    swift,
)
from tests.openstack.site import START_SECONDS, Site, await_all, listens
from tests.support.installed import CACHE
from tests.support.loopback import free_port, own_network

PORTS: Final = (
    *("mariadb", "rabbitmq", "epmd", "erlang", "hypervisor"),
    *("keystone", "placement", "glance", "neutron", "nova", "cinder"),
    *("swift", *(f"swift-{kind}" for kind in swift.KINDS)),
)
SYNCED: Final = (keystone, placement, glance, cinder, neutron, nova)
HOSTS_SECONDS: Final = 120
POLL_SECONDS: Final = 0.2

Say = Callable[[str], None]


def new_site(state: Path, environment: Path) -> Site:
    """An OpenStack that is not there yet, on ports and addresses that nobody else is given."""
    return Site(
        state=state,
        environment=environment,
        ports={name: free_port() for name in PORTS},
        guest_network=own_network(),
        password=secrets.token_urlsafe(18),
    )


def up(site: Site, say: Say) -> None:
    """Start everything and wait until servers can be made; tells each step with its time."""
    started = time.monotonic()

    def step(what: str) -> None:
        say(f"{time.monotonic() - started:6.1f} s  {what}")

    for service in (*SYNCED, swift):
        service.configure(site)
    _, broker = messages.start(site)
    _start_database(site, step)
    keystone.bootstrap(site)
    identity = keystone.start(site)
    identity.wait_until(lambda: _answers(site.auth_url), START_SECONDS)
    people.make_people(site)
    step("Keystone")
    broker.wait_until(listens(site.ports["rabbitmq"]), START_SECONDS)
    step("RabbitMQ")
    _start_services(site)
    step("the other services")
    people.make_things(site)
    step("flavors, image, networks")
    _await_hosts(site)
    step("hosts")


def down(site: Site) -> None:
    """End everything that was started, the guests first, so that none of them loses its cloud.

    Some of the services write their title over their environment: they are known by their pid.
    """
    site.part("hypervisor").stop()
    running = [part.running() for part in site.parts()]
    stop_all([process for process in running if process], with_children=True)
    stop_all(leftovers(site.state))


def _start_database(site: Site, step: Say) -> None:
    """With the schemas that were kept, or, the first time, with new ones, which are kept."""
    kept = _kept_schemas()
    fresh = not kept.is_dir()
    base = database.start(site, kept)
    if fresh:
        for service in SYNCED:
            service.sync(site)
            step(f"tables of {service.__name__.rpartition('.')[2]}")
        database.keep(site, base, kept)
    step("MariaDB")


def _kept_schemas() -> Path:
    """Where they are kept: they belong to these releases and to these commands."""
    hashed = hashlib.sha256(Path(__file__).with_name("requirements.txt").read_bytes())
    for service in SYNCED:
        hashed.update(inspect.getsource(service.sync).encode())
    return CACHE / f"openstack-tables-{hashed.hexdigest()[:12]}"


def _start_services(site: Site) -> None:
    """All at once; the hosts after the conductor, which each of them asks first."""
    command = [sys.executable, "-m", "tests.openstack.hypervisor", str(site.state / "cloud")]
    port = site.ports["hypervisor"]
    hypervisor = site.start("hypervisor", [*command, str(port)], {"PYTHONPATH": ""})
    api, *_ = nova.start(site)
    volumes, *_ = cinder.start(site)
    objects, *_ = swift.start(site)
    served = {
        hypervisor: listens(port),
        placement.start(site): lambda: _answers(site.url("placement")),
        glance.start(site): lambda: _answers(site.url("glance")),
        neutron.start(site): lambda: _answers(site.url("neutron")),
        api: lambda: _answers(site.url("nova")),
        volumes: lambda: _answers(site.url("cinder")),
        objects: lambda: _answers(site.url("swift")),
    }
    await_all(served)
    nova.start_hosts(site)


def _await_hosts(site: Site) -> None:
    """Wait until Nova's hosts and Cinder's storage report, and let Nova's scheduler know them."""
    with people.connect(site) as admin:

        def reporting() -> bool:
            hosts = [each.host for each in admin.compute.services(binary="nova-compute")]
            storage = [
                each for each in admin.block_storage.services() if each.binary == "cinder-volume"
            ]
            return len(hosts) == len(nova.HOSTS) and bool(storage) and storage[0].state == "up"

        deadline = time.monotonic() + HOSTS_SECONDS
        while not reporting():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no host reports; its log: {site.part(nova.HOSTS[0]).log}")
            time.sleep(POLL_SECONDS)
    nova.discover_hosts(site)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=START_SECONDS).status_code < 500
    except requests.RequestException:
        return False
