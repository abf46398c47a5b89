"""What is missing at birth is told in one sentence, with what to do about it."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

from guest_agent import __main__ as program
from guest_agent import birth
from guest_agent.config import EVERY_ADDRESS
from guest_agent.enrolment import Reply
from guest_agent.errors import ConfigurationMissing
from guest_agent.http import Http
from guest_agent.storage import tools
from tests.support.loopback import free_port

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
DHCP = {"networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "tap1", "network_id": "n"}]}


def write(root: Path, **changes: Any) -> Path:
    files = {
        "etc/coffer/guest-agent.json": AGENT_FILE,
        "config-drive/openstack/latest/meta_data.json": {"uuid": "server-1", "name": "db"},
        "config-drive/openstack/latest/network_data.json": NETWORKS,
        "config-drive/ec2/latest/meta-data.json": {"local-ipv4": "10.0.0.8", "hostname": "db"},
    }
    for path, document in files.items():
        name = "ec2" if "/ec2/" in path else Path(path).stem.replace("-", "_")
        document = changes.get(name, document)
        if document is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(
                document if isinstance(document, str) else json.dumps(document)
            )
    return root


def test_everything_is_read(tmp_path: Path) -> None:
    guest = birth.load(write(tmp_path))
    assert (guest.server_id, guest.bind_address) == ("server-1", "10.0.0.7")
    assert (guest.agent.generation, guest.agent.database_user) == (3, "")
    assert guest.state_folder == tmp_path / "var/lib/coffer"
    assert "the-token" not in repr(guest)


def test_with_dhcp_the_address_that_neutron_has_given_is_told_elsewhere(tmp_path: Path) -> None:
    """Nova writes no address then; only among servers that share a kernel does one need it."""
    assert birth.load(write(tmp_path, network_data=DHCP)).bind_address == "10.0.0.8"


@pytest.mark.parametrize("network", [DHCP, {"networks": [{"type": "ipv6"}]}, None])
def test_a_server_of_its_own_needs_no_address(
    tmp_path: Path, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(birth, "SYSTEM", tmp_path)
    guest = birth.load(write(tmp_path, network_data=network, ec2=None))
    assert (guest.server_id, guest.bind_address) == ("server-1", EVERY_ADDRESS)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"guest_agent": None}, "No such file.*the server's user data should write it"),
        ({"guest_agent": "{torn"}, "is not what it should be"),
        ({"guest_agent": AGENT_FILE | {"generation": "one"}}, r"generation"),
        ({"meta_data": None}, "created with a config drive"),
        ({"meta_data": "{torn"}, "is not what it should be"),
        ({"network_data": DHCP, "ec2": None}, "names no IPv4 address"),
        ({"network_data": None, "ec2": {"local-ipv4": ""}}, "names no IPv4 address"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationMissing, match=complaint):
        birth.load(write(tmp_path, **changes))


@pytest.mark.parametrize("label", ["config-2", "CONFIG-2"])
def test_a_config_drive_is_found_by_its_label_and_mounted_only_to_be_read(
    tmp_path: Path, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "dev/disk/by-label" / label
    link.parent.mkdir(parents=True)
    link.touch()
    mounted: list[Path] = []

    def run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        folder = Path(command[-1])
        if command[0] == "mount":
            assert "ro,nosuid,nodev,noexec" in command
            assert command[-2] == str(link)
            assert folder.stat().st_mode & 0o777 == 0o700, "the user data on it is secret"
            mounted.append(folder)
            write(folder.parent / "drive")
            folder.rmdir()
            folder.symlink_to(folder.parent / "drive/config-drive")
        else:
            assert command == ["umount", str(mounted[-1])]
            folder.unlink()
            folder.mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(tools, "attempt", run)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert birth.server_id(tmp_path) == "server-1"
    assert not any(folder.exists() for folder in mounted)


def test_a_config_drive_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev/disk/by-label").mkdir(parents=True)
    (tmp_path / "dev/disk/by-label/config-2").touch()
    broken = subprocess.CompletedProcess(["mount"], 32, "", "wrong fs type")
    monkeypatch.setattr(tools, "attempt", lambda command, seconds: broken)
    with pytest.raises(ConfigurationMissing, match=r"config drive cannot be read: .*wrong fs"):
        birth.server_id(tmp_path)


class Metadata(http.server.BaseHTTPRequestHandler):
    """The metadata service, of which the first answers are errors while the network comes up."""

    ill = 0

    def do_GET(self) -> None:
        found = self.path == "/openstack/latest/meta_data.json" and type(self).ill == 0
        type(self).ill = max(type(self).ill - 1, 0)
        self.send_response(200 if found else 503)
        self.end_headers()
        self.wfile.write(b'{"uuid": "server-2"}' if found else b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@contextmanager
def metadata_service() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Metadata) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_without_a_config_drive_the_metadata_service_is_asked_until_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Metadata, "ill", 2)
    monkeypatch.setattr(birth, "PAUSE_SECONDS", 0.0)
    with metadata_service() as url:
        assert birth.server_id(tmp_path, url) == "server-2"


def test_where_there_is_only_ipv6_it_is_asked_by_each_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def get(_: Http, url: str, headers: Mapping[str, str], seconds: float) -> Reply:
        assert "%" not in headers["Host"]
        asked.append(url)
        if "eth1" not in url:
            raise HTTPError("Network is unreachable")
        return Reply(200, b'{"uuid": "server-6"}')

    monkeypatch.setattr(Http, "get", get)
    for card in ("eth0", "eth1", "lo"):
        (tmp_path / "sys/class/net" / card).mkdir(parents=True)
        (tmp_path / "sys/class/net" / card / "address").touch()
    (tmp_path / "sys/class/net/bonding_masters").touch()
    assert birth.server_id(tmp_path) == "server-6"
    assert [url.removesuffix("/openstack/latest/meta_data.json") for url in asked] == [
        "http://169.254.169.254",
        "http://[fe80::a9fe:a9fe%25eth0]",
        "http://[fe80::a9fe:a9fe%25eth1]",
    ]


def test_a_server_that_nobody_tells_who_it_is_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(birth, "METADATA_SECONDS", 0.0)
    with pytest.raises(ConfigurationMissing, match="no config drive, and the metadata service"):
        birth.server_id(tmp_path, f"http://127.0.0.1:{free_port()}")


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
