"""The roles {member, service} are enough for a deployment's user, and give it nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack import exceptions

from chalicelib.cloud import errors, network, servers
from tests.cloud.contract.asked import Asked, refused
from tests.cloud.contract.people import Person


def test_a_service_validates_tokens_and_a_member_does_not(
    admin: Any, service: Person, tenant: Person
) -> None:
    url = f"{admin.config.auth['auth_url'].rstrip('/').removesuffix('/v3')}/v3/auth/tokens"
    for subject, asking, status in ((tenant, service, 200), (service, tenant, 403)):
        answer = asking.api.session.get(
            url, headers={"X-Subject-Token": subject.api.auth_token}, raise_exc=False
        )
        assert answer.status_code == status
    names = {
        role["name"]
        for role in service.api.session.auth.get_access(service.api.session)._data["token"]["roles"]
    }
    assert {"member", "service"} <= names
    assert not names & {"admin", "manager"}


def test_a_service_makes_its_port_in_a_tenants_network_at_any_address(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "10.62.0.0/24")
    (subnet,) = asked.tenant.api.network.subnets(network_id=home.id)
    found = network.get_network(home.id)
    assert found is not None
    assert (found.project_id, found.shared) == (asked.tenant.project.id, False)
    port = asked.port(home.id, asked.group().id, subnet_id=subnet.id, ip_address="10.62.0.77")
    assert port.addresses == ("10.62.0.77",)
    assert port.owner == asked.instance_id
    with pytest.raises(exceptions.BadRequestException, match="other than the authenticated"):
        asked.tenant.api.network.create_port(
            network_id=home.id, project_id=asked.service.project.id
        )


def test_a_service_may_give_a_port_to_a_tenant(
    asked: Asked,
) -> None:
    home = asked.network_of(asked.tenant, "10.60.0.0/24")
    mine = asked.tenant.api.network
    given = asked.service.api.network.create_port(
        network_id=home.id, project_id=asked.tenant.project.id
    )
    asked.later(lambda: mine.delete_port(given.id))
    assert mine.get_port(given.id).project_id == asked.tenant.project.id


def test_nothing_else_of_a_tenant_is_there_for_a_service(asked: Asked) -> None:
    group = asked.tenant.api.network.create_security_group(name="theirs")
    asked.later(lambda: asked.tenant.api.network.delete_security_group(group.id))
    disk = asked.tenant.api.block_storage.create_volume(size=1, name="theirs")
    image = asked.tenant.api.image.post(
        "/images", json={"name": "theirs", "visibility": "private", "tags": ["contract"]}
    ).json()
    asked.later(lambda: asked.tenant.api.image.delete_image(image["id"]))
    api = asked.service.api
    looks: list[Callable[[], object]] = [
        lambda: api.network.get_security_group(group.id),
        lambda: api.block_storage.get_volume(disk.id),
        lambda: api.image.get_image(image["id"]),
    ]
    for look in looks:
        with pytest.raises(exceptions.NotFoundException):
            look()
    assert [each.id for each in api.image.images(tag="contract")] == []


def test_what_is_an_administrators_is_refused_to_a_service(asked: Asked) -> None:
    api, made = asked.service.api, asked.server()
    forbidden: list[Callable[[], object]] = [
        lambda: list(api.compute.servers(all_projects=True)),
        lambda: api.compute.reset_server_state(made.id, "error"),
        lambda: api.compute.create_flavor(name="big", ram=1, vcpus=1, disk=1),
        lambda: api.compute.migrate_server(made.id),
        lambda: api.compute.create_server(
            name="on a host",
            image_id=asked.image_id,
            flavor_id=asked.flavor_id,
            networks="none",
            availability_zone="nova:a-host",
        ),
        lambda: api.network.create_network(name="for all", is_shared=True),
    ]
    for each in forbidden:
        with pytest.raises(exceptions.ForbiddenException):
            each()
    error = refused(lambda: servers.migrate(made.id, None))
    assert type(error) is errors.Refused


def test_with_the_role_manager_a_server_is_migrated_but_to_no_host_of_choice(asked: Asked) -> None:
    raised = Person(asked.admin, "manager", ("member", "service", "manager"))
    try:
        api, compute = raised.api, raised.api.compute
        home = asked.network_of(asked.tenant, "10.63.0.0/24")
        port = api.network.create_port(network_id=home.id)
        made = compute.create_server(
            name="contract",
            image_id=asked.image_id,
            flavor_id=asked.flavor_id,
            networks=[{"port": port.id}],
        )
        compute.wait_for_server(made, interval=0.1, wait=120)
        with pytest.raises(exceptions.ForbiddenException):
            compute.migrate_server(made.id, host="compute-2")
        # A cloud of one host has none to go to; by then Nova has looked at the rights.
        answer = compute.post(f"/servers/{made.id}/action", json={"migrate": None})
        assert answer.status_code == 202 or "No valid host" in answer.text
    finally:
        raised.gone()
