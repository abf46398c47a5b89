"""Files of the agent: whole or absent whatever dies, and never reached through another's link.

The agent is root and shares folders with the unprivileged user of a database, who may put a link in
the place of anything it owns. So what is given away is a descriptor, never a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from guest_agent.errors import GuestError

_PRIVATE: Final = 0o600
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: Path, content: bytes, mode: int = _PRIVATE) -> None:
    """Write durably beside the file and rename over it: a reader sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    # One that a former run left is removed, not opened: it might be a link by now.
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames inside a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """The descriptor of a folder; `GuestError` when a link or a file stands in its place."""
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        raise GuestError(
            f"{path.name!r} is not the folder it should be ({error.strerror})"
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def own_folder(path: Path, mode: int) -> Iterator[int]:
    """The descriptor of a folder that only the agent may change; made, or taken from who has it.

    A package, or a volume that another server had, may have made it for somebody else. Raises
    `GuestError` when a link or a file stands in its place.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=mode, parents=True)
    with open_folder(path) as folder:
        os.fchown(folder, os.geteuid(), os.getegid())
        os.fchmod(folder, mode)
        yield folder


def open_plain(folder: int, name: str, flags: int, mode: int = _PRIVATE) -> int:
    """The descriptor of a file in a folder: never a link, a device, or a file with other names.

    A second name (a hard link) would let a user have a file of somebody else given to it. Raises
    `OSError`.
    """
    descriptor = os.open(
        name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=folder
    )
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise FileExistsError(f"{name} is not a plain file")
    return descriptor


def write_changed(texts: Mapping[Path, str], mode: int) -> bool:
    """Write those files that say something else now; whether any did."""
    changed = False
    for path, text in texts.items():
        content = text.encode()
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content, mode=mode)
            changed = True
    return changed
