"""The simulated manager of each engine: what differs between them as the guest contract sees it.

Memory and connections follow from the flavor by the rules of the real ones.
"""

from __future__ import annotations

from typing import ClassVar, Final, Protocol

from chalicelib.bus.contract import arguments
from chalicelib.engines import mariadb, mysql, postgresql, redis
from guest_agent.datastores.mariadb import configuration as of_mariadb
from guest_agent.datastores.postgresql import configuration as of_postgresql
from guest_agent.datastores.redis import configuration as of_redis
from guest_agent.errors import NotSupported
from simulator.fleet.backups import WithSimBackups
from simulator.fleet.contents import WithContents
from simulator.fleet.datastore import Database
from simulator.fleet.disk import Perform, directly
from simulator.fleet.logs import WithSimLog
from simulator.fleet.machine import Machine
from simulator.fleet.manager import SimManager


class SimMariaDB(WithContents, WithSimLog, WithSimBackups, SimManager):
    """The manager of a MariaDB."""

    KEPT_AT_ONCE: ClassVar = False
    MANAGER: ClassVar = "mariadb"
    ENGINE: ClassVar = mariadb.ENGINE
    READ_BACK: ClassVar = dict.fromkeys(of_mariadb.READ_BACK, 1)


class SimMySQL(WithContents, SimManager):
    """The manager of a MySQL, which makes no backups."""

    MANAGER: ClassVar = "mysqld"
    ENGINE: ClassVar = mysql.ENGINE
    READ_BACK: ClassVar = dict.fromkeys(of_mariadb.READ_BACK, 1)


class SimPostgreSQL(WithContents, WithSimLog, WithSimBackups, SimManager):
    """The manager of a PostgreSQL."""

    MANAGER: ClassVar = "postgresql"
    ENGINE: ClassVar = postgresql.ENGINE
    DEFAULT: ClassVar = Database("UTF8", "C.UTF-8")
    GRANTS_OUTLIVE: ClassVar = False
    READ_BACK: ClassVar = of_postgresql.READ_BACK


class SimRedis(WithSimBackups, SimManager):
    """The manager of a Redis: it has root alone."""

    CONNECTIONS: ClassVar = of_redis.CLIENTS
    MANAGER: ClassVar = "redis"
    ENGINE: ClassVar = redis.ENGINE
    READ_BACK: ClassVar = dict.fromkeys((of_redis.MEMORY, of_redis.CLIENTS), 1)
    ALLOCATES: ClassVar = False

    def _fill(self, wanted: arguments.Contents) -> None:
        if wanted.databases or wanted.users:
            raise NotSupported("Redis has neither databases nor users to make")
        super()._fill(wanted)


MANAGERS: Final[dict[str, type[SimManager]]] = {
    "mariadb": SimMariaDB,
    "mysql": SimMariaDB,
    "mysqld": SimMySQL,
    "postgresql": SimPostgreSQL,
    "redis": SimRedis,
}
"""By the names that guests are ordered with."""


def grants_outlive(manager: str) -> bool:
    """Whether a user's grant outlives its database there."""
    kind = MANAGERS[manager]
    return not issubclass(kind, WithContents) or kind.GRANTS_OUTLIVE


class Ordered(Machine, Protocol):
    """A machine that was ordered with a datastore."""

    @property
    def datastore_manager(self) -> str:
        """The name of its manager."""


def manager_of(machine: Ordered, life: int, perform: Perform = directly) -> SimManager:
    """The manager of an agent's life, of the datastore that its machine was ordered with."""
    return MANAGERS[machine.datastore_manager](machine, life, perform)
