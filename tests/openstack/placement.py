"""Placement: which host has room."""

from __future__ import annotations

from infra.local.processes import PartProcess
from tests.openstack.site import Site


def configure(site: Site) -> None:
    """Write its configuration."""
    sections = site.common("placement", rpc=False)
    sections["placement_database"] = sections.pop("database")
    sections["api"] = {"auth_strategy": "keystone"}
    del sections["DEFAULT"]["state_path"]
    site.configure("placement", sections)


def sync(site: Site) -> None:
    """Make its tables."""
    file = str(site.folder("placement") / "placement.conf")
    site.manage("placement-sync", "placement-manage", "--config-file", file, "db", "sync")


def start(site: Site) -> PartProcess:
    """Serve it."""
    where = {"OS_PLACEMENT_CONFIG_DIR": str(site.folder("placement"))}
    return site.serve("placement", "placement.wsgi.api", where)
