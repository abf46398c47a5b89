"""The cloud as a process: its end, its restart, what it must not touch, and what it never logs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.cloud import processes
from tests.cloud.served import PASSWORDS, ServedCloud, Tenant, alive, wait_until

SECRET = "the-enrolment-token-of-a-guest"


@pytest.fixture
def own_cloud() -> Iterator[ServedCloud]:
    """A cloud that this test may end as it likes."""
    root = Path(tempfile.mkdtemp(prefix="coffer-cloud-", dir="/tmp"))
    served = ServedCloud(root, "--guest-network", "127.94.0.0/16", "--token-seconds", "2")
    served.start()
    yield served
    served.stop()
    shutil.rmtree(root)


def test_the_end_of_the_cloud_is_the_end_of_its_guests(own_cloud: ServedCloud) -> None:
    server = Tenant(own_cloud.connect("coffer")).server("x")
    wait_until(lambda: len(alive(server.id)) == 2, "the guest runs")
    own_cloud.stop()
    assert alive(server.id) == []


def test_a_restart_cleans_what_a_crash_left_and_nothing_else(own_cloud: ServedCloud) -> None:
    server = Tenant(own_cloud.connect("coffer")).server("x")
    wait_until(lambda: len(alive(server.id)) == 2, "the guest runs")
    environment = {**os.environ, processes.SERVER_VARIABLE: "a-server-of-another-cloud"}
    other = subprocess.Popen(["sleep", "60"], env=environment)
    try:
        own_cloud.crash()
        assert len(alive(server.id)) == 2
        started = time.monotonic()
        own_cloud.start()
        assert time.monotonic() - started < 3
        assert alive(server.id) == []
        assert not own_cloud.root_of(server.id).exists()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_second_cloud_on_the_same_state_or_port_says_so(own_cloud: ServedCloud) -> None:
    second = subprocess.run(own_cloud.command, capture_output=True, text=True, timeout=10)
    assert second.returncode == 1
    assert "another cloud runs on the state folder" in second.stderr
    elsewhere = [*own_cloud.command, "--state", str(own_cloud.state.with_name("other"))]
    third = subprocess.run(elsewhere, capture_output=True, text=True, timeout=10)
    assert third.returncode == 1
    assert f"127.0.0.1:{own_cloud.port} cannot be used" in third.stderr


def test_a_token_expires(own_cloud: ServedCloud) -> None:
    token = own_cloud.connect("demo").auth_token
    assert own_cloud.call("GET", "/compute/v2.1/servers", token).status_code == 200
    time.sleep(2.1)
    assert own_cloud.call("GET", "/compute/v2.1/servers", token).status_code == 401


def test_no_secret_is_in_the_log_or_in_an_argument(own_cloud: ServedCloud) -> None:
    tenant = Tenant(own_cloud.connect("coffer"))
    for user_data in (f"#cloud-config\n[{SECRET}", f"#cloud-config\nwrite_files: {SECRET}"):
        assert tenant.server("x", user_data=user_data).status == "ACTIVE"
    own_cloud.call("POST", "/identity/v3/auth/tokens", json={"auth": {"identity": SECRET}})
    log = own_cloud.log.read_text()
    assert log.count("bad user data") == 2
    arguments = " ".join(own_cloud.command)
    for secret in (SECRET, tenant.token, *PASSWORDS.values()):
        assert secret not in log
        assert secret not in arguments
