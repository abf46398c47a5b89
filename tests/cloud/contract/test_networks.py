"""Networks of a tenant, shared and not; addresses; rules for IPv4 and IPv6."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from openstack import exceptions

from chalicelib.auth.connection import Connection
from chalicelib.auth.networks import Networks
from chalicelib.cloud import errors, names, network
from chalicelib.errors import BadRequest
from tests.cloud.contract.asked import Asked, refused
from tests.cloud.contract.people import Person


def test_a_network_that_is_shared_by_rbac_is_shared_for_whom_it_is_shared_with(
    asked: Asked, stranger: Person
) -> None:
    home = asked.network_of(stranger, "10.64.0.0/24")
    theirs, mine = stranger.api.network, asked.tenant.api.network
    with pytest.raises(exceptions.NotFoundException):
        mine.get_network(home.id)
    policy = theirs.create_rbac_policy(
        object_type="network",
        object_id=home.id,
        action="access_as_shared",
        target_project_id=asked.tenant.project.id,
    )
    assert mine.get_network(home.id).is_shared is True
    assert theirs.get_network(home.id).is_shared is False
    seen = network.get_network(home.id)
    assert seen is not None
    assert seen.shared is False, "the service cannot tell from its own look"
    listed = asked.service.api.network.rbac_policies(object_id=home.id)
    assert [each.id for each in listed] == [], "nor from the policies"
    with pytest.raises(exceptions.ForbiddenException):
        theirs.create_rbac_policy(
            object_type="network",
            object_id=home.id,
            action="access_as_shared",
            target_project_id="*",
        )
    port = asked.port(home.id, asked.group().id)
    assert port.network_id == home.id

    look = Networks(_Connection(asked.service))
    (subnet,) = theirs.subnets(network_id=home.id)
    for nic in ({"network_id": home.id}, {"subnet_id": subnet.id}):
        assert look(asked.tenant.api.auth_token, asked.tenant.project.id, nic) == home.id
    theirs.delete_rbac_policy(policy.id)
    with pytest.raises(BadRequest, match=home.id):
        look(asked.tenant.api.auth_token, asked.tenant.project.id, {"network_id": home.id})


class _Connection(Connection):
    """The API's session, of a user who has it already."""

    def __init__(self, person: Person) -> None:
        super().__init__()
        self._person = person

    def session(self) -> Any:
        return self._person.api.session


def test_an_address_that_is_taken_is_refused_for_good_and_named(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "10.65.0.0/24")
    (subnet,) = asked.tenant.api.network.subnets(network_id=home.id)
    group = asked.group()
    place = {"subnet_id": subnet.id, "ip_address": "10.65.0.9"}
    asked.port(home.id, group.id, **place)
    error = refused(lambda: asked.port(home.id, group.id, **place))
    assert type(error) is errors.Refused
    assert "10.65.0.9" in str(error)


def test_a_network_without_a_free_address_is_refused_for_good(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "10.66.0.0/30")
    group = asked.group()
    asked.port(home.id, group.id)  # the only one beside the gateway's
    error = refused(lambda: asked.port(home.id, group.id))
    assert type(error) is errors.Refused
    assert home.id in str(error)


def test_a_group_in_use_is_deleted_later(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "10.67.0.0/24")
    group = asked.group()
    asked.port(home.id, group.id)
    error = refused(lambda: network.delete_security_group(group.id))
    assert type(error) is errors.CloudAway
    assert group.id in str(error)


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "2001:db8::/32", "::/0", "0.0.0.0/0"])
def test_a_rule_for_either_family_is_made_once_and_found_as_it_was_asked_for(
    asked: Asked, cidr: str
) -> None:
    group, rule = asked.group(), network.Rule(3306, cidr)
    for _ in range(2):
        network.create_rule(group.id, rule)
    (found,) = network.find_security_groups(asked.instance_id)
    assert set(found.rules) == {rule}


def test_a_port_in_a_network_of_both_families_has_an_address_of_each(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "10.68.0.0/24", "fd00:68::/64")
    port = asked.port(home.id, asked.group().id)
    assert sorted(":" in each for each in port.addresses) == [False, True]


def test_a_port_in_a_network_of_ipv6_alone_has_an_address_of_it_alone(asked: Asked) -> None:
    home = asked.network_of(asked.tenant, "fd00:71::/64")
    (subnet,) = asked.tenant.api.network.subnets(network_id=home.id)
    group = asked.group()
    ports = [
        asked.port(home.id, group.id),
        asked.port(home.id, group.id, subnet_id=subnet.id),
        asked.port(home.id, group.id, subnet_id=subnet.id, ip_address="fd00:71::9"),
    ]
    (first,), (second,), (third,) = (each.addresses for each in ports)
    assert all(ip_address(each) in ip_network("fd00:71::/64") for each in (first, second))
    assert (first != second, third) == (True, "fd00:71::9")


def test_a_port_of_ipv6_alone_takes_no_public_address(asked: Asked, admin: Any) -> None:
    outside = admin.network.create_network(name="contract-outside", is_router_external=True)
    asked.later(lambda: admin.network.delete_network(outside.id))
    place = {"cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": False}
    admin.network.create_subnet(network_id=outside.id, **place)
    home = asked.network_of(asked.tenant, "fd00:72::/64")
    port = asked.port(home.id, asked.group().id)
    whose = names.description(asked.instance_id)
    error = refused(
        lambda: network.create_floating_address(whose, network_id=outside.id, port_id=port.id)
    )
    assert type(error) is errors.Refused
    assert port.id in str(error)
    assert network.find_floating_addresses(asked.instance_id) == []
