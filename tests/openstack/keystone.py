"""Keystone: identity, with Fernet tokens."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from infra.local.processes import PartProcess
from tests.openstack.site import REGION, Site

KEYS = 2
"""The staged and the primary one, as `keystone-manage fernet_setup` makes them."""


def configure(site: Site) -> None:
    """Write its configuration and its keys."""
    keys = {name: site.folder("keystone") / name for name in ("fernet", "credential")}
    for folder in keys.values():
        _make_keys(folder)
    site.configure(
        "keystone",
        {
            "DEFAULT": {"max_token_size": 400},
            "database": {"connection": site.database_url("keystone")},
            "token": {"provider": "fernet"},
            "fernet_tokens": {"key_repository": keys["fernet"]},
            "fernet_receipts": {"key_repository": keys["fernet"]},
            "credential": {"key_repository": keys["credential"]},
            # Hashing is made to be slow, which every log in of every service would pay.
            "identity": {"password_hash_rounds": 4},
            "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
        },
    )


def sync(site: Site) -> None:
    """Make its tables."""
    site.manage("keystone-sync", "keystone-manage", *_options(site), "db_sync")


def bootstrap(site: Site) -> None:
    """Make the administrator, the roles and Keystone's own endpoints."""
    url = site.auth_url
    site.manage(
        "keystone-bootstrap",
        *("keystone-manage", *_options(site), "bootstrap"),
        *("--bootstrap-region-id", REGION, "--bootstrap-public-url", url),
        *("--bootstrap-internal-url", url, "--bootstrap-admin-url", url),
        environment={"OS_BOOTSTRAP_PASSWORD": site.password},
    )


def start(site: Site) -> PartProcess:
    """Serve it."""
    return site.serve("keystone", "keystone.wsgi.api", _where(site))


def _where(site: Site) -> Mapping[str, str]:
    return {"OS_KEYSTONE_CONFIG_DIR": str(site.folder("keystone"))}


def _options(site: Site) -> tuple[str, ...]:
    return ("--config-file", str(site.folder("keystone") / "keystone.conf"))


def _make_keys(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(KEYS):
        file = folder / str(number)
        file.touch(mode=0o600)
        file.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
