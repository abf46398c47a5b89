"""Redis: its facts. It has one user for everybody, its root, and neither names nor schemas.

The databases 0 to 15 of a Redis are neither made nor dropped: they are none of the contract's.
"""

from __future__ import annotations

from typing import ClassVar, Final, NoReturn

from chalicelib.engines.engine import Engine, Part, Rules
from chalicelib.engines.parameter import Scalar

SUPERUSER: Final = "default"
ADMINISTRATOR: Final = "os_admin"
"""The agent's own account, under the name that Trove's agents give theirs."""


class RedisRules(Rules):
    """Nothing of a customer's has a name; what is asked all the same is refused in a sentence."""

    RESERVED_DATABASES: ClassVar = frozenset[str]()
    RESERVED_USERS: ClassVar = frozenset({SUPERUSER, ADMINISTRATOR})

    def database_name(self, name: str) -> NoReturn:
        raise self._refusal("Redis has its databases 0 to 15, and no others.")

    def user_name(self, name: str) -> NoReturn:
        raise self._refusal(f"Redis has the one user '{SUPERUSER}', whom 'root' enables.")

    def host(self, name: str | None) -> NoReturn:
        raise self._refusal("Redis lets nobody in by where they come from.")

    def character_set(self, name: str | None, collation: str | None) -> NoReturn:
        raise self._refusal("Redis keeps bytes, in no character set.")

    def account(self, identifier: str) -> tuple[str, None]:
        return identifier, None


def template(ram_mib: int) -> dict[str, Scalar]:
    """Three fifths of the memory are for data: a child that writes them to the volume shares what
    does not change meanwhile. At the limit writes are refused and nothing is evicted: what was
    stored stays. Two clients for each MiB, Redis's own default at most. What was answered is in the
    append-only file: an RDB that fails, as one of a backup may, is no reason to take no writes.
    """
    return {
        "maxmemory": max(ram_mib * 6 // 10, 32) * 1024**2,
        "maxmemory-policy": "noeviction",
        "maxclients": min(max(ram_mib * 2, 256), 10_000),
        "save": "3600 1 300 100 60 10000",
        "appendfsync": "everysec",
        "stop-writes-on-bgsave-error": False,
    }


ENGINE: Final = Engine(
    name="Redis",
    tcp_ports=(6379,),
    mount_point="/var/lib/redis",
    parts=frozenset({Part.ROOT, Part.UPGRADES, Part.CONFIGURATION, Part.BACKUPS}),
    rules=RedisRules,
    template=template,
    superuser=SUPERUSER,
    os_user="redis",
    series=2,  # the format of its files changes between minor versions
)
