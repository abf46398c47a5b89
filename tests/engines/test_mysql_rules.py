"""MySQL beside MariaDB: its own accounts, character sets and memory, and what it has not."""

from __future__ import annotations

import pytest

from chalicelib import engines
from chalicelib.engines import mysql, mysql_charsets
from chalicelib.engines.engine import Part
from chalicelib.engines.mariadb import MIB

RULES = mysql.MySQLRules(ValueError)


def test_the_name_mysql_stays_mariadbs_and_mysqld_is_mysql() -> None:
    assert engines.ENGINES["mysql"] is engines.ENGINES["mariadb"]
    assert engines.ENGINES["mysqld"] is mysql.ENGINE
    assert engines.can("mysqld", Part.DATABASES)
    assert not engines.can("mysqld", Part.BACKUPS)


@pytest.mark.parametrize("name", sorted(mysql.SYSTEM_USERS | {"root", "os_admin", "mysql"}))
def test_an_account_of_the_server_is_nobodys(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        RULES.user_name(name)
    assert RULES.user_name("mariadb.sys") == "mariadb.sys"


def test_character_sets_are_its_own() -> None:
    assert RULES.character_set("utf8mb4", "utf8mb4_0900_ai_ci") == {
        "character_set": "utf8mb4",
        "collate": "utf8mb4_0900_ai_ci",
    }
    with pytest.raises(ValueError, match="MySQL has no collation 'utf8mb4_uca1400_ai_ci'"):
        RULES.character_set(None, "utf8mb4_uca1400_ai_ci")
    with pytest.raises(ValueError, match="MySQL has no character set"):
        RULES.character_set("utf9", None)
    assert mysql_charsets.collation("UTF8_general_ci") == "utf8mb3_general_ci"
    assert not mysql_charsets.fit("latin1", "utf8mb4_bin")


def test_a_password_is_one_that_the_plugin_takes() -> None:
    assert RULES.password("é" * 128) == "é" * 128
    with pytest.raises(ValueError, match="256 bytes"):
        RULES.password("é" * 129)


@pytest.mark.parametrize("ram", [512, 1024, 4096, 65_536])
def test_its_pool_is_made_of_whole_chunks_within_what_mariadb_would_have(ram: int) -> None:
    pool = int(mysql.template(ram)["innodb_buffer_pool_size"])
    assert pool % (128 * MIB) == 0
    assert 0 < pool <= ram * MIB * 0.65
