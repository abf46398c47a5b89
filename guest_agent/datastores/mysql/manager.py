"""The guest contract on MySQL: what all engines do, with its server and its statements.

It makes no backups: the tool for them is another vendor's, and no Debian has it.
"""

from __future__ import annotations

from typing import ClassVar

from guest_agent.datastores.contents import ContentsManager
from guest_agent.datastores.mariadb import accounts, databases
from guest_agent.datastores.mysql import superuser
from guest_agent.datastores.mysql.server import MySQLServer
from guest_agent.datastores.mysql.sql import Session


class MySQLManager(ContentsManager[Session]):
    SERVER: ClassVar = MySQLServer
    databases = databases
    accounts = accounts
    superuser = superuser
