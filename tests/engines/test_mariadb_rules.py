"""What a customer may put into a MariaDB, by name."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.contents import rules_of
from chalicelib.errors import BadRequest

RULES = rules_of("mysql")
PLAIN = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=32)


@given(PLAIN)
def test_plain_names_are_good_for_databases_and_users(name: str) -> None:
    if name.lower() not in RULES.RESERVED_DATABASES:
        assert RULES.database_name(name) == name
    if name.lower() not in RULES.RESERVED_USERS:
        assert RULES.user_name(name) == name


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a@b", "1", "a  @ b"])
def test_some_signs_may_stand_inside_a_database_name(name: str) -> None:
    assert RULES.database_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a/b", "a.b", "a\nb", "a`b", "a\x00b", "é", "a" * 65, "Mysql"]
)
def test_other_database_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        RULES.database_name(name)


@pytest.mark.parametrize("name", ["a.b", "a@b", "é", "a b", "%", "a#b"])
def test_a_user_name_is_freer(name: str) -> None:
    assert RULES.user_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a/b", "a'b", 'a"b', "a;b", "a,b", "a`b", "a\\b", "a\tb", "Root"]
)
def test_other_user_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        RULES.user_name(name)


@given(st.text())
def test_a_host_is_taken_whole_or_refused(text: str) -> None:
    try:
        assert RULES.host(text) == text
    except BadRequest:
        return
    assert not set(text) & set(" '\"`;\\\n\0")


@given(st.ip_addresses(v=4).map(str), st.data())
def test_an_address_and_each_part_of_one_is_a_host(address: str, data: st.DataObject) -> None:
    assert RULES.host(address) == address
    start = data.draw(st.integers(0, len(address)))
    end = data.draw(st.integers(start, len(address)))
    for pattern in (f"{address[:start]}%", f"%{address[start:]}", f"%{address[start:end]}%"):
        assert RULES.host(pattern) == pattern


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
        RULES.host(host)
    assert "'10.1.%'" in caught.value.message


@pytest.mark.parametrize("name", ["e😀1", "\U00010000"])
def test_a_user_name_beyond_the_basic_plane_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        RULES.user_name(name)
    assert "U+FFFF" in caught.value.message


def test_lengths_are_counted_in_characters() -> None:
    assert RULES.user_name("é" * 32) == "é" * 32
    assert RULES.password("日" * 255) == "日" * 255


@given(st.integers(0, 64))
def test_a_name_is_granted_on_while_its_pattern_is_no_longer_than_a_name(underscores: int) -> None:
    name = "_" * underscores + "a" * (64 - underscores)
    assert RULES.database_name(name) == name
    if underscores:
        with pytest.raises(BadRequest, match="counted twice"):
            RULES.grantable(name)
    else:
        assert RULES.grantable(name) == name


def test_a_grant_on_32_underscores_fits() -> None:
    assert RULES.grantable("_" * 32) == "_" * 32
    with pytest.raises(BadRequest):
        RULES.grantable("_" * 33)


@given(PLAIN, st.sampled_from(["%", "10.0.0.%", "localhost"]))
def test_an_identifier_is_taken_apart_again(name: str, host: str) -> None:
    assert RULES.account(f"{name}@{host}") == (name, host)
    assert RULES.account(name) == (name, "%")
    assert RULES.account(f"{name}@") == (name, "%")


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
    chosen = RULES.character_set(charset, collation)
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
        RULES.character_set(charset, collation)


@given(st.text(min_size=1, max_size=255).filter(lambda text: text.strip() and "\0" not in text))
def test_a_password_is_taken_whole(text: str) -> None:
    assert RULES.password(text) == text


@pytest.mark.parametrize("text", ["", "  ", "secret" * 50, "secret\0"])
def test_other_passwords_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        RULES.password(text)
    assert "secret" not in caught.value.message
