"""Faults on demand: each mode does what it says, as often as it was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from openstack import exceptions

from tests.cloud.served import WAIT_SECONDS, ServedCloud, Tenant, wait_until


def arm(cloud: ServedCloud, call: str, mode: str, **options: Any) -> None:
    fault = {"service": "compute", "call": call, "mode": mode, **options}
    answer = cloud.control("POST", "/faults", json=fault)
    assert answer.status_code == 201, answer.text


def inventory(cloud: ServedCloud) -> Any:
    return cloud.control("GET", "/inventory").json()


@pytest.mark.parametrize(
    ("mode", "status"), [("refuse", 403), ("quota", 403), ("unavailable", 503)]
)
def test_a_refused_create_leaves_nothing(
    cloud: ServedCloud, service: Tenant, mode: str, status: int
) -> None:
    arm(cloud, "create_server", mode)
    with pytest.raises(exceptions.HttpException) as refused:
        service.server("x", wait=False)
    assert refused.value.status_code == status
    assert inventory(cloud)["servers"] == []
    service.server("x")


def test_a_timeout_after_the_effect_leaves_the_server(cloud: ServedCloud, service: Tenant) -> None:
    arm(cloud, "create_server", "timeout_after")
    with pytest.raises(exceptions.HttpException) as refused:
        service.server("late", wait=False)
    assert refused.value.status_code == 504
    assert [one["name"] for one in inventory(cloud)["servers"]] == ["late"]


def test_an_error_ends_in_error_with_a_reason_and_gives_the_parts_back(
    cloud: ServedCloud, service: Tenant
) -> None:
    arm(cloud, "create_server", "error")
    port, volume = service.port("p"), service.volume("v")
    server = service.server("x", port=port, volume=volume, wait=False)
    server = service.wait(server, "ERROR")
    assert server.fault["message"].startswith("No valid host was found")
    assert service.api.block_storage.get_volume(volume.id).status == "available"
    assert service.api.network.get_port(port.id).device_id == ""


def test_a_stuck_server_stays_in_build_and_can_be_deleted(
    cloud: ServedCloud, service: Tenant
) -> None:
    arm(cloud, "create_server", "stuck")
    server = service.server("x", wait=False)
    other = service.server("one that is not stuck")
    assert other.status == "ACTIVE"
    assert service.api.compute.get_server(server.id).status == "BUILD"
    service.api.compute.delete_server(server)
    service.api.compute.wait_for_delete(server, interval=0.02, wait=WAIT_SECONDS)


def test_a_fault_hits_the_matching_name_and_so_many_times(
    cloud: ServedCloud, service: Tenant
) -> None:
    server, other = service.server("hit-me"), service.server("other")
    arm(cloud, "get_server", "not_found", match="hit", count=2)
    service.api.compute.get_server(other.id)
    for _ in range(2):
        with pytest.raises(exceptions.NotFoundException):
            service.api.compute.get_server(server.id)
    service.api.compute.get_server(server.id)


def test_a_slow_delete_takes_its_time(cloud: ServedCloud, service: Tenant) -> None:
    server = service.server("x")
    other = service.server("another")
    arm(cloud, "delete_server", "slow_delete", match="x", seconds=3)
    service.api.compute.delete_server(server)
    service.api.compute.delete_server(other)
    service.api.compute.wait_for_delete(other, interval=0.02, wait=WAIT_SECONDS)
    assert service.api.compute.get_server(server.id).task_state == "deleting"
    service.api.compute.wait_for_delete(server, interval=0.02, wait=WAIT_SECONDS)


def test_a_server_vanishes(cloud: ServedCloud, service: Tenant) -> None:
    server = service.server("x")
    arm(cloud, "get_server", "vanish")
    with pytest.raises(exceptions.NotFoundException):
        service.api.compute.get_server(server.id)
    assert inventory(cloud)["servers"] == []
    wait_until(lambda: not cloud.root_of(server.id).exists(), "its disk is gone")


def test_volumes_fail_as_well(cloud: ServedCloud, service: Tenant) -> None:
    arm(cloud, "create_volume", "error", service="volume")
    volume = service.volume("x", wait=False)
    storage = service.api.block_storage
    storage.wait_for_status(volume, "error", failures=[], interval=0.02, wait=WAIT_SECONDS)
    arm(cloud, "create_volume", "quota", service="volume")
    with pytest.raises(exceptions.HttpException) as refused:
        service.volume("y")
    assert refused.value.status_code == 413


def test_an_unknown_mode_is_refused_and_faults_can_be_seen_and_cleared(
    cloud: ServedCloud, service: Tenant
) -> None:
    for call, mode in (
        ("create_server", "explode"),
        ("make_server", "error"),
        ("list_servers", "stuck"),
    ):
        fault = {"service": "compute", "call": call, "mode": mode}
        assert cloud.control("POST", "/faults", json=fault).status_code == 400
    arm(cloud, "create_server", "refuse")
    assert len(cloud.control("GET", "/faults").json()["faults"]) == 1
    assert cloud.control("DELETE", "/faults").status_code == 204
    assert cloud.control("GET", "/faults").json()["faults"] == []


def test_an_error_of_a_call_that_is_done_at_once_is_a_500(
    cloud: ServedCloud, service: Tenant
) -> None:
    arm(cloud, "create_port", "error", service="network")
    with pytest.raises(exceptions.HttpException) as refused:
        service.port("x")
    assert refused.value.status_code == 500
    assert inventory(cloud)["ports"] == []
