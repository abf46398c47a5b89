"""Glance: images, stored as files."""

from __future__ import annotations

from infra.local.processes import PartProcess
from tests.openstack.site import Site


def configure(site: Site) -> None:
    """Write its configuration."""
    sections = site.common("glance", rpc=False)
    sections["DEFAULT"] = {
        "enabled_backends": "folder:file",
        "node_staging_uri": f"file://{site.folder('glance/staging')}",
        "bind_host": "127.0.0.1",
    }
    sections["glance_store"] = {"default_backend": "folder"}
    sections["folder"] = {"filesystem_store_datadir": site.folder("glance/images")}
    for name in ("staging", "tasks"):
        sections[f"os_glance_{name}_store"] = {
            "filesystem_store_datadir": site.folder(f"glance/{name}")
        }
    sections["paste_deploy"] = {
        "flavor": "keystone",
        "config_file": site.environment / "etc/glance/glance-api-paste.ini",
    }
    site.configure("glance", sections, "glance-api")


def sync(site: Site) -> None:
    """Make its tables."""
    file = str(site.folder("glance") / "glance-api.conf")
    site.manage("glance-sync", "glance-manage", "--config-file", file, "db_sync")


def start(site: Site) -> PartProcess:
    """Serve it."""
    where = {"OS_GLANCE_CONFIG_DIR": str(site.folder("glance"))}
    return site.serve("glance", "glance.wsgi.api", where)
