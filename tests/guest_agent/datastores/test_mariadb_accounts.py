"""Databases, users, grants and root of a real MariaDB, seen through a customer's connections."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from tests.guest_agent.datastores.conftest import Guest

pytestmark = pytest.mark.database

ODD_NAMES = [
    "o'brien",
    'dou"ble',
    "back`tick",
    "back\\slash",
    "per%cent",
    "under_score",
    "dotted.name",
    "grüße-日本",
    "space inside",
    "semi;colon -- #",
    "%s %(name)s {0}",
    "at@sign",
    "x" * 60,
]


@pytest.fixture
def clean(shared: Guest) -> Iterator[Guest]:
    """The shared server; what a test has made in it goes."""
    yield shared
    for user in shared.ask("list_users")["users"]:
        if user["name"] != "alice":
            shared.ask("delete_user", {"user": {"name": user["name"], "host": user["host"]}})
    for database in shared.ask("list_databases")["databases"]:
        if database["name"] != "shop":
            shared.ask("delete_database", {"database": {"name": database["name"]}})
    assert names(shared.ask("list_users"), "users") == ["alice"]
    assert names(shared.ask("list_databases"), "databases") == ["shop"]


def names(found: dict[str, Any], of: str) -> list[str]:
    return [entry["name"] for entry in found[of]]


def make_database(guest: Guest, *wanted: str) -> None:
    guest.ask("create_database", {"databases": [{"name": name} for name in wanted]})


def make_user(guest: Guest, name: str, *databases: str, **more: str) -> None:
    user = {"name": name, "password": "a-secret", "databases": [{"name": d} for d in databases]}
    guest.ask("create_user", {"users": [user | more]})


def test_any_name_is_only_data(clean: Guest) -> None:
    """Created together, used one by one, and removed by the fixture with the same odd names."""
    make_database(clean, *ODD_NAMES)
    in_order = sorted(ODD_NAMES, key=str.encode)
    assert names(clean.ask("list_databases"), "databases") == sorted(
        [*ODD_NAMES, "shop"], key=str.encode
    )
    users = [
        {"name": name, "password": "a-secret", "databases": [{"name": name}]} for name in ODD_NAMES
    ]
    clean.ask("create_user", {"users": users})
    listed = [user for user in clean.ask("list_users")["users"] if user["name"] != "alice"]
    assert listed == [
        {"name": name, "host": "%", "databases": [{"name": name}]} for name in in_order
    ]
    for name in ODD_NAMES:
        login = {"user": name, "password": "a-secret", "database": name}
        clean.rows("CREATE TABLE t (id INT)", **login)
        assert clean.rows("SELECT DATABASE()", **login) == [(name,)]
        clean.ask("revoke_access", {"username": name, "database": name})
        with pytest.raises(pymysql.MySQLError):
            clean.login(name, "a-secret", name)
        clean.ask("grant_access", {"username": name, "databases": [name]})
        assert clean.rows("SELECT DATABASE()", **login) == [(name,)]


def test_a_grant_is_for_that_database_and_no_other(clean: Guest) -> None:
    """`_` and `%` are wildcards in the server's grants; names are not."""
    make_database(clean, "a_b", "axb", "c%", "cde")
    make_user(clean, "bob", "a_b", "c%")
    seen = {name for (name,) in clean.rows("SHOW DATABASES", user="bob", password="a-secret")}
    assert seen == {"information_schema", "a_b", "c%"}


def test_pages_meet_without_gaps_or_repeats(clean: Guest) -> None:
    make_database(clean, "Zoo", "b", "a", "ab", "ä")
    for name, host in itertools.product(["u1", "u2"], ["%", "10.0.0.1"]):
        make_user(clean, name, host=host)
    for method, of, key in (
        ("list_databases", "databases", lambda x: x["name"]),
        ("list_users", "users", lambda x: f"{x['name']}@{x['host']}"),
    ):
        everything = clean.ask(method)
        assert everything["next_marker"] is None
        keys = [key(entry) for entry in everything[of]]
        assert keys == sorted(keys, key=str.encode)
        for limit in (1, 2, 3, len(keys), 100):
            paged, marker = [], None
            while True:
                page = clean.ask(method, {"limit": limit, "marker": marker})
                assert len(page[of]) <= limit
                paged += [key(entry) for entry in page[of]]
                marker = page["next_marker"]
                if marker is None:
                    break
                assert marker == paged[-1]
            assert paged == keys
        included = clean.ask(method, {"limit": 1, "marker": keys[1], "include_marker": True})
        assert [key(entry) for entry in included[of]] == [keys[1]]


def test_pages_meet_where_a_customer_has_names_sorted_by_few_bytes(clean: Guest) -> None:
    """`max_sort_length` of a group is of what it sorts itself; an agent's page has its order."""
    names_of = [f"{'n' * 40}-{each}" for each in "dbcae"]
    make_database(clean, *names_of)
    for name in names_of:
        make_user(clean, name)
    ((before,),) = clean.rows("SELECT @@GLOBAL.max_sort_length")
    clean.as_agent("SET GLOBAL max_sort_length = 64")
    try:
        for method, of in (("list_databases", "databases"), ("list_users", "users")):
            paged: list[str] = []
            marker = None
            while marker is not None or not paged:
                page = clean.ask(method, {"limit": 1, "marker": marker})
                paged += names(page, of)
                marker = page["next_marker"]
            assert [each for each in paged if each in names_of] == sorted(names_of)
    finally:
        clean.as_agent(f"SET GLOBAL max_sort_length = {before}")


def test_character_sets_and_collations(clean: Guest) -> None:
    wanted = [
        {"name": "standard"},
        {"name": "latin", "character_set": "latin1"},
        {"name": "sorted", "character_set": "utf8mb4", "collate": "utf8mb4_unicode_ci"},
        {"name": "derived", "collate": "latin2_czech_cs"},
    ]
    clean.ask("create_database", {"databases": wanted})
    made = {d["name"]: d for d in clean.ask("list_databases")["databases"]}
    assert made["standard"]["character_set"] == "utf8mb4"
    assert made["latin"]["collate"].startswith("latin1_")
    assert made["sorted"]["collate"] == "utf8mb4_unicode_ci"
    assert made["derived"]["character_set"] == "latin2"
    for wrong, complaint in (
        ({"character_set": "klingon"}, "klingon"),
        ({"collate": "utf8mb4_klingon"}, "utf8mb4_klingon"),
        ({"character_set": "utf8mb4", "collate": "latin1_bin"}, "latin1_bin"),
        ({"character_set": "utf8mb4'; DROP DATABASE shop; --"}, "no character set"),
    ):
        code, message = clean.refusal("create_database", {"databases": [{"name": "x"} | wrong]})
        assert code == "BadRequest"
        assert complaint in message


@pytest.mark.parametrize(
    ("method", "args", "code"),
    [
        ("create_database", {"databases": [{"name": "shop"}]}, "DatabaseAlreadyExists"),
        ("create_database", {"databases": [{"name": "mysql"}]}, "BadRequest"),
        ("create_database", {"databases": [{"name": "SYS"}]}, "BadRequest"),
        ("create_database", {"databases": [{"name": ""}]}, "BadRequest"),
        ("create_database", {"databases": [{"name": "nul\0"}]}, "BadRequest"),
        ("create_database", {"databases": [{"name": "trailing "}]}, "BadRequest"),
        ("create_database", {"databases": [{"name": "elephant 🐘"}]}, "BadRequest"),
        ("create_database", {"databases": [{"name": "x" * 65}]}, "BadRequest"),
        ("delete_database", {"database": {"name": "missing"}}, "DatabaseNotFound"),
        ("delete_database", {"database": {"name": "mysql"}}, "BadRequest"),
        ("create_user", {"users": [{"name": "alice", "password": "p"}]}, "UserAlreadyExists"),
        ("create_user", {"users": [{"name": "root", "password": "p"}]}, "BadRequest"),
        ("create_user", {"users": [{"name": "os_admin", "password": "p"}]}, "BadRequest"),
        ("create_user", {"users": [{"name": "bob", "password": ""}]}, "BadRequest"),
        ("create_user", {"users": [{"name": "u" * 300, "password": "p"}]}, "BadRequest"),
        ("get_user", {"username": "bob"}, "UserNotFound"),
        ("get_user", {"username": "os_admin"}, "UserNotFound"),
        ("get_user", {"username": "alice", "hostname": "10.0.0.1"}, "UserNotFound"),
        ("delete_user", {"user": {"name": "bob"}}, "UserNotFound"),
        ("delete_user", {"user": {"name": "root", "host": "localhost"}}, "BadRequest"),
        ("change_passwords", {"users": [{"name": "bob", "password": "p"}]}, "UserNotFound"),
        ("change_passwords", {"users": [{"name": "os_admin", "password": "p"}]}, "BadRequest"),
        ("update_attributes", {"username": "bob", "user_attrs": {}}, "UserNotFound"),
        ("update_attributes", {"username": "alice", "user_attrs": {"name": "root"}}, "BadRequest"),
        ("list_access", {"username": "bob"}, "UserNotFound"),
        ("grant_access", {"username": "bob", "databases": ["shop"]}, "UserNotFound"),
        ("grant_access", {"username": "alice", "databases": ["missing"]}, "DatabaseNotFound"),
        ("grant_access", {"username": "alice", "databases": ["mysql"]}, "DatabaseNotFound"),
        ("revoke_access", {"username": "alice", "database": "missing"}, "DatabaseNotFound"),
    ],
)
def test_refusals(shared: Guest, method: str, args: dict[str, Any], code: str) -> None:
    found, message = shared.refusal(method, args)
    assert found == code, message
    assert len(message) < 200


def test_several_users_are_created_or_none(clean: Guest) -> None:
    users = [{"name": name, "password": "p"} for name in ("bob", "alice")]
    assert clean.refusal("create_user", {"users": users})[0] == "UserAlreadyExists"
    assert names(clean.ask("list_users"), "users") == ["alice"]


def test_a_user_of_one_host_does_not_get_in_from_another(clean: Guest) -> None:
    make_user(clean, "bob", "shop", host="10.9.8.7")
    with pytest.raises(pymysql.MySQLError):
        clean.login("bob", "a-secret")
    attributes = {"host": "127.%"}
    clean.ask(
        "update_attributes",
        {"username": "bob", "hostname": "10.9.8.7", "user_attrs": attributes},
    )
    assert clean.rows("SELECT 1", user="bob", password="a-secret", database="shop") == [(1,)]


def test_a_user_is_renamed_with_password_and_grants(clean: Guest) -> None:
    make_user(clean, "bob", "shop")
    changes = {"name": "robert", "password": "another-secret"}
    clean.ask("update_attributes", {"username": "bob", "user_attrs": changes})
    login = {"user": "robert", "password": "another-secret", "database": "shop"}
    assert clean.rows("SELECT 1", **login) == [(1,)]
    assert names(clean.ask("list_users"), "users") == ["alice", "robert"]
    taken = {"username": "robert", "user_attrs": {"name": "alice"}}
    assert clean.refusal("update_attributes", taken)[0] == "UserAlreadyExists"


@pytest.mark.parametrize("password", ["quo'te", "per%cent", "grüße 🐘", "back\\slash", " x "])
def test_any_password_is_only_data(clean: Guest, password: str) -> None:
    make_user(clean, "bob", "shop")
    clean.ask("change_passwords", {"users": [{"name": "bob", "password": password}]})
    connection = pymysql.connect(
        host=clean.server.address, user="bob", password=password.encode(), charset="utf8mb4"
    )
    connection.close()


def test_root_is_enabled_changed_and_disabled(shared: Guest) -> None:
    assert shared.ask("is_root_enabled") == {"enabled": False}
    shared.ask("disable_root")
    for password in ("root-secret-1", "root-secret-2"):
        shared.ask("enable_root", {"root_password": password})
        assert shared.ask("is_root_enabled") == {"enabled": True}
        grants = shared.rows("SHOW GRANTS", user="root", password=password)
        assert " ON *.* TO `root`@`%`" in grants[0][0]
        assert "WITH GRANT OPTION" in grants[0][0]
    with pytest.raises(pymysql.MySQLError):
        shared.login("root", "root-secret-1")
    assert "root" not in names(shared.ask("list_users"), "users")
    shared.ask("disable_root")
    assert shared.ask("is_root_enabled") == {"enabled": False}
    with pytest.raises(pymysql.MySQLError):
        shared.login("root", "root-secret-2")


def test_no_password_is_written_anywhere(clean: Guest) -> None:
    """Not by the agent, not by the server, whose general log shows every statement."""
    secrets = ["sec-of-root", "sec-of-bob", "sec-of-bob-2", "sec-of-bob-3"]
    clean.ask("enable_root", {"root_password": secrets[0]})
    try:
        clean.as_agent("SET GLOBAL general_log_file = 'general.log', GLOBAL general_log = ON")
        clean.ask("create_user", {"users": [{"name": "bob", "password": secrets[1]}]})
        clean.ask("change_passwords", {"users": [{"name": "bob", "password": secrets[2]}]})
        changes = {"password": secrets[3]}
        clean.ask("update_attributes", {"username": "bob", "user_attrs": changes})
        clean.ask("enable_root", {"root_password": secrets[0]})
    finally:
        clean.as_agent("SET GLOBAL general_log = OFF")
        clean.ask("disable_root")
    command_lines = " ".join(clean.server.processes().values())
    general_log = clean.server.volume / "data/general.log"
    assert b"ALTER USER" in general_log.read_bytes()
    for place in clean.server.root.rglob("*"):
        if place.is_file():
            content = place.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], place
    assert not [secret for secret in secrets if secret in command_lines]
