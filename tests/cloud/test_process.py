"""The cloud as a process: its end, its restart, what it must not touch, and what it never logs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from guest_agent.datastores.os_user import database_user
from simulator.cloud import processes
from tests.cloud.served import PASSWORDS, WAIT_SECONDS, ServedCloud, Tenant, alive, wait_until
from tests.support.loopback import own_network

SECRET = "the-enrolment-token-of-a-guest"


@pytest.fixture(scope="module")
def network() -> str:
    """The network of these clouds, one after the other."""
    return own_network()


@pytest.fixture
def own_cloud(network: str, request: pytest.FixtureRequest) -> Iterator[ServedCloud]:
    """A cloud that this test may end as it likes, with the options that it asks for."""
    root = Path(tempfile.mkdtemp(prefix="coffer-cloud-"))
    options: tuple[str, ...] = getattr(request, "param", ())
    served = ServedCloud(root, network, *options)
    served.start()
    yield served
    served.stop()
    shutil.rmtree(root)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself, and what it said."""
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS)


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
        own_cloud.start()
        assert alive(server.id) == []
        assert not own_cloud.root_of(server.id).exists()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_second_cloud_on_the_same_state_or_port_says_so(own_cloud: ServedCloud) -> None:
    second = run(own_cloud.command)
    assert second.returncode == 1
    assert "another cloud runs on the state folder" in second.stderr
    elsewhere = [*own_cloud.command, "--state", str(own_cloud.state.with_name("other"))]
    third = run(elsewhere)
    assert third.returncode == 1
    assert f"127.0.0.1:{own_cloud.port} cannot be used" in third.stderr


@pytest.mark.parametrize("own_cloud", [("--token-seconds", "2")], indirect=True)
def test_a_token_expires(own_cloud: ServedCloud) -> None:
    """That one which has not expired is accepted is what all the other tests show."""
    token = own_cloud.connect("demo").auth_token
    wait_until(
        lambda: own_cloud.call("GET", "/compute/v2.1/servers", token).status_code == 401,
        "the token has expired",
    )


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


def test_no_two_servers_share_the_user_of_their_database(own_cloud: ServedCloud) -> None:
    """They share one kernel: what one user may read, no other server's may."""
    tenant = Tenant(own_cloud.connect("coffer"))
    servers = [tenant.server(name) for name in ("x", "y")]
    wait_until(lambda: all(len(alive(each.id)) == 2 for each in servers), "the guests run")
    users = [database_user("mysql", own_cloud.root_of(each.id)) for each in servers]
    assert len({user.uid for user in users}) == 2
    assert pwd.getpwnam("root").pw_uid not in {user.uid for user in users}
