"""The root disk of a guest: what its agent keeps there. It survives a reboot and not a rebuild."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib import aws
from chalicelib.bus.contract import RELEASE
from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines.parameter import Scalar
from guest_agent.errors import JournalUnusable
from guest_agent.identity import next_time
from guest_agent.journal import Entry
from guest_agent.releases import Upgrade

AGENT_OF_THE_IMAGE: Final = "1.0.0"
PLENTY: Final = 1000.0
"""Of room on the volume, in times of what is so little that a database takes no writes."""
FIRST_FLAVOR: Final = Flavor(ram=512, vcpus=1)
"""Of a server that nobody has told another one."""
_entries: Final = msgspec.json.Decoder(Entry)


class Disk:
    """The agent's files; the journal's entries are lines.

    `number` counts the disks that the server has had: each has another key on it. `release` is that
    of the agent on it, `agent` the version of its bundle; `upgrade` is its newest one in place.
    `configuration` is the layer of settings that a configuration group chooses; `keeps_log` tells a
    start of the database that its log is to be kept.
    """

    __slots__ = (
        "accepted_at_ms",
        "agent",
        "at_boot",
        "configuration",
        "damaged",
        "enrolled_generation",
        "flavor",
        "full",
        "issued_at_ms",
        "journal",
        "keeps_log",
        "lost_before",
        "next_flavor",
        "number",
        "prepared",
        "release",
        "room",
        "stopped",
        "unreadable",
        "upgrade",
    )

    def __init__(self, number: int = 1, release: int = RELEASE) -> None:
        self.number = number
        self.release = release
        self.agent = AGENT_OF_THE_IMAGE
        self.upgrade: Upgrade | None = None
        self.enrolled_generation = 0
        self.issued_at_ms = 0
        self.accepted_at_ms = 0
        self.journal = b""
        self.lost_before = 0.0
        self.damaged = False
        self.full = False
        self.room = PLENTY
        self.unreadable = False
        self.prepared = False
        self.stopped = False
        self.at_boot = True
        self.flavor = FIRST_FLAVOR
        self.configuration: dict[str, Scalar] = {}
        self.keeps_log = False
        self.next_flavor: Flavor | None = None

    def tear_journal(self) -> None:
        """Lose the entry that was written last, as a tail that never reached the disk."""
        kept = self.journal.rstrip(b"\n").rpartition(b"\n")[0]
        self.journal = kept + b"\n" if kept else b""

    def damage_journal(self) -> None:
        """Let the next start find a journal that cannot be read."""
        self.damaged = True


Perform = Callable[[str, Callable[[], None]], None]
"""Makes a change by name, as an effect at which a process may die."""


def directly(name: str, change: Callable[[], None]) -> None:
    """Make a change, where nobody watches."""
    change()


class Machine(Protocol):
    """What the files of an agent have to know of its server."""

    disk: Disk

    def here(self, life: int) -> None:
        """End, or hold up, a coroutine of a process that died or hangs."""


class SimJournal:
    """`guest_agent.journal.JournalStore` on a simulated disk."""

    __slots__ = ("_disk", "_life", "_machine", "_perform", "lost_before")

    def __init__(self, machine: Machine, life: int, perform: Perform = directly) -> None:
        self._machine = machine
        self._perform = perform
        self._life = life
        disk = self._disk = machine.disk
        if disk.damaged:  # set aside, as the real store does it
            disk.damaged = False
            disk.journal = b""
            disk.lost_before = aws.clock()
        self.lost_before = disk.lost_before

    def get(self, command_id: str) -> Entry | None:
        self._machine.here(self._life)
        if self._disk.unreadable:
            raise JournalUnusable("The journal failed: disk I/O error.")
        line = next((line for line in self._lines() if _is_of(line, command_id)), None)
        return _entries.decode(line) if line is not None else None

    def put(self, entry: Entry) -> None:
        self._writable()
        record = msgspec.json.encode(entry)

        def write() -> None:
            kept = [line for line in self._lines() if not _is_of(line, entry.id)]
            self._disk.journal = b"\n".join([*kept, record, b""])

        self._perform("journal", write)

    def prune(self, expired_before: float) -> None:
        self._writable()
        lines = self._lines()
        kept = [line for line in lines if _entries.decode(line).expires_at >= expired_before]
        self._disk.journal = b"\n".join([*kept, b""]) if kept else b""

    def _writable(self) -> None:
        self._machine.here(self._life)
        if self._disk.full:
            raise JournalUnusable("The journal failed: database or disk is full.")

    def _lines(self) -> list[bytes]:
        return self._disk.journal.splitlines()


class SimIdentity:
    """`guest_agent.identity.Identity` with a real key, which is built when it is used."""

    __slots__ = ("_disk", "_key", "_life", "_machine")

    def __init__(self, machine: Machine, life: int, key: bytes) -> None:
        self._machine = machine
        self._life = life
        self._disk = machine.disk
        self._key = key

    @property
    def public_key(self) -> bytes:
        return public_key(self._key)

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self._key).sign(message)

    def enrolled_generation(self) -> int:
        return self._disk.enrolled_generation

    def remember_accepted(self, generation: int, issued_at_ms: int) -> None:
        self._machine.here(self._life)
        self._disk.enrolled_generation = generation
        self._disk.accepted_at_ms = max(issued_at_ms, self._disk.accepted_at_ms)

    def next_issue(self, now_ms: int) -> int:
        self._machine.here(self._life)
        disk = self._disk
        disk.issued_at_ms = next_time(now_ms, disk.issued_at_ms, disk.accepted_at_ms)
        return disk.issued_at_ms


def key_of(seed: int, server_id: str, disk: Disk) -> bytes:
    """The private key on a disk: as random as the run's seed, and kept nowhere."""
    return hashlib.sha256(f"{seed}/guest key/{server_id}/{disk.number}".encode()).digest()


def public_key(key: bytes) -> bytes:
    """The raw public key of a private one."""
    return (
        Ed25519PrivateKey.from_private_bytes(key)
        .public_key()
        .public_bytes(Encoding.Raw, PublicFormat.Raw)
    )


def _is_of(line: bytes, command_id: str) -> bool:
    """Whether a line is of that command: the id is the first member of an encoded entry."""
    return line.startswith(b'{"id":' + msgspec.json.encode(command_id) + b",")
