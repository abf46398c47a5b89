"""What a bare MariaDB or MySQL tells of its variables, or shows when it is asked to change them.

MySQL's tables have types and bounds (since 9.1). Which variables need a restart, in which steps a
number goes, and the words of an enumeration are in none.
"""

from __future__ import annotations

import socket
from typing import Any, Final, TypeAlias

import pymysql
from pymysql.constants import ER
from pymysql.cursors import DictCursor

Connection: TypeAlias = "pymysql.Connection[DictCursor]"
Row: TypeAlias = dict[str, Any]

ANSWER_SECONDS: Final = 30.0
_OF_MARIADB: Final = "SELECT * FROM information_schema.system_variables"
_OF_MYSQL: Final = """
SELECT VARIABLE_NAME, DATA_TYPE, MIN_VALUE, MAX_VALUE, VARIABLE_VALUE
  FROM performance_schema.variables_metadata JOIN performance_schema.global_variables
 USING (VARIABLE_NAME) WHERE VARIABLE_NAME IN %s"""
_LARGEST_STEP: Final = 30
"""As a power of two: a GiB."""
_MOST_WORDS: Final = 64
"""Of one variable: a set is a number with a bit for each."""


def of_mariadb(plug: str) -> dict[str, Row]:
    """The rows of the variables of the MariaDB at a socket, by name."""
    with _connected(plug) as connection:
        rows = {row["VARIABLE_NAME"].lower(): row for row in _rows(connection, _OF_MARIADB)}
        for name, row in rows.items():
            if row["VARIABLE_TYPE"] == "SET" and row["READ_ONLY"] == "NO":
                row["STANDS_FOR"] = _stand_for(connection, name, row["ENUM_VALUE_LIST"].split(","))
    return rows


def of_mysql(plug: str, names: list[str]) -> dict[str, Row]:
    """The rows of variables of the MySQL at a socket, by name."""
    with _connected(plug) as connection:
        rows = _rows(connection, _OF_MYSQL, names)
        return {row["VARIABLE_NAME"]: _asked(connection, row) for row in rows}


def _connected(plug: str) -> Connection:
    """A connection by the socket, which PyMySQL itself would not close where nobody listens."""
    connection = pymysql.connect(
        user="root", autocommit=True, cursorclass=DictCursor, defer_connect=True
    )
    way = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        way.settimeout(ANSWER_SECONDS)
        way.connect(plug)
        connection.connect(way)
    except BaseException:
        way.close()
        raise
    return connection


def _rows(connection: Connection, query: str, *values: object) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())


def _asked(connection: Connection, row: Row) -> Row:
    """The row, with what is in no table of MySQL; the variable has its default afterwards."""
    name, kind, words, step = row["VARIABLE_NAME"], row["DATA_TYPE"], list[str](), 1
    read_only = _refusal(connection, name, "DEFAULT") == ER.INCORRECT_GLOBAL_LOCAL_VAR
    if not read_only:
        match kind:
            case "Enumeration" | "Set":
                words = _words(connection, name, bits=kind == "Set")
            case "Integer":
                step = _step(connection, name, int(row["VARIABLE_VALUE"]), int(row["MAX_VALUE"]))
        _refusal(connection, name, "DEFAULT")
    more = _stand_for(connection, name, words) if kind == "Set" else {}
    return {**row, "READ_ONLY": read_only, "WORDS": words, "STEP": step, "STANDS_FOR": more}


def _words(connection: Connection, name: str, *, bits: bool) -> list[str]:
    """By their numbers; a word that stands for others is told with them."""
    found: dict[str, None] = {}
    for number in range(_MOST_WORDS):
        if not _refusal(connection, name, str(1 << number if bits else number)):
            found |= dict.fromkeys(_value(connection, name).split(","))
    return [each for each in found if each]


def _stand_for(connection: Connection, name: str, words: list[str]) -> dict[str, tuple[str, ...]]:
    """The words of a set that come with others."""
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        if not _refusal(connection, name, f"'{word}'"):
            others = tuple(each for each in _value(connection, name).split(",") if each != word)
            found |= {word: others} if others else {}
    _refusal(connection, name, "DEFAULT")
    return found


def _step(connection: Connection, name: str, now: int, most: int) -> int:
    """The least power of two by which it goes on, or back, to no other value than that."""
    for step in (1 << power for power in range(_LARGEST_STEP + 1)):
        wanted = now + step if now + step <= most else now - step
        if not _refusal(connection, name, str(wanted)) and _value(connection, name) == str(wanted):
            return step
    raise ValueError(f"{name} is in no steps")


def _value(connection: Connection, name: str) -> str:
    ((held,),) = (row.values() for row in _rows(connection, f"SELECT @@GLOBAL.{name}"))
    return str(held)


def _refusal(connection: Connection, name: str, value: str) -> int:
    """The number of the error of setting it; 0 when it is taken."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SET GLOBAL {name} = {value}")
        except pymysql.MySQLError as error:
            return int(error.args[0])
    return 0
