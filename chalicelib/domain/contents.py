"""What may stand inside a MySQL or MariaDB server: names of databases and users, hosts, charsets.

The rules are Trove's (`trove.common.db.mysql.models`), so that what it accepts is accepted here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from chalicelib.errors import BadRequest

MAX_DATABASE_NAME: Final = 64
MAX_USER_NAME: Final = 32
MAX_HOST: Final = 255
MAX_PASSWORD: Final = 255
ANY_HOST: Final = "%"

RESERVED_USERS: Final = frozenset({"os_admin", "root", "mysql", "mariadb.sys"})
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
CHARACTER_SETS: Final = re.compile(
    "armscii8|ascii|big5|binary|cp1250|cp1251|cp1256|cp1257|cp850|cp852|"
    "cp866|cp932|dec8|eucjpms|euckr|gb18030|gb2312|gbk|geostd8|greek|"
    "hebrew|hp8|keybcs2|koi8r|koi8u|latin1|latin2|latin5|latin7|macce|"
    "macroman|sjis|swe7|tis620|ucs2|ujis|utf16|utf16le|utf32|utf8|utf8mb3"
    "|utf8mb4"
)
_ALIASES: Final = {"utf8": "utf8mb3"}
_FREE_COLLATION: Final = "uca1400_"  # MariaDB: fits any Unicode character set

_DATABASE: Final = re.compile(r"[A-Za-z0-9_-]+([ ?#@]*[A-Za-z0-9_-]+)?")
_NOT_IN_USER: Final = re.compile(r"""^\s|\s$|['";`,/\\]|[\x00-\x1f\x7f]""")
_HOST: Final = re.compile(r"%?[\w().:/-]*%?", re.ASCII)
_COLLATION: Final = re.compile(r"[a-z0-9_]{1,64}")


def database_name(name: str) -> str:
    """A name that a user may give a database; `BadRequest` otherwise."""
    if name.lower() in RESERVED_DATABASES:
        raise BadRequest(f"'{name}' is a reserved database name.")
    if len(name) > MAX_DATABASE_NAME:
        raise BadRequest(f"A database name has at most {MAX_DATABASE_NAME} characters.")
    if not _DATABASE.fullmatch(name):
        raise BadRequest(
            "A database name is made of letters, digits, '_' and '-', with spaces, '?', '#' or "
            "'@' inside only."
        )
    return name


def user_name(name: str) -> str:
    """A name that a user may give a database user; `BadRequest` otherwise."""
    if name.lower() in RESERVED_USERS:
        raise BadRequest(f"'{name}' is a reserved user name.")
    if not 0 < len(name) <= MAX_USER_NAME:
        raise BadRequest(f"A user name has 1 to {MAX_USER_NAME} characters.")
    if _NOT_IN_USER.search(name):
        raise BadRequest("A user name has no space at its ends and none of ' \" ; ` , / \\ in it.")
    return name


def host(name: str | None) -> str:
    """The host a database user may come from: an address or a pattern with `%` at its ends."""
    if name is None:
        return ANY_HOST
    if not 0 < len(name) <= MAX_HOST or not _HOST.fullmatch(name):
        raise BadRequest("A user's host is a name or an address, with '%' at its ends at most.")
    return name


def password(text: str) -> str:
    """A password that a server takes; messages never repeat it."""
    if not 0 < len(text) <= MAX_PASSWORD or not text.strip():
        raise BadRequest(f"A password has 1 to {MAX_PASSWORD} characters and is not blank.")
    if "\0" in text:
        raise BadRequest("A password has no NUL character in it.")
    return text


def character_set(name: str | None, collation: str | None) -> dict[str, str]:
    """The given ones of `character_set` and `collate`, when they exist and fit each other."""
    chosen: dict[str, str] = {}
    if name is not None:
        if not CHARACTER_SETS.fullmatch(name.lower()):
            raise BadRequest("The database's 'character_set' is not known.")
        chosen["character_set"] = name.lower()
    if collation is not None:
        if not _COLLATION.fullmatch(collation.lower()):
            raise BadRequest("The database's 'collate' is not known.")
        chosen["collate"] = collation.lower()
    if len(chosen) > 1 and not _fit(chosen["character_set"], chosen["collate"]):
        raise BadRequest("The database's 'collate' does not belong to its 'character_set'.")
    return chosen


def _fit(charset: str, collation: str) -> bool:
    if collation.startswith(_FREE_COLLATION):
        return charset.startswith(("utf", "ucs"))
    of_collation = collation.partition("_")[0]
    return _ALIASES.get(of_collation, of_collation) == _ALIASES.get(charset, charset)


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
