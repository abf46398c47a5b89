"""The unprivileged operating system user that a database server runs as."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import stat
from pathlib import Path
from typing import Any, Final, NamedTuple

from guest_agent.errors import GuestError
from guest_agent.files import open_folder

_PASSWD_FIELDS: Final = 7
_log = logging.getLogger(__name__)


class OsUser(NamedTuple):
    """A user and whether the agent has to switch to it (only root can)."""

    name: str
    uid: int
    gid: int
    switch: bool
    alone: bool = False
    """This guest's, and nobody else's on the kernel: its own disk names it."""

    def child_options(self) -> dict[str, Any]:
        """Options of `subprocess.Popen` that start a child as this user."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, descriptor: int, mode: int) -> None:
        """Give an open file or directory to this user; a path could lead elsewhere by now."""
        os.fchmod(descriptor, mode)
        if self.switch:
            os.fchown(descriptor, self.uid, self.gid)

    def take_over(self, path: Path) -> None:
        """Give a whole tree to this user, when it was another's: a server that was rebuilt."""
        with open_folder(path) as top:
            if not self.switch or os.fstat(top).st_uid == self.uid:
                return
            for _, folders, names, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                for name in (*folders, *names):
                    os.chown(name, self.uid, self.gid, dir_fd=folder, follow_symlinks=False)
            os.fchown(top, self.uid, self.gid)  # last: it says that all below is done

    def make_folder(self, path: Path) -> Path:
        """A private directory of this user; `GuestError` when something else stands there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        with open_folder(path) as folder:
            self.own(folder, 0o700)
        return path

    def check_can_reach(self, path: Path) -> None:
        """`GuestError` when a directory keeps this user from a path; the log names it."""
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
                _log.error("%s gives %r no search permission for %s.", parent, self.name, path)
                raise GuestError(
                    f"the operating system user {self.name!r} cannot reach its data: a folder on "
                    "the way gives it no search permission (chmod o+x; the agent's log names it)"
                )


def agent_account() -> str:
    """The name of the agent's own operating system user, who is the database's administrator."""
    return "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def own_user() -> OsUser:
    """The agent's own, for what only speaks to a database."""
    return OsUser(agent_account(), os.geteuid(), os.getegid(), switch=False)


def database_user(name: str, root: Path) -> OsUser:
    """The user to run the database as: `name` when the agent is root, else the agent's own user.

    A server knows its users by the `etc/passwd` below its root directory. On a host where several
    servers share one kernel each has its own, and so a number of its own; where there is none the
    system's own is asked.
    """
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid())
        return OsUser(own.pw_name, own.pw_uid, own.pw_gid, switch=False)
    found = _ids_in(root / "etc/passwd", name)
    alone = found is not None
    if found is None:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise GuestError(
                f"the operating system has no user {name!r} to run the database as; create it with "
                f"'useradd --system --no-create-home {name}'"
            ) from None
        found = entry.pw_uid, entry.pw_gid
    if found[0] == 0:
        raise GuestError(f"the database does not run as {name!r}: it is the superuser")
    return OsUser(name, *found, switch=True, alone=alone)


def _ids_in(passwd: Path, name: str) -> tuple[int, int] | None:
    """The numbers of a user and its group in a passwd(5) file; None when it is not there."""
    try:
        lines = passwd.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        fields = line.split(":")
        if fields[0] == name and len(fields) == _PASSWD_FIELDS:
            return int(fields[2]), int(fields[3])
    return None
