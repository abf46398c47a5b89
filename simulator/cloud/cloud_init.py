"""What a guest image's first boot does here: `write_files` of the user data, and its users.

Only `write_files` of `#cloud-config` is applied; the supervision that the guest image would leave
to systemd is the hypervisor's.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

HEADER = b"#cloud-config"
DEFAULT_MODE = 0o644
USERS = ("mysql", "postgres", "redis")


class UserDataError(ValueError):
    """The user data is not what cloud-init would take."""


def write_users(root: Path, number: int) -> None:
    """What an image's packages would have made: the users that databases run as."""
    lines = [f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin" for name in USERS]
    (root / "etc").mkdir(exist_ok=True)
    _write(root / "etc/passwd", "\n".join([*lines, ""]).encode(), DEFAULT_MODE)


def files_of(user_data: bytes) -> dict[str, bytes]:
    """The files that the `write_files` of a `#cloud-config` would write, by path."""
    return {str(entry["path"]): _content(entry) for entry in _entries(user_data)}


def write_files(root: Path, user_data: bytes) -> None:
    """Apply the `write_files` of a `#cloud-config` below `root`; other user data has no effect."""
    for entry in _entries(user_data):
        target = _below(root, str(entry["path"]))
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = int(str(entry.get("permissions", oct(DEFAULT_MODE))).removeprefix("0o"), 8)
        _write(target, _content(entry), mode, append=bool(entry.get("append", False)))


def _entries(user_data: bytes) -> list[dict[str, Any]]:
    first, _, rest = user_data.partition(b"\n")
    if first.strip() != HEADER:
        return []
    document = _parse(rest)
    entries = document.get("write_files") or []
    if not isinstance(entries, list):
        raise UserDataError("write_files is not a list")
    for entry in entries:
        if not isinstance(entry, dict) or "path" not in entry:
            raise UserDataError("an entry of write_files has no path")
    return entries


def _parse(text: bytes) -> dict[str, Any]:
    """JSON when it is JSON, which is the common case and quicker; YAML otherwise."""
    try:
        document = json.loads(text)
    except ValueError:
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            # The error's own text quotes the document, which may hold secrets.
            raise UserDataError("the user data is not valid YAML") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UserDataError("the user data is not a mapping")
    return document


def _content(entry: dict[str, Any]) -> bytes:
    content = entry.get("content", "")
    raw = content if isinstance(content, bytes) else str(content).encode()
    encoding = str(entry.get("encoding", "")).lower()
    if encoding in ("b64", "base64", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64"):
        raw = base64.b64decode(raw)
    if encoding.startswith(("gz", "gzip")):
        raw = gzip.decompress(raw)
    return raw


def _below(root: Path, path: str) -> Path:
    """The path inside the guest's root; `..` cannot lead out of it."""
    inside = os.path.normpath("/" + path.lstrip("/"))
    return root / PurePosixPath(inside).relative_to("/")


def _write(path: Path, content: bytes, mode: int, *, append: bool = False) -> None:
    """Write with the mode from the first byte on, so that a secret is never readable to others."""
    how = os.O_APPEND if append else os.O_TRUNC
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
