"""The rules for a new instance and for what stands inside its server."""

from __future__ import annotations

import string
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import mariadb
from chalicelib.domain import contents, instances
from chalicelib.errors import BadRequest, CofferError, OverLimit

PLAIN = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=32)


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


@given(PLAIN)
def test_plain_names_are_good_for_databases_and_users(name: str) -> None:
    if name.lower() not in mariadb.RESERVED_DATABASES:
        assert contents.database_name(name) == name
    if name.lower() not in mariadb.RESERVED_USERS:
        assert contents.user_name(name) == name


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a@b", "1", "a  @ b"])
def test_some_signs_may_stand_inside_a_database_name(name: str) -> None:
    assert contents.database_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a/b", "a.b", "a\nb", "a`b", "a\x00b", "é", "a" * 65, "Mysql"]
)
def test_other_database_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        contents.database_name(name)


@pytest.mark.parametrize("name", ["a.b", "a@b", "é", "a b", "%", "a#b"])
def test_a_user_name_is_freer(name: str) -> None:
    assert contents.user_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a/b", "a'b", 'a"b', "a;b", "a,b", "a`b", "a\\b", "a\tb", "Root"]
)
def test_other_user_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        contents.user_name(name)


@given(st.text())
def test_a_host_is_taken_whole_or_refused(text: str) -> None:
    try:
        assert contents.host(text) == text
    except BadRequest:
        return
    assert not set(text) & set(" '\"`;\\\n\0")


@given(st.ip_addresses(v=4).map(str), st.data())
def test_an_address_and_each_part_of_one_is_a_host(address: str, data: st.DataObject) -> None:
    assert contents.host(address) == address
    start = data.draw(st.integers(0, len(address)))
    end = data.draw(st.integers(start, len(address)))
    for pattern in (f"{address[:start]}%", f"%{address[start:]}", f"%{address[start:end]}%"):
        assert contents.host(pattern) == pattern


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "db-client", "%.example.org", "db%", "::1", "%:%", ""),
        *("10.0.0.0/8", "127.0.0.0/255.0.0.0", "10.0.0.256", "10.0.0", "10.0.0.01", "010.%"),
        *("256%", "%.256", "%300%", "1.2.3.4.%", "%.1.2.3.4", "10.%.1.%", "10_0.0.1", "10.0.0._"),
        *("1..%", "% ", "²%", "\u0661%"),
    ],
)
def test_what_no_client_can_match_is_refused_with_what_is_right(host: str) -> None:
    with pytest.raises(BadRequest) as caught:
        contents.host(host)
    assert "'10.1.%'" in caught.value.message


@pytest.mark.parametrize("name", ["e😀1", "\U00010000"])
def test_a_user_name_beyond_the_basic_plane_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        contents.user_name(name)
    assert "U+FFFF" in caught.value.message


def test_lengths_are_counted_in_characters() -> None:
    assert contents.user_name("é" * 32) == "é" * 32
    assert contents.password("日" * 255) == "日" * 255


@given(st.integers(0, 64))
def test_a_name_is_granted_on_while_its_pattern_is_no_longer_than_a_name(underscores: int) -> None:
    name = "_" * underscores + "a" * (64 - underscores)
    assert contents.database_name(name) == name
    if underscores:
        with pytest.raises(BadRequest, match="counted twice"):
            contents.grantable(name)
    else:
        assert contents.grantable(name) == name


def test_a_grant_on_32_underscores_fits() -> None:
    assert contents.grantable("_" * 32) == "_" * 32
    with pytest.raises(BadRequest):
        contents.grantable("_" * 33)


@given(PLAIN, st.sampled_from(["%", "10.0.0.%", "localhost"]))
def test_an_identifier_is_taken_apart_again(name: str, host: str) -> None:
    assert contents.user_and_host(f"{name}@{host}") == (name, host)
    assert contents.user_and_host(name) == (name, "%")
    assert contents.user_and_host(f"{name}@") == (name, "%")


@pytest.mark.parametrize(
    ("charset", "collation"),
    [
        ("utf8mb3", "utf8mb3_bin"),
        ("UTF8MB4", "utf8mb4_general_ci"),
        ("utf8mb4", "uca1400_ai_ci"),
        ("binary", "binary"),
        ("latin1", None),
        (None, "latin1_swedish_ci"),
    ],
)
def test_a_collation_of_its_character_set_is_taken(
    charset: str | None, collation: str | None
) -> None:
    chosen = contents.character_set(charset, collation)
    assert set(chosen.values()) == {text.lower() for text in (charset, collation) if text}


@pytest.mark.parametrize(
    ("charset", "collation"),
    [
        *(("utf9", None), ("gb18030", None), ("utf8mb4", "utf8mb4_0900_ai_ci"), (None, "")),
        ("latin1", "utf8mb4_bin"),
        ("latin1", "uca1400_ai_ci"),
        (None, "a; b"),
    ],
)
def test_other_collations_are_refused(charset: str | None, collation: str | None) -> None:
    with pytest.raises(BadRequest):
        contents.character_set(charset, collation)


@given(st.text(min_size=1, max_size=255).filter(lambda text: text.strip() and "\0" not in text))
def test_a_password_is_taken_whole(text: str) -> None:
    assert contents.password(text) == text


@pytest.mark.parametrize("text", ["", "  ", "secret" * 50, "secret\0"])
def test_other_passwords_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        contents.password(text)
    assert "secret" not in caught.value.message


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
