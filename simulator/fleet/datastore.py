"""What is on a guest's volume: a small database server whose contents one can check.

Contents are a value: a write makes the next one. So a snapshot costs nothing, an empty datastore
shares its contents with every other empty one, and "holds exactly what it held" is an equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from chalicelib import aws

T = TypeVar("T")

BASE_GIB: Final = 0.2
"""What an empty data directory takes."""
ROWS_A_GIB: Final = 100_000
_EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})


class Database(msgspec.Struct, frozen=True):
    """A database: its defaults and its rows."""

    character_set: str = "utf8mb4"
    collate: str = "utf8mb4_general_ci"
    rows: Mapping[str, str] = msgspec.field(default_factory=lambda: _EMPTY)


class User(msgspec.Struct, frozen=True):
    """A user: its password and the databases it may use."""

    password: str
    grants: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"User(grants={sorted(self.grants)})"


Account = tuple[str, str]
"""A user's name and host."""
Page = tuple[str, ...]
"""What is written at once: ("database", name), ("row", database, key), ("user", name, host) or
("root",)."""


class Contents(msgspec.Struct, frozen=True):
    """Everything in a datastore at one position of its log, which grows with every write.

    `written` has the position at which each page was written or removed last.
    """

    databases: Mapping[str, Database] = msgspec.field(default_factory=lambda: _EMPTY)
    users: Mapping[Account, User] = msgspec.field(default_factory=lambda: _EMPTY)
    root_password: str | None = None
    log_position: int = 0
    written: Mapping[Page, int] = msgspec.field(default_factory=lambda: _EMPTY)

    def rows(self) -> int:
        """How many rows there are."""
        return sum(len(database.rows) for database in self.databases.values())

    def with_database(self, name: str, database: Database) -> Contents:
        """With one database made or put in the place of its former self."""
        databases = {**self.databases, name: database}
        return self._written(("database", name), databases=databases)

    def without_database(self, name: str) -> Contents:
        """Without one database. Grants on it stay, as on a real server."""
        return self._written(("database", name), databases=_without(self.databases, name))

    def with_row(self, database: str, key: str, value: str) -> Contents:
        """With one row written."""
        before = self.databases[database]
        after = msgspec.structs.replace(before, rows={**before.rows, key: value})
        databases = {**self.databases, database: after}
        return self._written(("row", database, key), databases=databases)

    def with_user(self, account: Account, user: User) -> Contents:
        """With one user made or changed."""
        return self._written(("user", *account), users={**self.users, account: user})

    def without_user(self, account: Account) -> Contents:
        """Without one user."""
        return self._written(("user", *account), users=_without(self.users, account))

    def with_root(self, password: str | None) -> Contents:
        """With the superuser's login opened, or closed (None)."""
        return self._written(("root",), root_password=password)

    def same_as(self, other: Contents) -> bool:
        """Whether a user of either could tell no difference, the log's position aside."""
        return (
            dict(self.databases) == dict(other.databases)
            and dict(self.users) == dict(other.users)
            and self.root_password == other.root_password
        )

    def _written(self, page: Page, **changes: Any) -> Contents:
        position = self.log_position + 1
        written = {**self.written, page: position}
        return msgspec.structs.replace(self, log_position=position, written=written, **changes)


NOTHING: Final = Contents()


ENTRY_BYTES: Final = 64 * 1024
"""What a commit takes of the volume in the log, unless it is a huge one."""


class Logged(NamedTuple):
    """A commit: the positions before it and of it, when (milliseconds), what there was then, and
    what it takes of the volume."""

    after: int
    position: int
    at_ms: int
    contents: Contents
    size: int = ENTRY_BYTES


class Log:
    """The commits behind a position, as long as they are not released."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.entries: list[Logged] = []

    def append(self, after: int, contents: Contents, at_ms: int) -> None:
        """Note a commit."""
        self.entries.append(Logged(after, contents.log_position, at_ms, contents))

    def grow(self, size: int) -> None:
        """Let the last commit have written so many bytes more."""
        last = self.entries[-1]
        self.entries[-1] = last._replace(size=last.size + size)

    def behind(self, position: int) -> int:
        """Bytes of what was committed behind a position."""
        return sum(each.size for each in self.entries if each.position > position)

    def release(self, position: int) -> None:
        """Forget what is up to there."""
        self.start = max(self.start, position)
        self.entries = [each for each in self.entries if each.position > position]


class Volume:
    """A volume: empty until `prepare` initialises a data directory on it. Sizes in GiB.

    Its file system has the size that the volume had, until it is told to grow. `touched_by` is the
    version of the engine that has written it last, `fetched` are backups by id that lie beside the
    place of the data, and `trial` those that are tried out. `log` is what was committed, while that
    is kept, as it is once begun from another root disk, too (`keeps_log`), `log_note` the agent's.
    While somebody wants to know, `past` has the contents by position, `history` by time.
    """

    __slots__ = (
        "_contents",
        "fetched",
        "file_system_gib",
        "formatted",
        "history",
        "keeps_log",
        "log",
        "log_note",
        "past",
        "size_gib",
        "touched_by",
        "trial",
    )

    def __init__(self, size_gib: int) -> None:
        self.size_gib = self.file_system_gib = size_gib
        self.formatted = False
        self.past: dict[int, Contents] | None = None
        self._contents = NOTHING
        self.touched_by = ""
        self.fetched: Mapping[str, bytes] = _EMPTY
        self.trial: Mapping[str, bytes] = _EMPTY
        self.log: Log | None = None
        self.keeps_log = False
        self.log_note: bytes | None = None
        self.history: list[tuple[int, Contents]] | None = None

    @property
    def contents(self) -> Contents:
        """What is on it."""
        return self._contents

    @contents.setter
    def contents(self, contents: Contents) -> None:
        self.commit(contents, aws.clock())

    def commit(self, contents: Contents, at: float) -> None:
        """Hold what is committed at a time of the server's clock."""
        before, self._contents = self._contents, contents
        if self.log is not None and contents.log_position > before.log_position:
            self.log.append(before.log_position, contents, int(at * 1000))
        if self.history is not None:
            self.history.append((int(at * 1000), contents))
        if self.past is not None:
            self.past[contents.log_position] = contents

    def used_gib(self) -> float:
        """How much of it is taken."""
        if not self.formatted:
            return 0.0
        return round(BASE_GIB + self.contents.rows() / ROWS_A_GIB, 3)

    def snapshot(self) -> Contents:
        """What it holds now; later writes do not change it."""
        return self.contents

    def copied(self) -> Volume:
        """All that is on it now, as a volume of its own."""
        made = Volume(self.size_gib)
        made.begin_with(self)
        return made

    def begin_with(self, other: Volume) -> None:
        """Hold what another one does, in a file system of that one's size."""
        self.file_system_gib, self.formatted = other.file_system_gib, other.formatted
        self.touched_by, self.fetched, self.trial = other.touched_by, other.fetched, other.trial
        self.log_note = other.log_note
        if other.log is not None:
            self.log = Log(other.log.start)
            self.log.entries = list(other.log.entries)
        self._contents = other.contents

    def restore(self, contents: Contents) -> None:
        """Hold what a snapshot held."""
        self.formatted = True
        self.contents = contents


def _without(things: Mapping[T, Any], key: T) -> dict[T, Any]:
    return {each: value for each, value in things.items() if each != key}
