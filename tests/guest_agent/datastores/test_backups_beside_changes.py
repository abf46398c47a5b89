"""What changes between the backups of a chain, other than rows: a restore has it as it was."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from tests.guest_agent.datastores.customer import PASSWORD, Guest
from tests.guest_agent.datastores.test_backups import MARIADB, Backups, guest_of, restored

pytestmark = pytest.mark.database


def as_root(guest: Guest, *statements: str) -> list[tuple[Any, ...]]:
    """What the last of them answers."""
    with (
        pymysql.connect(
            host=guest.server.address, user="root", password=PASSWORD, autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def test_databases_and_tables_that_come_and_go_between_two_backups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their names may be like those of the files that the tool leaves beside them."""
    backups = Backups()
    with guest_of(MARIADB, monkeypatch) as guest:
        guest.manager.call("enable_root", {"root_password": PASSWORD}, lambda _: None)
        as_root(
            guest,
            "CREATE DATABASE dropped",
            "CREATE TABLE dropped.t (a INT) ENGINE=InnoDB",
            "CREATE DATABASE xtrabackup_shop",
            "CREATE TABLE xtrabackup_shop.t (a INT)",
            "INSERT INTO xtrabackup_shop.t VALUES (1)",
            "CREATE TABLE shop.again (a INT)",
            "INSERT INTO shop.again VALUES (1), (2)",
            "CREATE TABLE shop.cut (a INT)",
            "INSERT INTO shop.cut VALUES (1), (2)",
            "CREATE TABLE shop.before (a INT)",
            "INSERT INTO shop.before VALUES (1), (2)",
            "CREATE TABLE shop.aria (a INT) ENGINE=Aria",
        )
        full = backups.create(guest)
        as_root(
            guest,
            "DROP DATABASE dropped",
            "CREATE DATABASE mariadb_backup_made",
            "CREATE TABLE mariadb_backup_made.t (a INT)",
            "INSERT INTO mariadb_backup_made.t VALUES (7)",
            "DROP TABLE shop.again",
            "CREATE TABLE shop.again (a INT, b INT)",
            "INSERT INTO shop.again VALUES (3, 4)",
            "TRUNCATE shop.cut",
            "INSERT INTO shop.cut VALUES (9)",
            "RENAME TABLE shop.before TO shop.after",
            "INSERT INTO shop.aria VALUES (5)",
        )
        backups.create(guest, full)
        there = as_root(guest, "SHOW DATABASES")
    with restored(backups, MARIADB, backups.made, monkeypatch) as guest:
        assert as_root(guest, "SHOW DATABASES") == there
        for table, rows in {
            "xtrabackup_shop.t": [(1,)],
            "mariadb_backup_made.t": [(7,)],
            "shop.again": [(3, 4)],
            "shop.cut": [(9,)],
            "shop.after": [(1,), (2,)],
            "shop.aria": [(5,)],
        }.items():
            assert as_root(guest, f"SELECT * FROM {table} ORDER BY 1") == rows, table
        assert as_root(guest, "SHOW TABLES IN shop LIKE 'before'") == []
        assert as_root(guest, "CHECK TABLE shop.again, shop.cut, shop.after")[0][3] == "OK"
