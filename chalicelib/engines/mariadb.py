"""MariaDB, which serves MySQL's clients too: its facts, and the rules of what stands inside it.

The rules are Trove's (`trove.common.db.mysql.models`), so that what it accepts is accepted here,
and what MariaDB itself fixes: the guest and the simulator keep to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol

from chalicelib.engines import mariadb_charsets, positions
from chalicelib.engines.engine import ANY_HOST, Engine, Part, Rules
from chalicelib.engines.parameter import Scalar

MIB: Final = 1024**2
LONGEST_NAME: Final = 64
"""Characters of a database's name, and of the pattern that stands for it in a grant."""
BACKUP_USER: Final = "coffer_backup"
"""Whom the guest makes for the time of a backup."""
RESERVED_USERS: Final = frozenset({"os_admin", "root", "mysql", "mariadb.sys", BACKUP_USER})
"""Accounts of the system, and the name that Trove's agents gave theirs."""
RESERVED_DATABASES: Final = frozenset(
    {
        "mysql",
        "information_schema",
        "performance_schema",
        "sys",
        "lost+found",
        "#mysql50#lost+found",
    }
)
MAX_USER_NAME: Final = 32
LAST_OF_BMP: Final = "\uffff"

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_HOST: Final = re.compile(
    rf"{_OCTET}(?:\.{_OCTET}){{3}}"  # an address
    rf"|(?:{_OCTET}\.){{0,3}}{_OCTET}?%"  # how it begins; '%' alone is any
    rf"|%(?:\d{{0,2}}|{_OCTET})(?:\.{_OCTET}){{0,3}}"  # how it ends
    rf"|%(?:\d{{0,2}}|{_OCTET})(?:\.{_OCTET}){{0,3}}\.?%",  # what is in it
    re.ASCII,
)
_DOTS: Final = 3
_DATABASE: Final = re.compile(r"[A-Za-z0-9_-]+([ ?#@]*[A-Za-z0-9_-]+)?")
_NOT_IN_USER: Final = re.compile(r"""^\s|\s$|['";`,/\\]|[\x00-\x1f\x7f]""")


class Charsets(Protocol):
    """What a server has of them; `mariadb_charsets` says more."""

    def character_set(self, name: str) -> str | None:
        """The character set of that name."""

    def collation(self, name: str) -> str | None:
        """The collation of that name."""

    def fit(self, charset: str, collate: str) -> bool:
        """Whether a known collation belongs to a known character set."""


class MariaDBRules(Rules):
    """A user is a name and a host; a grant names a pattern."""

    RESERVED_DATABASES: ClassVar = RESERVED_DATABASES
    RESERVED_USERS: ClassVar = RESERVED_USERS
    NAME: ClassVar = "MariaDB"
    CHARSETS: ClassVar[Charsets] = mariadb_charsets
    HINT: ClassVar = "; for MySQL's 'utf8mb4_0900_ai_ci' it has 'utf8mb4_uca1400_ai_ci'"
    """Behind the refusal of a collation."""

    def database_name(self, name: str) -> str:
        if name.lower() in RESERVED_DATABASES:
            raise self._refusal(f"'{name}' is a reserved database name.")
        if len(name) > LONGEST_NAME:
            raise self._refusal(f"A database name has at most {LONGEST_NAME} characters.")
        if not _DATABASE.fullmatch(name):
            raise self._refusal(
                "A database name is made of letters, digits, '_' and '-', with spaces, '?', '#' or "
                "'@' inside only."
            )
        return name

    def user_name(self, name: str) -> str:
        if name.lower() in self.RESERVED_USERS:
            raise self._refusal(f"'{name}' is a reserved user name.")
        if not 0 < len(name) <= MAX_USER_NAME:
            raise self._refusal(f"A user name has 1 to {MAX_USER_NAME} characters.")
        if max(name) > LAST_OF_BMP:
            raise self._refusal(
                f"A user name has no characters beyond U+FFFF: {self.NAME} keeps none there."
            )
        if _NOT_IN_USER.search(name):
            raise self._refusal(
                "A user name has no space at its ends and none of ' \" ; ` , / \\ in it."
            )
        return name

    def grantable(self, name: str) -> str:
        """A grant names a pattern, in which `_` is written `\\_`; it has the length of a name."""
        self.database_name(name)
        if len(name) + name.count("_") > LONGEST_NAME:
            raise self._refusal(
                f"Access to the database '{name}' cannot be granted: with each '_' counted twice, "
                f"its name has more than {LONGEST_NAME} characters."
            )
        return name

    def host(self, name: str | None) -> str:
        """Any host without one; refused is what no client can ever match.

        The server compares the client's address as text and looks no names up
        (`skip_name_resolve`). A netmask would match, but its slash cannot stand in the path that
        shows or deletes the user.
        """
        if name is None:
            return ANY_HOST
        if not _HOST.fullmatch(name) or name.count(".") > _DOTS:
            raise self._refusal(
                "A user's host is an IPv4 address, or a part of one with '%' at its ends for the "
                "rest: '10.1.%' for the network 10.1.0.0/16, '%' for every address. Names are not "
                "looked up."
            )
        return name

    def character_set(self, name: str | None, collation: str | None) -> dict[str, str]:
        charsets, chosen = self.CHARSETS, dict[str, str]()
        if name is not None:
            if not (known := charsets.character_set(name)):
                raise self._refusal(
                    f"{self.NAME} has no character set '{name[:64]}' ('character_set')."
                )
            chosen["character_set"] = known
        if collation is not None:
            if not (known := charsets.collation(collation)):
                raise self._refusal(
                    f"{self.NAME} has no collation '{collation[:64]}' ('collate'){self.HINT}."
                )
            chosen["collate"] = known
        if len(chosen) > 1 and not charsets.fit(chosen["character_set"], chosen["collate"]):
            raise self._refusal("The database's 'collate' does not belong to its 'character_set'.")
        return chosen

    def together(self, values: Mapping[str, Scalar]) -> None:
        """A server whose collation is not of its character set does not start."""
        name, collation = values.get("character_set_server"), values.get("collation_server")
        if name is None and collation is None:
            return
        if name is None or collation is None:
            raise self._refusal(
                "The configuration parameters character_set_server and collation_server are set "
                "together."
            )
        self.character_set(str(name), str(collation))

    def account(self, identifier: str) -> tuple[str, str]:
        """The two halves of `name@host`; no host is any host."""
        name, at, host_name = identifier.rpartition("@")
        if not at or not host_name:
            return identifier.removesuffix("@") if at else identifier, ANY_HOST
        return name, host_name


def template(ram_mib: int) -> dict[str, Scalar]:
    """The MariaDB manual's advice for a server that does nothing else, with room left for
    connections and the agent on the smallest flavors; `max_connections` as Trove has it.
    """
    share = 0.40 if ram_mib <= 1024 else 0.50 if ram_mib <= 4096 else 0.65
    pool_mib = max(int(ram_mib * share), 64)
    connections = min(max(ram_mib * 100 // 512, 50), 10_000)
    return {
        "character_set_server": "utf8mb4",
        "collation_server": "utf8mb4_general_ci",
        "innodb_buffer_pool_size": pool_mib * MIB,
        # A quarter of the pool, so that a checkpoint is not forced early.
        "innodb_log_file_size": min(max(pool_mib // 4, 16), 1024) * MIB,
        "key_buffer_size": 8 * MIB,
        "max_connections": connections,
        "table_open_cache": min(max(connections * 4, 400), 10_000),
        "thread_cache_size": min(8 + connections // 100, 100),
    }


ENGINE: Final = Engine(
    name="MariaDB",
    tcp_ports=(3306,),
    mount_point="/var/lib/mysql",
    parts=frozenset(Part) - {Part.SERVER},
    rules=MariaDBRules,
    template=template,
    series=2,  # 10.11 and 11.4 are major releases of MariaDB
    incremental_backups=True,
    imports=True,
    snapshots=True,
    log="innodb_log_file_size",
    moment_ms=1000,  # the header of an event has seconds
    positions=positions.GTID,
)
