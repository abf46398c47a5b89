"""What guests answer: what does not fit is the guest's failure, told as such.

A guest is a server that a tenant may have broken into: whatever it says in place of an answer stays
inside these bounds. Attributes that are not named here are left out, so that a later release may
answer more.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from chalicelib.bus.contract.archiving import Moment, PieceNumber
from chalicelib.bus.contract.values import (
    MOST_ROWS,
    BackupId,
    Bytes,
    Database,
    LogPosition,
    Marker,
    Name,
    Position,
    Sentence,
    Sha256,
    Usable,
    Value,
)

MOST_SETTINGS: Final = 100
Setting = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Done(Value, frozen=True):
    """Nothing to tell."""


class Prepared(Value, frozen=True):
    """The database answers; `RUNNING` and `HEALTHY` of `ServiceStatus` are that.

    It `holds_configuration` when it has begun with the values that it was sent. Agents of releases
    that know no configuration groups leave them out, and do not say that they hold any.
    """

    status: Literal["running", "healthy"]
    holds_configuration: bool = False


class Configured(Value, frozen=True):
    """The settings that the engine was asked for, as it says it has them."""

    settings: Annotated[dict[Name, Setting], msgspec.Meta(max_length=MOST_SETTINGS)]


class Upgraded(Configured, frozen=True):
    """The same of an engine that has gone on with the data of another version, and its number;
    `holds_configuration` is as `Prepared` tells it."""

    version: Name
    holds_configuration: bool = False


class Overridden(Value, frozen=True):
    """The values are held, but for those that only a start can change: these need a restart."""

    restart_required: bool


class LogPlace(Value, frozen=True):
    """Where an archive of the log goes on behind a backup: in the pieces behind the one of that
    number and sum, at the engine's position, with what was committed after that moment and behind
    that place in the log. Agents of before tell no sum, and no place."""

    archive: BackupId
    number: PieceNumber
    position: Position
    reached_ms: Moment
    sha256: Sha256 | None = None
    reached_position: LogPosition = ""


class LogKept(Value, frozen=True):
    """Whether the log is kept only after a restart of the database."""

    restart_required: bool


class Applied(Value, frozen=True):
    """Up to which moment or position the data go that were restored; neither when that of the
    backup was wanted."""

    until_ms: Moment = 0
    until_position: LogPosition = ""


class BackedUp(Value, frozen=True):
    """What lies in the store now: the SHA-256 of its manifest, the bytes of its objects, of the
    data before they were compressed, and the version of the engine that they are of.

    With a `log`, an archive ran from before the copy to its end."""

    checksum: Sha256
    size: Bytes
    data_size: Bytes
    version: Name
    position: Position = ""
    log: LogPlace | None = None


class Verified(Value, frozen=True):
    """What has come of a backup that was tried out; when it was not sound, why, as a sentence's
    inside. What kept it from being tried is no verdict but a refusal."""

    sound: bool
    reason: Sentence = ""


class UserShown(msgspec.Struct, frozen=True):
    """A user as its server has it; without a host, any host."""

    name: Name
    host: Name | None = None
    databases: Usable = []


class DatabasePage(msgspec.Struct, frozen=True):
    """A page of databases; `next_marker` when there are more."""

    databases: Annotated[list[Database], msgspec.Meta(max_length=MOST_ROWS)]
    next_marker: Marker | None = None


class UserPage(msgspec.Struct, frozen=True):
    """A page of users; `next_marker` when there are more."""

    users: Annotated[list[UserShown], msgspec.Meta(max_length=MOST_ROWS)]
    next_marker: Marker | None = None


class OneUser(msgspec.Struct, frozen=True):
    """The user that was asked for."""

    user: UserShown


class Access(msgspec.Struct, frozen=True):
    """What one user may use."""

    databases: Usable


class RootState(msgspec.Struct, frozen=True):
    """Whether the superuser may log in from outside."""

    enabled: bool
