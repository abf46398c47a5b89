"""The guest contract on Redis: what all engines do, with its server and its one user."""

from __future__ import annotations

from typing import ClassVar

from chalicelib.bus.contract import arguments
from guest_agent.datastores.backups import BackupsManager
from guest_agent.datastores.contents import RootManager
from guest_agent.datastores.redis import superuser
from guest_agent.datastores.redis.copies import RedisCopies
from guest_agent.datastores.redis.resp import Session
from guest_agent.datastores.redis.server import RedisServer
from guest_agent.datastores.redis.trial import RedisTrial
from guest_agent.errors import NotSupported


class RedisManager(RootManager[Session], BackupsManager[Session]):
    SERVER: ClassVar = RedisServer
    COPIES: ClassVar = RedisCopies
    TRIAL: ClassVar = RedisTrial
    superuser = superuser

    def _fill(self, session: Session, wanted: arguments.Contents) -> None:
        if wanted.databases or wanted.users:
            raise NotSupported("Redis has neither databases nor users to make")
        super()._fill(session, wanted)
