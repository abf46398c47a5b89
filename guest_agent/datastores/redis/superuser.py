"""The two users of a Redis: the agent's own, and the customer's, closed until enabled.

The customer's may do everything with data and nothing to the server: it changes no setting, no
account, no file and no other server's data. Both stand in the ACL file in the data directory, which
is rewritten before each start: what an earlier server left in it is one fact, whether the customer
is let in and by which password. Passwords are hashed before they become part of it, so none can be
read as a rule.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from chalicelib.engines.redis import ADMINISTRATOR, SUPERUSER
from guest_agent.datastores.os_user import OsUser
from guest_agent.datastores.redis.layout import ACL_FILE
from guest_agent.datastores.redis.resp import Session
from guest_agent.errors import BadRequest, GuestError
from guest_agent.files import open_folder, open_plain, write_whole

RIGHTS: Final = (
    "~* &* +@all -@admin -@dangerous -acl -cluster -config -debug -module -replicaof -shutdown"
    # @dangerous is also what only takes long, or tells of the customer's own data.
    " +acl|whoami +flushall +flushdb +info +keys +sort +sort_ro +swapdb"
)
_ADMINISTRATOR_RIGHTS: Final = "~* &* +@all"
_KEPT_IN: Final = "redis-administrator"
_MOST_BYTES: Final = 65_536
_MOST_PASSWORD_BYTES: Final = 16_384
"""Redis reads no longer word of somebody who has not logged in yet."""
_HASH: Final = re.compile(r"#([0-9a-f]{64})")
_LOOKED_AT: Final = 100
"""Users that one look puts right; the next one goes on."""


def secret(folder: Path) -> str:
    """The administrator's password, from the agent's state; empty before the first start."""
    try:
        return (folder / _KEPT_IN).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def write_file(data: Path, state: Path, user: OsUser) -> None:
    """Write the ACL file of a server that does not run. Repeating it changes nothing."""
    if not secret(state):
        write_whole(state / _KEPT_IN, secrets.token_urlsafe(32).encode("ascii"))
    lines = [
        f"user {SUPERUSER} {_door(_enabled_by(data))} {RIGHTS}",
        f"user {ADMINISTRATOR} on {_hashed(secret(state))} {_ADMINISTRATOR_RIGHTS}",
    ]
    write_whole(data / ACL_FILE, "".join(f"{line}\n" for line in lines).encode())
    with open_folder(data) as folder:
        descriptor = open_plain(folder, ACL_FILE, os.O_RDONLY)
        try:
            user.own(descriptor, 0o600)
        finally:
            os.close(descriptor)


def secure(session: Session) -> list[str]:
    """Put the accounts right; sentences about what was not. Repeating it changes nothing."""
    said = []
    names = session.ask("ACL", "USERS")
    if not isinstance(names, list):
        raise GuestError("the database does not tell its users")
    known = {SUPERUSER.encode(), ADMINISTRATOR.encode()}
    for name in [each for each in names if isinstance(each, bytes) and each not in known][
        :_LOOKED_AT
    ]:
        text = name.decode(errors="replace")
        session.ask("ACL", "DELUSER", text)
        said.append(f"the account {text!r} was nobody's, and is gone")
    if b"nopass" in _flags(session):
        disable_root(session)
        said.append(f"the account {SUPERUSER!r} had no password, and is closed")
    return said


def root_enabled(session: Session) -> bool:
    """Whether the customer's user may log in."""
    return b"on" in _flags(session)


def enable_root(session: Session, plain: str) -> None:
    """Let it log in; one that may already gets the password, and whoever had the former is out."""
    if not plain:
        raise BadRequest("a password must not be empty")
    if len(_encoded(plain)) > _MOST_PASSWORD_BYTES:
        raise BadRequest(f"a password has {_MOST_PASSWORD_BYTES} bytes at most")
    _set(session, _door(_hashed(plain)))
    session.ask("CLIENT", "KILL", "USER", SUPERUSER)


def disable_root(session: Session) -> None:
    """Let it log in no more, and end its sessions; nothing happens when it may not."""
    _set(session, _door(""))
    session.ask("CLIENT", "KILL", "USER", SUPERUSER)


def _set(session: Session, door: str) -> None:
    """At once, with its rights, and for after a restart; as it was when that cannot be kept."""
    session.ask("ACL", "SETUSER", SUPERUSER, "reset", *door.split(), *RIGHTS.split())
    try:
        session.ask("ACL", "SAVE")
    except GuestError:
        session.ask("ACL", "LOAD")
        raise


def _flags(session: Session) -> list[object]:
    told = session.ask("ACL", "GETUSER", SUPERUSER)
    if isinstance(told, list) and len(told) > 1 and isinstance(told[1], list):
        return list(told[1])
    raise GuestError("the database does not tell of its user")


def _door(hashed: str) -> str:
    """The rules that open it by a password, or close it; never without one."""
    return f"on resetpass {hashed}" if hashed else "off resetpass"


def _hashed(plain: str) -> str:
    return f"#{hashlib.sha256(_encoded(plain)).hexdigest()}"


def _encoded(plain: str) -> bytes:
    try:
        return plain.encode()
    except UnicodeEncodeError:
        raise BadRequest("half of a surrogate pair is no character") from None


def _enabled_by(data: Path) -> str:
    """The hash that the file lets the customer in by; empty when it does not."""
    try:
        with open_folder(data) as folder:
            descriptor = open_plain(folder, ACL_FILE, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            text = stream.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["user", SUPERUSER] and "on" in words[2:]:
            return next((word for word in words if _HASH.fullmatch(word)), "")
    return ""
