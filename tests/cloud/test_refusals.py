"""What each service refuses, in its own words and body; quotas; projects kept apart."""

from __future__ import annotations

from typing import Any

import pytest
from openstack import exceptions

from tests.cloud.served import ServedCloud, Tenant

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_each_service_has_its_own_body_for_what_is_not_there(
    cloud: ServedCloud, service: Tenant
) -> None:
    project_id = service.api.current_project_id
    token = service.token
    nova = cloud.call("GET", f"/compute/v2.1/servers/{UNKNOWN}", token)
    assert nova.status_code == 404
    assert nova.json()["itemNotFound"]["code"] == 404
    neutron = cloud.call("GET", f"/network/v2.0/ports/{UNKNOWN}", token)
    assert neutron.json()["NeutronError"]["type"] == "PortNotFound"
    cinder = cloud.call("GET", f"/volume/v3/{project_id}/volumes/{UNKNOWN}", token)
    assert cinder.json()["itemNotFound"]["message"] == f"Volume {UNKNOWN} could not be found."
    glance = cloud.call("GET", f"/image/v2/images/{UNKNOWN}", token)
    assert (glance.status_code, "No image found" in glance.text) == (404, True)


@pytest.mark.parametrize(
    "change",
    [
        {"flavor_id": "77"},
        {"image_id": UNKNOWN},
        {"name": ""},
        {"user_data": "not base64!"},
        {"networks": [{"port": UNKNOWN}]},
        {"networks": [{"uuid": UNKNOWN}]},
        {"metadata": {"a": 1}},
        {"block_device_mapping_v2": [{"source_type": "volume"}]},
    ],
)
def test_a_server_with_a_wrong_part_is_a_bad_request(
    service: Tenant, change: dict[str, Any]
) -> None:
    wish = {"name": "x", "image_id": service.image.id, "flavor_id": "1", "networks": "none"}
    with pytest.raises(exceptions.BadRequestException):
        service.api.compute.create_server(**{**wish, **change})
    assert list(service.api.compute.servers()) == []


def test_a_port_and_a_volume_serve_one_server_only(service: Tenant) -> None:
    port, volume = service.port("p"), service.volume("v")
    service.server("first", port=port, volume=volume)
    with pytest.raises(exceptions.ConflictException):
        service.server("second", port=port, wait=False)
    with pytest.raises(exceptions.BadRequestException):
        service.server("second", volume=volume, wait=False)
    with pytest.raises(exceptions.BadRequestException):
        service.api.block_storage.delete_volume(volume, ignore_missing=False)


def test_a_state_that_does_not_allow_an_action_is_a_conflict(service: Tenant) -> None:
    server = service.server("building", wait=False)
    with pytest.raises(exceptions.ConflictException):
        service.api.compute.reboot_server(server, "SOFT")
    with pytest.raises(exceptions.ConflictException):
        service.api.compute.stop_server(server)
    with pytest.raises(exceptions.ConflictException):
        service.api.compute.rebuild_server(server, image=service.image.id)


def test_addresses_and_rules_are_not_given_twice(service: Tenant) -> None:
    port = service.port("p")
    with pytest.raises(exceptions.ConflictException, match="already allocated"):
        service.port("q", fixed_ips=[{"ip_address": port.fixed_ips[0]["ip_address"]}])
    group = service.api.network.create_security_group(name="g")
    rule = {"security_group_id": group.id, "direction": "ingress", "protocol": "tcp"}
    service.api.network.create_security_group_rule(**rule)
    with pytest.raises(exceptions.ConflictException, match="already exists"):
        service.api.network.create_security_group_rule(**rule)


def test_quotas_refuse_with_the_code_of_each_service(
    cloud: ServedCloud, admin: Tenant, demo: Tenant
) -> None:
    project_id = demo.api.current_project_id
    admin.api.compute.update_quota_set(project_id, instances=0)
    admin.api.block_storage.update_quota_set(project_id, gigabytes=1)
    admin.api.network.update_quota(project_id, ports=0)
    try:
        with pytest.raises(exceptions.ForbiddenException, match="Quota exceeded for instances"):
            demo.server("x", wait=False)
        demo.volume("fits")
        with pytest.raises(exceptions.HttpException) as refused:
            demo.volume("too much")
        assert refused.value.status_code == 413
        with pytest.raises(exceptions.ConflictException, match="Quota exceeded"):
            demo.port("x")
    finally:
        admin.api.compute.revert_quota_set(project_id)
        admin.api.block_storage.revert_quota_set(project_id)
        admin.api.network.delete_quota(project_id)


def test_a_member_sees_its_own_project_and_an_admin_all(
    cloud: ServedCloud, demo: Tenant, service: Tenant, admin: Tenant
) -> None:
    port, volume = service.port("theirs"), service.volume("theirs")
    server = service.server("theirs", port=port, volume=volume)
    group = service.api.network.create_security_group(name="theirs")

    api = demo.api
    assert list(api.compute.servers()) == []
    assert list(api.block_storage.volumes()) == []
    assert list(api.network.ports()) == []
    assert [one.name for one in api.network.security_groups()] == ["default"]
    for get, thing in (
        (api.compute.get_server, server),
        (api.block_storage.get_volume, volume),
        (api.network.get_port, port),
        (api.network.get_security_group, group),
    ):
        with pytest.raises(exceptions.NotFoundException):
            get(thing.id)
    with pytest.raises(exceptions.NotFoundException):
        api.compute.delete_server(server.id, ignore_missing=False)
    with pytest.raises(exceptions.ForbiddenException):
        list(api.compute.servers(all_projects=True))
    assert cloud.call("GET", "/_simulator/inventory", demo.token).status_code == 403
    path = f"/volume/v3/{service.api.current_project_id}/volumes"
    assert cloud.call("GET", path, demo.token).status_code == 400

    mine = demo.server("mine")
    seen = {one.name for one in admin.api.compute.servers(all_projects=True)}
    assert {"mine", "theirs"} <= seen
    assert admin.api.compute.get_server(mine.id).project_id == demo.api.current_project_id


def test_a_service_connects_tenants_networks_and_sees_nothing_else_of_them(
    cloud: ServedCloud, demo: Tenant, service: Tenant
) -> None:
    """The roles member and service: tokens, networks and ports; no group, server or volume."""
    server, volume = demo.server("theirs"), demo.volume("theirs")
    group = demo.api.network.create_security_group(name="theirs")
    network = demo.api.network.create_network(name="theirs")
    demo.api.network.create_subnet(network_id=network.id, cidr="10.9.0.0/24", ip_version=4)
    api = service.api
    port = api.network.create_port(network_id=network.id, name="ours")
    assert port.project_id == api.current_project_id
    assert {each.id for each in demo.api.network.ports(network_id=network.id)} == set()
    assert [each.name for each in api.network.security_groups()] == ["default"]
    for get, thing in (
        (api.compute.get_server, server),
        (api.block_storage.get_volume, volume),
        (api.network.get_security_group, group),
    ):
        with pytest.raises(exceptions.NotFoundException):
            get(thing.id)
    for change in (
        lambda: list(api.compute.servers(all_projects=True)),
        lambda: api.compute.create_flavor(name="big", ram=1, vcpus=1, disk=1),
    ):
        with pytest.raises(exceptions.ForbiddenException):
            change()
    told = cloud.call(
        "GET", "/identity/v3/auth/tokens", service.token, headers={"X-Subject-Token": demo.token}
    )
    assert told.status_code == 200
    refused = cloud.call(
        "GET", "/identity/v3/auth/tokens", demo.token, headers={"X-Subject-Token": service.token}
    )
    assert refused.status_code == 403
    api.network.delete_port(port)
    demo.api.network.delete_network(network)


def test_a_host_is_an_administrators_to_choose(service: Tenant) -> None:
    with pytest.raises(exceptions.ForbiddenException, match="servers:create:forced_host"):
        service.server("db", availability_zone="nova:compute-17:node", wait=False)
    assert list(service.api.compute.servers()) == []


def test_a_community_image_is_listed_for_those_who_ask(demo: Tenant, service: Tenant) -> None:
    made = [
        demo.api.image.post("/images", json={"name": name, "visibility": name, "tags": ["mine"]})
        for name in ("private", "community")
    ]
    images = service.api.image.images
    assert [image.id for image in images(tag="mine")] == []
    assert [one.name for one in images(tag="mine", visibility="community")] == ["community"]
    for each in made:
        demo.api.image.delete_image(each.json()["id"])


def test_quotas_are_openstacks_and_the_services_too(admin: Tenant, demo: Tenant) -> None:
    compute, network = admin.api.compute, admin.api.network
    of_demo, of_service = (
        next(one.id for one in admin.api.identity.projects() if one.name == name)
        for name in ("demo", "service")
    )
    own = compute.get_quota_set(of_demo)
    assert (own.instances, own.cores, own.ram) == (10, 20, 51200)
    groups = network.get_quota(of_demo)
    assert (groups.security_groups, groups.security_group_rules) == (10, 100)
    volumes = admin.api.block_storage.get_quota_set(of_demo)
    assert (volumes.volumes, volumes.gigabytes) == (10, 1000)
    assert compute.get_quota_set(of_service).instances == 10
    assert network.get_quota(of_service).security_group_rules == 100


def test_lists_filter_and_page(service: Tenant) -> None:
    api = service.api
    for name in ("vol-1", "vol-2", "vol-3"):
        service.volume(name, wait=False)
    assert [v.name for v in api.block_storage.volumes(name="vol-2")] == ["vol-2"]
    assert len(list(api.block_storage.volumes(limit=1))) == 3
    first, second = service.port("a", tags=["red"]), service.port("b")
    address = second.fixed_ips[0]["ip_address"]
    assert [p.id for p in api.network.ports(name="a")] == [first.id]
    assert [p.id for p in api.network.ports(tags="red")] == [first.id]
    assert [p.id for p in api.network.ports(fixed_ips=f"ip_address={address}")] == [second.id]
    assert len(list(api.network.ports(limit=1))) == 2
    server = service.server("abc", port=first)
    service.server("xyz", port=second)
    assert [s.name for s in api.compute.servers(name="^ab")] == ["abc"]
    assert len(list(api.compute.servers(limit=1))) == 2
    assert [p.id for p in api.network.ports(device_id=server.id)] == [first.id]
    assert list(api.image.images(tag="no such tag")) == []


def test_only_an_administrator_is_shown_the_server_groups_of_all(
    cloud: ServedCloud, service: Tenant, demo: Tenant, admin: Tenant
) -> None:
    """Others may say `all_projects`, and it changes nothing."""
    made = service.api.compute.create_server_group(name="apart", policy="anti-affinity")
    path = "/compute/v2.1/os-server-groups"
    for token, query, count in (
        (service.token, "", 1),
        (demo.token, "?all_projects=True", 0),
        (admin.token, "", 0),
        (admin.token, "?all_projects=True", 1),
    ):
        groups = cloud.call("GET", path + query, token).json()["server_groups"]
        assert len(groups) == count, (query, groups)
    service.api.compute.delete_server_group(made.id)
