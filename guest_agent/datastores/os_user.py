"""The unprivileged operating system user that a database server runs as."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import Any, NamedTuple

from guest_agent.errors import GuestError


class OsUser(NamedTuple):
    """A user and whether the agent has to switch to it (only root can)."""

    name: str
    uid: int
    gid: int
    switch: bool

    def child_options(self) -> dict[str, Any]:
        """Options of `subprocess.Popen` that start a child as this user."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path, mode: int) -> None:
        """Give a file or directory to this user."""
        path.chmod(mode)
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def make_folder(self, path: Path) -> Path:
        """A private directory of this user."""
        path.mkdir(parents=True, exist_ok=True)
        self.own(path, 0o700)
        return path

    def check_can_reach(self, path: Path) -> None:
        """`GuestError` naming the directory that keeps this user from getting to a path."""
        if not self.switch:
            return
        for parent in reversed(path.resolve().parents):
            found = parent.stat()
            needed = (
                stat.S_IXUSR
                if found.st_uid == self.uid
                else stat.S_IXGRP
                if found.st_gid == self.gid
                else stat.S_IXOTH
            )
            if not found.st_mode & needed:
                raise GuestError(
                    f"the operating system user {self.name!r} cannot reach {path}: {parent} gives "
                    "it no search permission (chmod o+x)"
                )


def database_user(name: str) -> OsUser:
    """The user to run the database as: `name` when the agent is root, else the agent's own user."""
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return OsUser(own.pw_name, own.pw_uid, own.pw_gid, switch=False)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise GuestError(
            f"the operating system has no user {name!r} to run the database as; create it with "
            f"'useradd --system --no-create-home {name}'"
        ) from None
    if entry.pw_uid == 0:
        raise GuestError(f"the database does not run as {name!r}: it is the superuser")
    return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
