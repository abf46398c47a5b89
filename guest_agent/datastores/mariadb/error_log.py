"""The server's error log: a file it may write, in a folder it may not, so that it stays that file.

What it says is the database user's word: it is read in one bounded piece, and what a customer gets
to see of it names no path of the server.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from guest_agent.datastores.os_user import OsUser
from guest_agent.errors import GuestError
from guest_agent.files import open_folder, open_plain, own_folder

_TAIL_BYTES: Final = 16_384
_LONGEST_SENTENCE: Final = 200
_FIRST_LINE: Final = "Starting MariaDB"
_STAMP: Final = re.compile(r"^\S*\s*[\d:-]*\s+\d+\s+\[ERROR\]\s*|^.*?\[ERROR\]\s*")
_PATH: Final = re.compile(r"['\"]?(?:\.{0,2}/[^\s'\",:;)]+)['\"]?")


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


def first_error(path: Path) -> str | None:
    """What went wrong first since the last start, cleaned: what follows are consequences."""
    text = _tail(path)
    if text is None:
        return None
    lines = text.rsplit(_FIRST_LINE, 1)[-1].splitlines()
    return next((cleaned(line) for line in lines if "[ERROR]" in line), None)


def cleaned(line: str) -> str:
    """A line of a log as part of a sentence for a customer: no time, no path, no odd character."""
    said = _PATH.sub("a file", _STAMP.sub("", line.strip(), count=1))
    return "".join(each for each in said if each.isprintable())[:_LONGEST_SENTENCE].rstrip(". ")


def _tail(path: Path) -> str | None:
    try:
        with open_folder(path.parent) as folder:
            descriptor = open_plain(folder, path.name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as stream:
            stream.seek(max(os.fstat(descriptor).st_size - _TAIL_BYTES, 0))
            return stream.read(_TAIL_BYTES).decode(errors="replace")
    except (GuestError, OSError):
        return None
