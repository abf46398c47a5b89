"""Neutron: networks, ports, groups and floating addresses, without an agent. Floating addresses
lead to their ports; there are no other packets."""

from __future__ import annotations

from infra.local.processes import PartProcess
from tests.openstack.site import Site

ENTRY_POINTS = "[neutron.ml2.mechanism_drivers]\ncoffer = coffer_ports:EveryPort\n"


def configure(site: Site) -> None:
    """Write its configuration, and let its plug-ins know the driver that binds every port."""
    sections = site.common("neutron")
    sections["DEFAULT"] |= {
        "core_plugin": "ml2",
        "service_plugins": "router",
        "api_paste_config": site.environment / "etc/neutron/api-paste.ini",
        "notify_nova_on_port_status_changes": True,
        "notify_nova_on_port_data_changes": True,
        "dhcp_agent_notification": False,
        "rpc_response_timeout": 10,
        "hypervisor_url": site.url("hypervisor"),
    }
    sections["nova"] = site.service_login()
    sections["ml2"] = {
        "type_drivers": "local,flat",
        "tenant_network_types": "local",
        "mechanism_drivers": "coffer",
        "extension_drivers": "port_security",
    }
    sections["ml2_type_flat"] = {"flat_networks": "*"}
    site.configure("neutron", sections)
    package = site.folder("neutron/plugins/coffer_ports-1.dist-info")
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: coffer_ports\nVersion: 1\n")
    (package / "entry_points.txt").write_text(ENTRY_POINTS)


def sync(site: Site) -> None:
    """Make its tables."""
    file = str(site.folder("neutron") / "neutron.conf")
    site.manage("neutron-sync", "neutron-db-manage", "--config-file", file, "upgrade", "heads")


def start(site: Site) -> PartProcess:
    """Serve it."""
    plugins = site.folder("neutron/plugins")
    where = {
        "OS_NEUTRON_CONFIG_DIR": str(site.folder("neutron")),
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        "PYTHONPATH": f"{site.variables()['PYTHONPATH']}:{plugins}",
    }
    return site.serve("neutron", "neutron.wsgi.api", where)
