"""The root disk of a guest: what its agent keeps there. It survives a reboot and not a rebuild."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib import aws
from guest_agent.errors import JournalUnusable
from guest_agent.identity import AHEAD_MS
from guest_agent.journal import Entry

Check = Callable[[], None]
"""Called at each touch: a process that died may touch nothing any more."""

_entries: Final = msgspec.json.Decoder(Entry)


class Disk:
    """The agent's files. `key` are the bytes of its private key; entries are lines of `journal`."""

    __slots__ = (
        "at_boot",
        "damaged",
        "enrolled_generation",
        "full",
        "issued_at_ms",
        "journal",
        "key",
        "lost_before",
        "prepared",
        "stopped",
    )

    def __init__(self, seed: int, server_id: str, number: int) -> None:
        """`number` counts the disks that the server has had: each makes another key."""
        self.key = hashlib.sha256(f"{seed}/guest key/{server_id}/{number}".encode()).digest()
        self.enrolled_generation = 0
        self.issued_at_ms = 0
        self.journal = b""
        self.lost_before = 0.0
        self.damaged = False
        self.full = False
        self.prepared = False
        self.stopped = False
        self.at_boot = True

    def tear_journal(self) -> None:
        """Lose the entry that was written last, as a tail that never reached the disk."""
        kept = self.journal.rstrip(b"\n").rpartition(b"\n")[0]
        self.journal = kept + b"\n" if kept else b""

    def damage_journal(self) -> None:
        """Let the next start find a journal that cannot be read."""
        self.damaged = True


class SimJournal:
    """`guest_agent.journal.JournalStore` on a simulated disk."""

    __slots__ = ("_check", "_disk", "lost_before")

    def __init__(self, disk: Disk, check: Check) -> None:
        self._disk = disk
        self._check = check
        if disk.damaged:  # set aside, as the real store does it
            disk.damaged = False
            disk.journal = b""
            disk.lost_before = aws.clock()
        self.lost_before = disk.lost_before

    def get(self, command_id: str) -> Entry | None:
        self._check()
        line = next((line for line in self._lines() if _is_of(line, command_id)), None)
        return _entries.decode(line) if line is not None else None

    def put(self, entry: Entry) -> None:
        self._writable()
        kept = [line for line in self._lines() if not _is_of(line, entry.id)]
        self._disk.journal = b"\n".join([*kept, msgspec.json.encode(entry), b""])

    def prune(self, expired_before: float) -> None:
        self._writable()
        lines = self._lines()
        kept = [line for line in lines if _entries.decode(line).expires_at >= expired_before]
        self._disk.journal = b"\n".join([*kept, b""]) if kept else b""

    def _writable(self) -> None:
        self._check()
        if self._disk.full:
            raise JournalUnusable("The journal failed: database or disk is full.")

    def _lines(self) -> list[bytes]:
        return self._disk.journal.splitlines()


class SimIdentity:
    """`guest_agent.identity.Identity` with a real key, which is built when it is used."""

    __slots__ = ("_check", "_disk")

    def __init__(self, disk: Disk, check: Check) -> None:
        self._disk = disk
        self._check = check

    @property
    def public_key(self) -> bytes:
        return public_key(self._disk)

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self._disk.key).sign(message)

    def enrolled_generation(self) -> int:
        return self._disk.enrolled_generation

    def remember_enrolled(self, generation: int) -> None:
        self._check()
        self._disk.enrolled_generation = generation

    def next_issue(self, now_ms: int) -> int:
        self._check()
        used = self._disk.issued_at_ms
        if used > now_ms + AHEAD_MS:
            used = 0
        self._disk.issued_at_ms = max(now_ms, used + 1)
        return self._disk.issued_at_ms


def public_key(disk: Disk) -> bytes:
    """The raw public key of a disk's key."""
    key = Ed25519PrivateKey.from_private_bytes(disk.key)
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _is_of(line: bytes, command_id: str) -> bool:
    """Whether a line is of that command: the id is the first member of an encoded entry."""
    return line.startswith(b'{"id":' + msgspec.json.encode(command_id) + b",")
