"""The guest contract on MariaDB: what all engines do, with its server and its statements."""

from __future__ import annotations

from typing import ClassVar

from guest_agent.datastores.contents import ContentsManager
from guest_agent.datastores.logged import LoggedManager
from guest_agent.datastores.mariadb import accounts, databases, superuser
from guest_agent.datastores.mariadb.copies import MariaDBCopies
from guest_agent.datastores.mariadb.log import MariaDBLog
from guest_agent.datastores.mariadb.server import MariaDBServer
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.mariadb.trial import MariaDBTrial


class MariaDBManager(ContentsManager[Session], LoggedManager[Session]):
    SERVER: ClassVar = MariaDBServer
    COPIES: ClassVar = MariaDBCopies
    LOG: ClassVar = MariaDBLog
    TRIAL: ClassVar = MariaDBTrial
    databases = databases
    accounts = accounts
    superuser = superuser
