"""What is missing at birth is told in one sentence, with what to do about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guest_agent import __main__ as program
from guest_agent import config
from guest_agent.errors import ConfigurationMissing

AGENT_FILE = {
    "instance_id": "i",
    "generation": 3,
    "control_url": "https://control/api",
    "enrolment_token": "the-token",
    "datastore_manager": "mariadb",
    "datastore_version": "10.11",
    "region": "us-east-1",
    "aws_endpoint_url": None,
    "of a later release": True,
}
NETWORKS = {
    "networks": [
        {"type": "ipv6", "ip_address": "fd00::1"},
        {"type": "ipv4_dhcp"},
        {"type": "ipv4", "ip_address": "10.0.0.7", "netmask": "255.255.255.0"},
    ]
}


def write(root: Path, **changes: Any) -> Path:
    files = {
        "etc/coffer/guest-agent.json": AGENT_FILE,
        "config-drive/openstack/latest/meta_data.json": {"uuid": "server-1", "name": "db"},
        "config-drive/openstack/latest/network_data.json": NETWORKS,
    }
    for path, document in files.items():
        document = changes.get(Path(path).stem.replace("-", "_"), document)
        if document is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(
                document if isinstance(document, str) else json.dumps(document)
            )
    return root


def test_everything_is_read(tmp_path: Path) -> None:
    guest = config.load(write(tmp_path))
    assert (guest.server_id, guest.address) == ("server-1", "10.0.0.7")
    assert (guest.agent.generation, guest.agent.database_user) == (3, "mysql")
    assert guest.state_folder == tmp_path / "var/lib/coffer"
    assert "the-token" not in repr(guest)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"guest_agent": None}, "No such file.*the server's user data should write it"),
        ({"guest_agent": "{torn"}, "is not what it should be"),
        ({"guest_agent": AGENT_FILE | {"generation": "one"}}, r"generation"),
        ({"meta_data": None}, "created with a config drive"),
        ({"network_data": None}, "created with a config drive"),
        ({"network_data": {"networks": []}}, "names no IPv4 address"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationMissing, match=complaint):
        config.load(write(tmp_path, **changes))


def test_the_program_ends_with_two_when_it_cannot_start(tmp_path: Path) -> None:
    assert program.main(["--root", str(tmp_path)]) == 2


def test_an_unknown_datastore_is_refused(tmp_path: Path) -> None:
    write(tmp_path, guest_agent=AGENT_FILE | {"datastore_manager": "oracle"})
    assert program.main(["--root", str(tmp_path)]) == 2


def test_help_says_what_is_read_and_what_the_exit_codes_mean() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "guest_agent", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "100"},
    ).stdout
    for word in ("--root", "guest-agent.json", "config-drive", "Exit codes"):
        assert word in told
