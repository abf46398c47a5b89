"""PostgreSQL: its facts, and the rules of what stands inside it.

Names are any text that its catalogs hold: 63 bytes of UTF-8. What cannot stand in a path of the
API (a slash, a dot alone) is refused with what PostgreSQL itself reserves.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from chalicelib.engines import positions
from chalicelib.engines.engine import ANY_HOST, Engine, Part, Rules
from chalicelib.engines.parameter import Scalar

LONGEST_NAME: Final = 63
"""Bytes of a name (NAMEDATALEN - 1)."""
SUPERUSER: Final = "root"
"""Trove's; `postgres` is nobody here, and stays so."""
ADMINISTRATOR: Final = "os_admin"
"""The agent's own account, under the name that Trove's agents give theirs."""
GROUP: Final = "coffer_db_"
"""How the role of those begins who may use a database; its number follows."""
RESERVED_USERS: Final = frozenset({SUPERUSER, ADMINISTRATOR, "postgres", "public", "none"})
RESERVED_DATABASES: Final = frozenset({"postgres", "template0", "template1"})
RESERVED_PREFIXES: Final = ("pg_", GROUP)

_NOT_IN_NAME: Final = re.compile(r"^\s|\s$|[/\x00-\x1f\x7f]|^\.\.?$")
_ENCODINGS: Final = (
    "EUC_CN EUC_JP EUC_JIS_2004 EUC_KR EUC_TW ISO_8859_5 ISO_8859_6 ISO_8859_7 ISO_8859_8 KOI8R "
    "KOI8U LATIN1 LATIN2 LATIN3 LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 SQL_ASCII UTF8 "
    "WIN866 WIN874 WIN1250 WIN1251 WIN1252 WIN1253 WIN1254 WIN1255 WIN1256 WIN1257 WIN1258"
)
ENCODINGS: Final = {re.sub("[^a-z0-9]", "", each.lower()): each for each in _ENCODINGS.split()}
"""Those that a server can keep a database in, by their names as PostgreSQL compares them."""
_ALIASES: Final = {"unicode": "UTF8", "utf8mb4": "UTF8"}
_LOCALE: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
EVERYWHERE: Final = frozenset({"C", "POSIX"})
"""Collations that fit every encoding."""
UTF8_ONLY: Final = "C.UTF-8"


class PostgreSQLRules(Rules):
    """Users are roles: they have no hosts, and the name alone is the user."""

    RESERVED_DATABASES: ClassVar = RESERVED_DATABASES
    RESERVED_USERS: ClassVar = RESERVED_USERS

    def database_name(self, name: str) -> str:
        return self._name(name, "database", RESERVED_DATABASES)

    def user_name(self, name: str) -> str:
        return self._name(name, "user", RESERVED_USERS)

    def host(self, name: str | None) -> None:
        if name not in (None, ANY_HOST):
            raise self._refusal(
                "PostgreSQL's users have no host of their own: leave it out, or give '%'. Which "
                "networks reach the database is the instance's 'access'."
            )

    def character_set(self, name: str | None, collation: str | None) -> dict[str, str]:
        """The encoding, and the locale that sorts; a guest knows which locales it has."""
        chosen: dict[str, str] = {}
        if name is not None:
            plain = re.sub("[^a-z0-9]", "", name.lower())
            known = ENCODINGS.get(plain) or _ALIASES.get(plain)
            if known is None:
                raise self._refusal(
                    f"PostgreSQL keeps no database in the encoding '{name[:64]}' ('character_set')."
                )
            chosen["character_set"] = known
        if collation is not None:
            if not _LOCALE.fullmatch(collation):
                raise self._refusal(
                    f"PostgreSQL has no collation '{collation[:64]}' ('collate'); it has 'C', "
                    "'C.UTF-8' and the locales of its server."
                )
            chosen["collate"] = collation
        if chosen.get("collate") == UTF8_ONLY and chosen.get("character_set", "UTF8") != "UTF8":
            raise self._refusal("The database's 'collate' does not belong to its 'character_set'.")
        return chosen

    def account(self, identifier: str) -> tuple[str, None]:
        """The name; what clients put behind it for any host is left out."""
        return identifier.removesuffix(f"@{ANY_HOST}"), None

    def _name(self, name: str, kind: str, reserved: frozenset[str]) -> str:
        if name.lower() in reserved or name.lower().startswith(RESERVED_PREFIXES):
            raise self._refusal(f"'{name}' is a reserved {kind} name.")
        if not 0 < len(name.encode(errors="replace")) <= LONGEST_NAME:
            raise self._refusal(f"A {kind} name has 1 to {LONGEST_NAME} bytes in UTF-8.")
        if _NOT_IN_NAME.search(name):
            raise self._refusal(
                f"A {kind} name has no space at its ends, and no '/' and no control character in "
                "it."
            )
        return name


BLOCKS_A_MIB: Final = 128
"""Of 8 KiB, in which PostgreSQL counts its buffers."""


def template(ram_mib: int) -> dict[str, Scalar]:
    """A quarter of the memory for shared buffers, as the PostgreSQL manual has it, with room left
    for the kernel's cache and for connections, each of which is a process.
    """
    connections = min(max(ram_mib // 8, 25), 1000)
    return {
        "shared_buffers": min(max(ram_mib // 4, 64), 16_384) * BLOCKS_A_MIB,
        "effective_cache_size": ram_mib * 6 // 10 * BLOCKS_A_MIB,
        "maintenance_work_mem": min(max(ram_mib // 16, 32), 1024) * 1024,
        "work_mem": min(max(ram_mib * 1024 // (4 * connections), 1024), 65_536),
        "max_connections": connections,
        "max_wal_size": 256,
    }


ENGINE: Final = Engine(
    name="PostgreSQL",
    tcp_ports=(5432,),
    mount_point="/var/lib/postgresql",
    parts=frozenset(Part) - {Part.SERVER},
    incremental_backups=True,
    imports=True,
    snapshots=True,
    rules=PostgreSQLRules,
    template=template,
    superuser=SUPERUSER,
    os_user="postgres",
    positions=positions.LSN,
)
