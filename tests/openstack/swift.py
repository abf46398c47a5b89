"""Swift: objects, with one replica in a folder."""

from __future__ import annotations

import getpass
from typing import Final

from infra.local.processes import PartProcess
from tests.openstack.site import HOST, INSIDE, Site

KINDS: Final = ("account", "container", "object")
REALM: Final = "AUTH_"
PIPELINE: Final = "catch_errors tempurl authtoken keystoneauth container_quotas slo proxy-server"


def configure(site: Site) -> None:
    """Write the configurations, and the rings, each with the one device."""
    site.folder("swift/devices/one")
    site.configure("swift", {"swift-hash": {"swift_hash_path_suffix": "coffer"}})
    for kind in KINDS:
        site.configure(
            "swift",
            {
                "DEFAULT": {
                    **_default(site, site.ports[f"swift-{kind}"]),
                    "devices": site.folder("swift/devices"),
                    "mount_check": False,
                },
                "pipeline:main": {"pipeline": f"{kind}-server"},
                f"app:{kind}-server": {"use": f"egg:swift#{kind}"},
            },
            f"{kind}-server",
        )
    tokens = site.common("swift", rpc=False)["keystone_authtoken"]
    site.configure(
        "swift",
        {
            "DEFAULT": _default(site, site.ports["swift"]),
            "pipeline:main": {"pipeline": PIPELINE},
            "filter:catch_errors": {"use": "egg:swift#catch_errors"},
            "filter:tempurl": {"use": "egg:swift#tempurl"},
            "filter:container_quotas": {"use": "egg:swift#container_quotas"},
            "filter:slo": {"use": "egg:swift#slo"},
            "filter:authtoken": {
                "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
                "delay_auth_decision": True,
                **tokens,
            },
            "filter:keystoneauth": {
                "use": "egg:swift#keystoneauth",
                "reseller_prefix": REALM,
                "operator_roles": "admin, member",
            },
            "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": True},
        },
        "proxy-server",
    )


def start(site: Site) -> list[PartProcess]:
    """Make the rings, then start the proxy and the three servers behind it."""
    ports = [f"{kind}={site.ports[f'swift-{kind}']}" for kind in KINDS]
    site.manage(
        "swift-rings", "python", str(INSIDE / "rings.py"), str(site.folder("swift")), *ports
    )
    return [
        site.start(
            f"swift-{name}",
            [
                site.binary(f"swift-{name}-server"),
                str(site.folder("swift") / f"{name}-server.conf"),
            ],
        )
        for name in ("proxy", *KINDS)
    ]


def _default(site: Site, port: int) -> dict[str, object]:
    """No worker beside the one process, no system log."""
    return {
        "bind_ip": HOST,
        "bind_port": port,
        "workers": 0,
        "swift_dir": site.folder("swift"),
        "user": getpass.getuser(),
    }
