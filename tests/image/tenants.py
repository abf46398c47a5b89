"""Who uses the database of the booted server: by one connection, rows that have to stay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final

import pg8000.native
import pymysql
import redis

from tests.guest_agent.server import PASSWORD, prepare_args
from tests.support.loopback import HOST

ROWS: Final = 1000
CONNECT_SECONDS: Final = 60.0
"""Without KVM, beside other work."""


class Tenant(ABC):
    """A tenant of an engine, connected to a port of this machine that leads to the server's."""

    MANAGER: ClassVar[str]
    VERSION: ClassVar[str]
    PORT: ClassVar[int]
    CONTENTS: ClassVar[dict[str, Any]] = {}
    """What `prepare` makes instead of what is usual."""

    @abstractmethod
    def __init__(self, port: int, host: str = HOST) -> None: ...

    @classmethod
    def order(cls) -> dict[str, Any]:
        """The arguments of `prepare`."""
        return prepare_args(
            datastore={"manager": cls.MANAGER, "version": cls.VERSION}, **cls.CONTENTS
        )

    @abstractmethod
    def write(self) -> None:
        """Make rows, and use what of the engine a sandbox might forbid."""

    @abstractmethod
    def rows(self) -> int:
        """How many there are."""

    @abstractmethod
    def served_by(self) -> object:
        """The server's process and the connection: another one of either is another answer."""

    @abstractmethod
    def close(self) -> None:
        """Leave."""


class OfMariaDB(Tenant):
    """Sequences of numbers come from its own engine; a pattern is compiled by PCRE."""

    MANAGER, VERSION, PORT = "mariadb", "10.11", 3306

    def __init__(self, port: int, host: str = HOST) -> None:
        self._connection = pymysql.connect(
            host=host,
            port=port,
            user="alice",
            password=PASSWORD,
            database="shop",
            autocommit=True,
            ssl_disabled=True,
            connect_timeout=int(CONNECT_SECONDS),
        )

    def write(self) -> None:
        self._ask("CREATE TABLE kept (n INT PRIMARY KEY)")
        self._ask(f"INSERT INTO kept SELECT seq FROM seq_1_to_{ROWS}")
        ((matching,),) = self._ask("SELECT COUNT(*) FROM kept WHERE n REGEXP '^[0-9]{1,4}$'")
        assert matching == ROWS

    def rows(self) -> int:
        return int(self._ask("SELECT COUNT(*) FROM kept")[0][0])

    def served_by(self) -> object:
        return self._ask("SELECT CONNECTION_ID()")

    def close(self) -> None:
        self._connection.close()

    def _ask(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())


class OfPostgreSQL(Tenant):
    """Expensive queries are compiled by LLVM; two workers share memory with who asks."""

    MANAGER, VERSION, PORT = "postgresql", "15", 5432

    def __init__(self, port: int, host: str = HOST) -> None:
        self._connection = pg8000.native.Connection(
            "alice",
            host=host,
            port=port,
            password=PASSWORD,
            database="shop",
            ssl_context=False,
            timeout=int(CONNECT_SECONDS) * 5,
        )

    def write(self) -> None:
        self._ask("CREATE TABLE kept (n INT PRIMARY KEY)")
        self._ask(f"INSERT INTO kept SELECT generate_series(1, {ROWS})")
        self._ask("SET jit_above_cost = 0")
        self._ask("SET jit_optimize_above_cost = 0")
        plan = "\n".join(row[0] for row in self._ask("EXPLAIN ANALYZE SELECT SUM(n) FROM kept"))
        assert "JIT:" in plan, plan
        self._ask("RESET ALL")
        self._ask("SET force_parallel_mode = on")
        assert self.rows() == ROWS
        self._ask("RESET ALL")

    def rows(self) -> int:
        return int(self._ask("SELECT COUNT(*) FROM kept")[0][0])

    def served_by(self) -> object:
        return self._ask("SELECT pg_backend_pid(), pg_postmaster_start_time()::text")

    def close(self) -> None:
        self._connection.close()

    def _ask(self, statement: str) -> list[Any]:
        return list(self._connection.run(statement) or ())


class OfRedis(Tenant):
    """Its scripts run in an interpreter."""

    MANAGER, VERSION, PORT = "redis", "7.0", 6379
    CONTENTS: ClassVar = {"databases": [], "users": [], "root_password": PASSWORD}

    def __init__(self, port: int, host: str = HOST) -> None:
        # Its types leave open whether an answer has to be awaited.
        self._client: Any = redis.Redis(
            host,
            port,
            password=PASSWORD,
            single_connection_client=True,
            socket_connect_timeout=CONNECT_SECONDS,
        )

    def write(self) -> None:
        self._client.eval(f"for n = 1, {ROWS} do redis.call('SET', 'kept:' .. n, n) end", 0)

    def rows(self) -> int:
        return int(self._client.dbsize())

    def served_by(self) -> object:
        return self._client.client_id(), self._client.info("server")["run_id"]

    def close(self) -> None:
        self._client.close()


TENANTS: Final[dict[str, type[Tenant]]] = {
    each.MANAGER: each for each in (OfMariaDB, OfPostgreSQL, OfRedis)
}
