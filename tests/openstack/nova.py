"""Nova: servers, which are guest agents, on two hosts, so that a server can be moved."""

from __future__ import annotations

from typing import Final

from infra.local.processes import PartProcess
from tests.openstack.site import INSIDE, REGION, Site

HOSTS: Final = ("compute-1", "compute-2")
CELL: Final = "cell1"
ANYBODY: Final = "{scheme}://{username}:{password}@{hostname}:{port}/"
"""In a cell's URLs, for what the configuration says: the ports are others each time."""


def configure(site: Site) -> None:
    """Write its configuration, and one of its own for each host."""
    sections = site.common("nova")
    sections["DEFAULT"] |= {
        "my_ip": "127.0.0.1",
        "host": "control",
        "compute_driver": "guests.GuestDriver",
        "hypervisor_url": site.url("hypervisor"),
        "allow_resize_to_same_host": True,
        "instance_usage_audit": False,
        "block_device_allocate_retries_interval": 1,
    }
    login = site.service_login()
    sections["api_database"] = {"connection": site.database_url("nova_api")}
    sections["api"] = {"auth_strategy": "keystone"}
    sections["conductor"] = {"workers": 1}
    sections["scheduler"] = {"workers": 1}
    sections["placement"] = dict(login)
    sections["neutron"] = dict(login)
    sections["cinder"] = {
        **login,
        "catalog_info": "block-storage::publicURL",
        "os_region_name": REGION,
    }
    sections["glance"] = {"api_servers": site.url("glance")}
    sections["keystone"] = dict(login)
    sections["vnc"] = {"enabled": False}
    sections["upgrade_levels"] = {"compute": "auto"}
    site.configure("nova", sections)
    for host in HOSTS:
        own = {"host": host, "state_path": site.folder(f"nova/{host}")}
        site.configure("nova", {**sections, "DEFAULT": {**sections["DEFAULT"], **own}}, host)


def sync(site: Site) -> None:
    """Make its tables, and its cells, whose URLs are whatever the configuration says."""
    _manage(site, "api_db", "sync")
    _manage(site, "cell_v2", "map_cell0", "--database_connection", f"{ANYBODY}nova_cell0?{{query}}")
    _manage(site, "db", "sync")
    _manage(
        site, "cell_v2", "create_cell", "--name", CELL,
        "--database_connection", f"{ANYBODY}nova?{{query}}", "--transport-url", ANYBODY,
    )  # fmt: skip


def start(site: Site) -> list[PartProcess]:
    """Serve it, and start the conductor and the scheduler."""
    paste = site.environment / "etc/nova/api-paste.ini"
    where = {
        "OS_NOVA_CONFIG_DIR": str(site.folder("nova")),
        "OS_NOVA_CONFIG_FILES": f"{paste};nova.conf",
    }
    return [
        site.serve("nova", "nova.wsgi.osapi_compute", where),
        *(
            site.start(name, [site.binary(name), *_options(site)])
            for name in ("nova-conductor", "nova-scheduler")
        ),
    ]


def start_hosts(site: Site) -> list[PartProcess]:
    """Start the hosts: each asks the conductor first, which has to be there."""
    program = [site.binary("python"), str(INSIDE / "compute.py")]
    return [site.start(host, [*program, *_options(site, host)]) for host in HOSTS]


def discover_hosts(site: Site) -> None:
    """Let the scheduler know the hosts that have begun to report."""
    _manage(site, "cell_v2", "discover_hosts")


def _manage(site: Site, *command: str) -> None:
    site.manage("-".join(("nova", *command[:2])), "nova-manage", *_options(site), *command)


def _options(site: Site, name: str = "nova") -> tuple[str, ...]:
    return ("--config-file", str(site.folder("nova") / f"{name}.conf"))
