"""What `coffer demo` does with a database: it writes a row and reads it, as applications do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pymysql
import redis
from pg8000 import native

from infra.errors import StackError

CONNECT_SECONDS: Final = 10
ROW: Final = (1, "a coffer")
STATEMENTS: Final = (
    "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40))",
    "INSERT INTO orders VALUES (1, 'a coffer')",
)
UNREACHED: Final = (
    *(pymysql.err.OperationalError, native.InterfaceError, redis.ConnectionError),
    *(redis.TimeoutError, OSError),
)
QUERIES: Final = ("SELECT id, item FROM orders", "SELECT VERSION()")


class Login(NamedTuple):
    """Where, who, and in which database."""

    address: str
    user: str
    password: str
    database: str


class Client(NamedTuple):
    """How a datastore is used: `use` gives the row and the version that it tells; `shell` is what a
    person would type.
    """

    version: str
    scheme: str
    port: int
    has_users: bool
    """Whether it has users and databases; one that has not is used as its root."""
    use: Callable[[Login], tuple[Any, Any]]
    shell: str


def _mysql(login: Login) -> tuple[Any, Any]:
    connection = pymysql.connect(
        host=login.address,
        user=login.user,
        password=login.password,
        database=login.database,
        connect_timeout=CONNECT_SECONDS,
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement)
        found = []
        for query in QUERIES:
            cursor.execute(query)
            found.append(cursor.fetchone())
    return found[0], found[1]


def _postgresql(login: Login) -> tuple[Any, Any]:
    connection = native.Connection(
        login.user,
        host=login.address,
        password=login.password,
        database=login.database,
        timeout=CONNECT_SECONDS,
        ssl_context=False,
    )
    with connection:
        for statement in STATEMENTS:
            connection.run(statement)
        row, version = (tuple(connection.run(query)[0]) for query in QUERIES)
    return row, version


def _redis(login: Login) -> tuple[Any, Any]:
    with redis.Redis(
        host=login.address,
        username=login.user,
        password=login.password,
        db=int(login.database),
        socket_connect_timeout=CONNECT_SECONDS,
        decode_responses=True,
    ) as connection:
        connection.hset("orders:1", mapping={"id": ROW[0], "item": ROW[1]})
        found: Any = connection.hgetall("orders:1")
        about: Any = connection.info("server")
    return (int(found["id"]), found["item"]), (about["redis_version"],)


CLIENTS: Final = {
    "mariadb": Client(
        "10.11",
        "mysql",
        3306,
        True,
        _mysql,
        "MYSQL_PWD={password} mariadb -h {address} -u {user} {database}",
    ),
    "postgresql": Client(
        "15",
        "postgresql",
        5432,
        True,
        _postgresql,
        "PGPASSWORD={password} psql -h {address} -U {user} {database}",
    ),
    "redis": Client(
        "7.0",
        "redis",
        6379,
        False,
        _redis,
        "REDISCLI_AUTH={password} redis-cli -h {address} --user {user} -n {database}",
    ),
}
"""By the names of datastores on offer."""


def use(client: Client, login: Login) -> str:
    """Write and read the row; the version that the database tells. `StackError` with what to do."""
    try:
        row, version = client.use(login)
    except UNREACHED as error:
        raise StackError(
            f"The database at {login.address} cannot be used from here: {error.args[-1]}",
            "Run it where there is a way to the instance's network, or name another --network.",
        ) from error
    if row != ROW:
        raise StackError(f"The database answered {row!r} for the row that was written.")
    return str(version and version[0])
