"""The rules for a new instance."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import instances
from chalicelib.errors import BadRequest, CofferError, OverLimit


@given(st.integers(min_value=1, max_value=50))
def test_every_size_up_to_the_maximum_is_taken_as_number_and_as_digits(size: int) -> None:
    assert instances.volume_size(size, 50) == instances.volume_size(str(size), 50) == size


@given(st.integers(min_value=51))
def test_every_larger_size_is_over_the_limit(size: int) -> None:
    with pytest.raises(OverLimit):
        instances.volume_size(size, 50)


@given(st.integers(max_value=0) | st.text().filter(lambda text: not text.isdigit()))
def test_what_is_no_size_is_refused(size: int | str) -> None:
    with pytest.raises(BadRequest):
        instances.volume_size(size, 50)


@given(st.lists(st.ip_addresses(), max_size=3))
def test_networks_that_may_reach_the_database(addresses: list[Any]) -> None:
    cidrs = [f"{address}/{address.max_prefixlen}" for address in addresses]
    assert instances.allowed_cidrs(cidrs) == list(dict.fromkeys(cidrs))


@given(st.lists(st.tuples(st.ip_addresses(), st.integers(0, 32)), max_size=32))
def test_rules_let_in_the_allowed_addresses_and_no_others(pairs: list[Any]) -> None:
    cidrs = [f"{address}/{length}" for address, length in pairs]
    rules = [ip_network(rule) for rule in instances.sources(cidrs)]
    asked = [ip_network(cidr, strict=False) for cidr in cidrs or ["0.0.0.0/0"]]
    assert len(rules) <= len(asked)
    for family in (IPv4Network, IPv6Network):
        of_rules: list[Any] = [each for each in rules if isinstance(each, family)]
        of_asked: list[Any] = [each for each in asked if isinstance(each, family)]
        for network in of_asked:
            assert any(network.subnet_of(rule) for rule in of_rules)
        let_in = sum(rule.num_addresses for rule in of_rules)
        assert let_in <= sum(network.num_addresses for network in of_asked)


def test_neighbours_and_parts_of_allowed_networks_are_one_rule() -> None:
    halves = ["10.0.0.0/9", "10.128.0.0/9", "10.3.0.0/16", "10.9.9.9/32"]
    assert instances.sources(halves) == ["10.0.0.0/8"]
    mixed = ["2001:DB8::/33", "10.0.0.1", "2001:db8:8000:0::/33", "2001:db8::9"]
    assert instances.sources(mixed) == ["10.0.0.1/32", "2001:db8::/32"]


@given(st.text())
def test_other_texts_are_no_networks(text: str) -> None:
    try:
        (network,) = instances.allowed_cidrs([text])
    except CofferError:
        return
    assert set(network) <= set("0123456789abcdefABCDEF:./")


@pytest.mark.parametrize("reference", [7, "7", "http://h/v1.0/p/flavors/7", "/flavors/7/"])
def test_a_flavor_reference_ends_in_its_id(reference: int | str) -> None:
    assert instances.flavor_id(reference) == "7"
