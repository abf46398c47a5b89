"""Cinder: volumes, which are folders."""

from __future__ import annotations

from infra.local.processes import PartProcess
from tests.openstack.site import REGION, Site


def configure(site: Site) -> None:
    """Write its configuration."""
    sections = site.common("cinder")
    sections["DEFAULT"] |= {
        "auth_strategy": "keystone",
        "my_ip": "127.0.0.1",
        "host": "storage",
        "enabled_backends": "folders",
        "default_volume_type": "standard",
        "glance_api_servers": site.url("glance"),
        "api_paste_config": site.environment / "etc/cinder/api-paste.ini",
        "resource_query_filters_file": site.environment / "etc/cinder/resource_filters.json",
        "hypervisor_url": site.url("hypervisor"),
    }
    sections["folders"] = {
        "volume_driver": "coffer_volumes.FolderDriver",
        "volume_backend_name": "folders",
    }
    sections["coordination"] = {"backend_url": f"file://{site.folder('cinder/coordination')}"}
    sections["nova"] = {**site.service_login(), "token_auth_url": site.auth_url}
    sections["nova"]["region_name"] = REGION
    site.configure("cinder", sections)


def sync(site: Site) -> None:
    """Make its tables."""
    site.manage("cinder-sync", "cinder-manage", *_options(site), "db", "sync")


def start(site: Site) -> list[PartProcess]:
    """Serve it, and start the scheduler and the one that makes volumes."""
    return [
        site.serve("cinder", "cinder.wsgi.api", None, *_options(site)),
        *(
            site.start(name, [site.binary(name), *_options(site)])
            for name in ("cinder-scheduler", "cinder-volume")
        ),
    ]


def _options(site: Site) -> tuple[str, ...]:
    return ("--config-file", str(site.folder("cinder") / "cinder.conf"))
