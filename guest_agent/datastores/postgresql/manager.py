"""The guest contract on PostgreSQL: what all engines do, with its server and its statements."""

from __future__ import annotations

from typing import ClassVar

from guest_agent.datastores.contents import ContentsManager
from guest_agent.datastores.logged import LoggedManager
from guest_agent.datastores.postgresql import accounts, databases, superuser
from guest_agent.datastores.postgresql.copies import PostgreSQLCopies
from guest_agent.datastores.postgresql.log import PostgreSQLLog
from guest_agent.datastores.postgresql.server import PostgreSQLServer
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.datastores.postgresql.trial import PostgreSQLTrial


class PostgreSQLManager(ContentsManager[Session], LoggedManager[Session]):
    SERVER: ClassVar = PostgreSQLServer
    COPIES: ClassVar = PostgreSQLCopies
    LOG: ClassVar = PostgreSQLLog
    TRIAL: ClassVar = PostgreSQLTrial
    databases = databases
    accounts = accounts
    superuser = superuser
