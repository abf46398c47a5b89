"""One folder per datastore, each with one implementation of the guest contract."""

from __future__ import annotations

from guest_agent.config import GuestConfig
from guest_agent.errors import ConfigurationMissing
from guest_agent.manager import Manager


def manager(guest: GuestConfig) -> Manager:
    """The manager this guest was ordered to run; `ConfigurationMissing` for an unknown name."""
    match guest.agent.datastore_manager:
        case "mariadb" | "mysql":
            from guest_agent.datastores.mariadb.manager import MariaDBManager

            return MariaDBManager(guest)
        case "mysqld":
            from guest_agent.datastores.mysql.manager import MySQLManager

            return MySQLManager(guest)
        case "postgresql":
            from guest_agent.datastores.postgresql.manager import PostgreSQLManager

            return PostgreSQLManager(guest)
        case "redis":
            from guest_agent.datastores.redis.manager import RedisManager

            return RedisManager(guest)
        case name:
            raise ConfigurationMissing(f"this agent has no manager for the datastore {name!r}")
