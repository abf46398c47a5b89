"""The arguments of the guests' methods. Names are Trove's where Trove has one."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from chalicelib.bus.contract.archiving import Moment, PieceNumber
from chalicelib.bus.contract.values import (
    MOST_ROWS,
    AgentVersion,
    BackupId,
    BundleSize,
    Bytes,
    Database,
    DatabaseName,
    Etag,
    Location,
    LogPosition,
    Name,
    Position,
    Settings,
    Sha256,
    Usable,
    Value,
)
from chalicelib.engines.engine import MOST_CHAIN

COMES_BACK_SECONDS: Final = 900.0
"""A database that was stopped for its server to be switched off is started again when that has not
happened for so long: the command came late, or the cloud refused."""


class UserName(Value, frozen=True):
    """A reference to a user."""

    name: str
    host: str | None = None


class User(Value, frozen=True):
    """A user to create, with the databases it may use."""

    name: str
    password: str
    host: str | None = None
    databases: Usable = msgspec.field(default_factory=list)


class UserPassword(Value, frozen=True):
    """A new password for a user."""

    name: str
    password: str
    host: str | None = None


class UserAttributes(Value, frozen=True):
    """What may change about a user; what is not given stays."""

    name: str | None = None
    password: str | None = None
    host: str | None = None


class Datastore(Value, frozen=True):
    """What the instance was ordered to run."""

    manager: str
    version: str


class Flavor(Value, frozen=True):
    """The size of the server: `ram` in MiB."""

    ram: int
    vcpus: int


class Nothing(Value, frozen=True):
    """No arguments."""


class Contents(Value, frozen=True):
    """What a create wants to be in the database when it runs first. Holds passwords."""

    databases: list[Database] = msgspec.field(default_factory=list)
    users: list[User] = msgspec.field(default_factory=list)
    root_password: str | None = None


class Prepare(Contents, frozen=True, kw_only=True):
    """Everything for a first start; `mount_point` as the guest sees it.

    The volume is the one with that id; `device_path` is of older control planes. `configuration`
    is what `update_overrides` would give it.
    """

    datastore: Datastore
    flavor: Flavor
    mount_point: str
    volume_id: str = ""
    device_path: str = ""
    configuration: Settings = msgspec.field(default_factory=dict)


class Rebuild(Value, frozen=True):
    """A first start on a new root disk, with the data that are on the volume of that id.

    With a `number`, the engine has to be of that version: another one leaves the data alone.
    """

    datastore: Datastore
    flavor: Flavor
    mount_point: str
    volume_id: str
    number: str = ""
    configuration: Settings = msgspec.field(default_factory=dict)


class Upgrade(Rebuild, frozen=True, kw_only=True):
    """The same with the engine of another version, which `number` always tells.

    One that fails has ended its engine, in order if it could.
    """


class StopDatabase(Value, frozen=True):
    """Whether it is to last, or only until the server is switched off.

    With a `flavor`, that is the one for which the database is configured when its server is
    switched on again, until it is told for which.
    """

    do_not_start_on_reboot: bool = False
    flavor: Flavor | None = None


class StartForFlavor(Value, frozen=True):
    """The size that its server has now."""

    flavor: Flavor


class UpdateOverrides(Value, frozen=True):
    """All values that a configuration group chooses, in the place of those that were chosen.

    Without any, there is no group. `group` is its id, for the agent's log.
    """

    values: Settings = msgspec.field(default_factory=dict)
    group: Name | None = None


class ResizeFileSystem(Value, frozen=True):
    """The volume has `size` GiB now."""

    size: int


class UpgradeAgent(Value, frozen=True):
    """The agent goes on as the release of a bundle, which lies at the URL for some minutes.

    What is fetched is not used unless it has that SHA-256 (in hex) and `size` bytes. One `attempt`
    is made once, however often it is asked for.
    """

    attempt: str
    version: AgentVersion
    sha256: Sha256
    size: BundleSize
    url: str


class ImportedObject(Value, frozen=True):
    """The object that a backup was imported as; its ETag is its MD5 unless it is `large`."""

    size: Bytes
    etag: Etag
    large: bool = False


class StoredBackup(Value, frozen=True):
    """A backup that is complete: where it lies, the SHA-256 of its manifest, and what is in it.

    Of one that was `imported` that is what it is known by, and nothing lies there.
    """

    id: BackupId
    location: Location
    checksum: Sha256
    position: Position = ""
    imported: ImportedObject | None = None


class CreateBackup(Value, frozen=True):
    """A backup to make, of all or of what came behind the `parent`.

    At most `bandwidth` bytes a second are sent, if it is not 0.
    """

    id: BackupId
    location: Location
    parent: StoredBackup | None = None
    bandwidth: Bytes = 0


class CancelBackup(Value, frozen=True):
    """The backup that is not wanted any more."""

    id: BackupId


Chain = Annotated[list[StoredBackup], msgspec.Meta(min_length=1, max_length=MOST_CHAIN)]
"""A full backup and the increments behind it, in order; the last one is what is wanted."""


class Archive(Value, frozen=True):
    """Where the log of the instance is to be sent, and how often at least, if there is any.

    At most `bandwidth` bytes a second are sent, if it is not 0 and the log does not outrun it.
    """

    id: BackupId
    location: Location
    every_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 60
    bandwidth: Bytes = 0


class KeepLog(Value, frozen=True):
    """The archive that the log is kept for from now on; None when it is kept for none."""

    archive: Archive | None = None


class LogToReplay(Value, frozen=True):
    """The pieces of an archive behind a number up to its head, and what of them is wanted: what
    came behind a backup's own `position` and was committed up to `target_ms`, or lies in the log up
    to `target_position`, where there is one.

    The first one goes on from the piece of the sum `behind_sha256`, if anybody has kept that."""

    archive: BackupId
    location: Location
    behind: PieceNumber
    number: PieceNumber
    sha256: Sha256 | None
    position: Position
    target_ms: Moment
    behind_sha256: Sha256 | None = None
    target_position: LogPosition = ""


class FetchBackup(Value, frozen=True):
    """What is to lie on a new volume, beside the place of the data; with a `log`, data of a moment
    behind the last backup."""

    datastore: Datastore
    flavor: Flavor
    mount_point: str
    volume_id: str
    chain: Chain
    log: LogToReplay | None = None


class ApplyBackup(FetchBackup, frozen=True):
    """The same, to be made the data that `prepare` begins with."""


class VerifyBackup(Value, frozen=True):
    """A backup to try out beside the database: the last one of the chain.

    At most `bandwidth` bytes a second are fetched, if it is not 0.
    """

    chain: Chain
    bandwidth: Bytes = 0


class Page(Value, frozen=True):
    """A slice of an ordered list: what follows the marker, or begins with it."""

    limit: int | None = None
    marker: str | None = None
    include_marker: bool = False

    def size(self) -> int:
        """How many rows to return, between 1 and `MOST_ROWS`."""
        return min(max(self.limit or MOST_ROWS, 1), MOST_ROWS)


class CreateDatabases(Value, frozen=True):
    """Databases to create."""

    databases: list[Database]


class DeleteDatabase(Value, frozen=True):
    """The database to drop."""

    database: DatabaseName


class CreateUsers(Value, frozen=True):
    """Users to create, with their grants."""

    users: list[User]


class DeleteUser(Value, frozen=True):
    """The user to drop."""

    user: UserName


class ChangePasswords(Value, frozen=True):
    """Users, each with its new password."""

    users: list[UserPassword]


class Account(Value, frozen=True):
    """The user that is asked about."""

    username: str
    hostname: str | None = None


class UpdateAttributes(Value, frozen=True):
    """A user, and what is to change about it."""

    username: str
    user_attrs: UserAttributes
    hostname: str | None = None


class GrantAccess(Value, frozen=True):
    """A user, and the databases that it may use from now on too."""

    username: str
    databases: list[str]
    hostname: str | None = None


class RevokeAccess(Value, frozen=True):
    """A user, and the database to take from it."""

    username: str
    database: str
    hostname: str | None = None


class EnableRoot(Value, frozen=True):
    """The superuser's password from now on."""

    root_password: str
