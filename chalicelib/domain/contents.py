"""What may stand inside a MySQL or MariaDB server: names of databases and users, hosts, charsets.

The rules are Trove's (`trove.common.db.mysql.models`), so that what it accepts is accepted here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from chalicelib import mariadb
from chalicelib.errors import BadRequest

MAX_USER_NAME: Final = 32
MAX_PASSWORD: Final = 255
ANY_HOST: Final = "%"
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


def database_name(name: str) -> str:
    """A name that a user may give a database; `BadRequest` otherwise."""
    if name.lower() in mariadb.RESERVED_DATABASES:
        raise BadRequest(f"'{name}' is a reserved database name.")
    if len(name) > mariadb.LONGEST_NAME:
        raise BadRequest(f"A database name has at most {mariadb.LONGEST_NAME} characters.")
    if not _DATABASE.fullmatch(name):
        raise BadRequest(
            "A database name is made of letters, digits, '_' and '-', with spaces, '?', '#' or "
            "'@' inside only."
        )
    return name


def user_name(name: str) -> str:
    """A name that a user may give a database user; `BadRequest` otherwise."""
    if name.lower() in mariadb.RESERVED_USERS:
        raise BadRequest(f"'{name}' is a reserved user name.")
    if not 0 < len(name) <= MAX_USER_NAME:
        raise BadRequest(f"A user name has 1 to {MAX_USER_NAME} characters.")
    if max(name) > LAST_OF_BMP:
        raise BadRequest("A user name has no characters beyond U+FFFF: MariaDB keeps none there.")
    if _NOT_IN_USER.search(name):
        raise BadRequest("A user name has no space at its ends and none of ' \" ; ` , / \\ in it.")
    return name


def grantable(name: str) -> str:
    """The name of a database that a user may be let into; `BadRequest` otherwise.

    A grant names a pattern, in which `_` is written `\\_`; it has the length of a name too.
    """
    database_name(name)
    if len(name) + name.count("_") > mariadb.LONGEST_NAME:
        raise BadRequest(
            f"Access to the database '{name}' cannot be granted: with each '_' counted twice, its "
            f"name has more than {mariadb.LONGEST_NAME} characters."
        )
    return name


def host(name: str | None) -> str:
    """Where a database user may come from; `BadRequest` for what no client can ever match.

    The server compares the client's address as text and looks no names up (`skip_name_resolve`).
    A netmask would match, but its slash cannot stand in the path that shows or deletes the user.
    """
    if name is None:
        return ANY_HOST
    if not _HOST.fullmatch(name) or name.count(".") > _DOTS:
        raise BadRequest(
            "A user's host is an IPv4 address, or a part of one with '%' at its ends for the rest: "
            "'10.1.%' for the network 10.1.0.0/16, '%' for every address. Names are not looked up."
        )
    return name


def password(text: str) -> str:
    """A password that a server takes; messages never repeat it."""
    if not 0 < len(text) <= MAX_PASSWORD or not text.strip():
        raise BadRequest(f"A password has 1 to {MAX_PASSWORD} characters and is not blank.")
    if "\0" in text:
        raise BadRequest("A password has no NUL character in it.")
    return text


def character_set(name: str | None, collation: str | None) -> dict[str, str]:
    """The given ones of `character_set` and `collate`, when the server has them and they fit."""
    chosen: dict[str, str] = {}
    if name is not None:
        if not (known := mariadb.character_set(name)):
            raise BadRequest(f"MariaDB has no character set '{name[:64]}' ('character_set').")
        chosen["character_set"] = known
    if collation is not None:
        if not (known := mariadb.collation(collation)):
            raise BadRequest(
                f"MariaDB has no collation '{collation[:64]}' ('collate'); for MySQL's "
                "'utf8mb4_0900_ai_ci' it has 'utf8mb4_uca1400_ai_ci'."
            )
        chosen["collate"] = known
    if len(chosen) > 1 and not mariadb.fit(chosen["character_set"], chosen["collate"]):
        raise BadRequest("The database's 'collate' does not belong to its 'character_set'.")
    return chosen


def user_and_host(identifier: str) -> tuple[str, str]:
    """The two halves of `name@host`, as in a path, a link or a marker; no host is any host."""
    name, at, host_name = identifier.rpartition("@")
    if not at or not host_name:
        return identifier.removesuffix("@") if at else identifier, ANY_HOST
    return name, host_name


def require_distinct(keys: Iterable[tuple[str, ...]], message: str) -> None:
    """Refuse a list in which two items share their key."""
    known: set[tuple[str, ...]] = set()
    for key in keys:
        if key in known:
            raise BadRequest(message)
        known.add(key)


def require_listed(user: str, wanted: Iterable[str], databases: Collection[str]) -> None:
    """Refuse an initial user with access to a database that is not in the initial list."""
    for name in wanted:
        if name not in databases:
            raise BadRequest(
                f"The request indicates that user {user} should have access to database {name}, "
                f"but database {name} is not included in the initial databases list."
            )
