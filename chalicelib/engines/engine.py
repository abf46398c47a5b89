"""What is declared of an engine: its facts, its parts, and the rules of what stands inside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from chalicelib.engines.parameter import Scalar
from chalicelib.engines.positions import LogPositions

ANY_HOST: Final = "%"
MAX_PASSWORD: Final = 255
MOST_CHAIN: Final = 100
"""Backups between a full one and the one that is restored, both counted."""


class Part(StrEnum):
    """What a method of the guest contract is about. Every engine has a SERVER."""

    SERVER = "server"
    DATABASES = "databases"
    USERS = "users"
    ACCESS = "access"
    ROOT = "root"
    UPGRADES = "upgrades"
    CONFIGURATION = "configuration"
    BACKUPS = "backups"
    LOG = "log"


class Rules(ABC):
    """What an engine takes for a name, a password, a host: what it takes is returned.

    What breaks a rule is raised as `refusal` makes it of a sentence: each side of the bus has an
    error of its own for it. No sentence repeats a password.
    """

    RESERVED_DATABASES: ClassVar[frozenset[str]]
    RESERVED_USERS: ClassVar[frozenset[str]]

    def __init__(self, refusal: Callable[[str], Exception]) -> None:
        self._refusal = refusal

    @abstractmethod
    def database_name(self, name: str) -> str:
        """A name that a customer may give a database."""

    @abstractmethod
    def user_name(self, name: str) -> str:
        """A name that a customer may give a user."""

    def grantable(self, name: str) -> str:
        """The name of a database that a user may be let into."""
        return self.database_name(name)

    @abstractmethod
    def host(self, name: str | None) -> str | None:
        """Where a user may come from."""

    def password(self, text: str) -> str:
        """A password that the server takes."""
        if not 0 < len(text) <= MAX_PASSWORD or not text.strip():
            raise self._refusal(f"A password has 1 to {MAX_PASSWORD} characters and is not blank.")
        if "\0" in text:
            raise self._refusal("A password has no NUL character in it.")
        return text

    @abstractmethod
    def character_set(self, name: str | None, collation: str | None) -> dict[str, str]:
        """The given ones of `character_set` and `collate`, if the server has them and they fit."""

    def together(self, values: Mapping[str, Scalar]) -> None:
        """Refuse parameters of a configuration, each of which may be set, that do not fit."""
        return

    @abstractmethod
    def account(self, identifier: str) -> tuple[str, str | None]:
        """Name and host of a user by what names it in a path, a link or a marker."""


GIB: Final = 1024**3
LOG_SHARE: Final = 8
"""The log of an engine that is not archived takes one of so many parts of the volume at most."""


class Engine(msgspec.Struct, frozen=True):
    """One engine. It answers the methods of its `parts`.

    `tcp_ports` are what the security group opens (Trove's, without Galera's); the first one is the
    server's. So many leading numbers of a version name its `series`, within which an older engine
    reads what a newer one has written. `template` is what we choose for a server of so much memory
    (MiB). `superuser` is whom `POST root` enables, `os_user` whom its server runs as.
    `incremental_backups`: it can tell what has changed since a backup. `imports`: its guests can
    begin with a backup that Trove has made. `snapshots`: what it has answered is on its volume, so
    that it goes on with a copy of that of any moment. `log` is the setting of how many bytes of a
    log it keeps there, if it does so by its memory alone. The times in the log that its guests
    replay are of `moment_ms` milliseconds each, and `positions` are its customers' names of places
    in it.
    """

    name: str
    tcp_ports: tuple[int, ...]
    mount_point: str
    parts: frozenset[Part]
    rules: type[Rules]
    template: Callable[[int], Mapping[str, Scalar]]
    superuser: str = "root"
    os_user: str = "mysql"
    series: int = 1
    incremental_backups: bool = False
    imports: bool = False
    snapshots: bool = False
    log: str | None = None
    moment_ms: int = 1
    positions: LogPositions | None = None

    def chosen_for(self, ram_mib: int, volume_gib: int) -> dict[str, Scalar]:
        """What we choose for a server of so much memory on a volume of that size: its log takes a
        share of that at most, for what is left is for data."""
        values = dict(self.template(ram_mib))
        if self.log is not None:
            values[self.log] = min(int(values[self.log]), volume_gib * GIB // LOG_SHARE)
        return values

    @property
    def word(self) -> str:
        """Its name as one lower-case word, for machines."""
        return self.name.lower()

    def can(self, part: Part) -> bool:
        """Whether its guests answer the methods of that part."""
        return part is Part.SERVER or part in self.parts
