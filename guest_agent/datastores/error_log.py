"""The server's error log: a file it may write, in a folder it may not, so that it stays that file.

What it says is the database user's word: it is read in one bounded piece, and what a customer gets
to see of it names no path of the server.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain, own_folder

_TAIL_BYTES: Final = 16_384
_LONGEST_SENTENCE: Final = 200
_PATH: Final = re.compile(r"['\"]?(?:\.{0,2}/[^\s'\",:;)]+)['\"]?")


class ErrorLog(NamedTuple):
    """Where it is and how its engine writes: `started` stands in the first line of a start, `error`
    matches a line that tells an error, up to what it tells, and `damage` one that tells of data
    which cannot be right.
    """

    path: Path
    started: str
    error: re.Pattern[str]
    damage: re.Pattern[str]

    def first_error(self) -> str | None:
        """What went wrong first since the last start, cleaned: what follows are consequences."""
        return self.first_of(self._since_start())

    def last_line(self) -> str | None:
        """What it has said last since then, cleaned."""
        lines = self._since_start().split("\n", 1)[-1].split("\n")
        return next((self.cleaned(line) for line in reversed(lines) if line.strip()), None)

    def first_damage(self) -> str | None:
        """The first line since then that tells of damaged data, cleaned."""
        lines = self._since_start().splitlines()
        return next((self.cleaned(line) for line in lines if self.damage.search(line)), None)

    def size(self) -> int:
        """How many bytes it has, so that one that says nothing new is not read."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def _since_start(self) -> str:
        return (_tail(self.path) or "").rsplit(self.started, 1)[-1]

    def first_of(self, text: str) -> str | None:
        """The first error that a text tells, cleaned."""
        lines = text.splitlines()
        return next((self.cleaned(line) for line in lines if self.error.match(line.strip())), None)

    def cleaned(self, line: str) -> str:
        """A line as part of a sentence for a customer: no time, no path, no odd character."""
        return without_paths(self.error.sub("", line.strip(), count=1))


def without_paths(line: str) -> str:
    """What a program has said as part of a sentence: no path, no odd character, not too long."""
    said = _PATH.sub("a file", line)
    return "".join(each for each in said if each.isprintable())[:_LONGEST_SENTENCE].rstrip(". ")


def open_for(path: Path, user: OsUser) -> int:
    """A descriptor to append with; the file is the user's, the folder the agent's."""
    with own_folder(path.parent, 0o755) as folder:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            descriptor = open_plain(folder, path.name, flags)
        except OSError:  # a link, a pipe, a file with a second name: none that was made here
            os.unlink(path.name, dir_fd=folder)
            descriptor = open_plain(folder, path.name, flags | os.O_EXCL)
    user.own(descriptor, 0o640)
    return descriptor


def _tail(path: Path) -> str | None:
    try:
        with open_folder(path.parent) as folder:
            descriptor = open_plain(folder, path.name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            stream.seek(max(os.fstat(descriptor).st_size - _TAIL_BYTES, 0))
            return stream.read(_TAIL_BYTES).decode(errors="replace")
    except (GuestError, OSError):
        return None
