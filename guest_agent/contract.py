"""The guest contract as data: each method's arguments and what a redelivery may do with it.

The names are Trove's where Trove has one. The control plane sends them, every manager answers them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from chalicelib.service_status import ServiceStatus
from guest_agent.errors import BadRequest, GuestError, NotSupported

ANY_HOST: Final = "%"
PAGE_LIMIT: Final = 1000  # rows in one answer
ANSWER_BYTES: Final = 180_000
"""Of an answer as JSON in ASCII: sealing adds a third, and the bus takes 256 KiB."""
ROOM_BYTES: Final = 20_000  # for the names of the answer's parts, and for a marker
MESSAGE_LENGTH: Final = 1024  # characters of a refusal, as many as the control plane keeps

Status = ServiceStatus


class DatabaseName(msgspec.Struct, frozen=True):
    """A reference to a database."""

    name: str


class Database(msgspec.Struct, frozen=True):
    """A database to create; the datastore's defaults stand for what is not given."""

    name: str
    character_set: str | None = None
    collate: str | None = None


class UserName(msgspec.Struct, frozen=True):
    """A reference to a user."""

    name: str
    host: str | None = None


class User(msgspec.Struct, frozen=True):
    """A user to create, with the databases it may use."""

    name: str
    password: str
    host: str | None = None
    databases: list[DatabaseName] = []


class UserPassword(msgspec.Struct, frozen=True):
    """A new password for a user."""

    name: str
    password: str
    host: str | None = None


class UserAttributes(msgspec.Struct, frozen=True):
    """What may change about a user; what is not given stays."""

    name: str | None = None
    password: str | None = None
    host: str | None = None


class Datastore(msgspec.Struct, frozen=True):
    """What the instance was ordered to run."""

    manager: str
    version: str


class Flavor(msgspec.Struct, frozen=True):
    """The size of the server: `ram` in MiB."""

    ram: int
    vcpus: int


class Nothing(msgspec.Struct, frozen=True):
    """No arguments."""


class Prepare(msgspec.Struct, frozen=True):
    """Everything for a first start; `mount_point` as the guest sees it.

    The volume is the one with that id; `device_path` is of older control planes.
    """

    datastore: Datastore
    flavor: Flavor
    mount_point: str
    volume_id: str = ""
    device_path: str = ""
    databases: list[Database] = []
    users: list[User] = []
    root_password: str | None = None


class Page(msgspec.Struct, frozen=True):
    """A slice of an ordered list: what follows the marker, or begins with it."""

    limit: int | None = None
    marker: str | None = None
    include_marker: bool = False

    def size(self) -> int:
        """How many rows to return, between 1 and `PAGE_LIMIT`."""
        return min(max(self.limit or PAGE_LIMIT, 1), PAGE_LIMIT)


class CreateDatabases(msgspec.Struct, frozen=True):
    """Arguments of `create_database`."""

    databases: list[Database]


class DeleteDatabase(msgspec.Struct, frozen=True):
    """Arguments of `delete_database`."""

    database: DatabaseName


class CreateUsers(msgspec.Struct, frozen=True):
    """Arguments of `create_user`."""

    users: list[User]


class DeleteUser(msgspec.Struct, frozen=True):
    """Arguments of `delete_user`."""

    user: UserName


class ChangePasswords(msgspec.Struct, frozen=True):
    """Arguments of `change_passwords`."""

    users: list[UserPassword]


class Account(msgspec.Struct, frozen=True):
    """Arguments of `get_user` and `list_access`."""

    username: str
    hostname: str | None = None


class UpdateAttributes(msgspec.Struct, frozen=True):
    """Arguments of `update_attributes`."""

    username: str
    user_attrs: UserAttributes
    hostname: str | None = None


class GrantAccess(msgspec.Struct, frozen=True):
    """Arguments of `grant_access`."""

    username: str
    databases: list[str]
    hostname: str | None = None


class RevokeAccess(msgspec.Struct, frozen=True):
    """Arguments of `revoke_access`."""

    username: str
    database: str
    hostname: str | None = None


class EnableRoot(msgspec.Struct, frozen=True):
    """Arguments of `enable_root`."""

    root_password: str


COMES_BACK_SECONDS: Final = 900.0
"""A database that was stopped for its server to be switched off is started again when that has not
happened for so long: the command came late, or the cloud refused."""


class StopDatabase(msgspec.Struct, frozen=True):
    """Arguments of `stop_db`: whether it is to last, or only until the server is switched off.

    With a `flavor`, that is the one for which the database is configured when it comes back.
    """

    do_not_start_on_reboot: bool = False
    flavor: Flavor | None = None


class StartForFlavor(msgspec.Struct, frozen=True):
    """Arguments of `start_db_with_conf_changes`: the size that its server has now."""

    flavor: Flavor


class ResizeFileSystem(msgspec.Struct, frozen=True):
    """Arguments of `resize_fs`: the volume has `size` GiB now."""

    size: int


def check_size(answer: dict[str, Any]) -> None:
    """`GuestError` for an answer that no message, or no row that keeps it, could hold."""
    size = _size_of(answer)
    if size > ANSWER_BYTES:
        raise GuestError(f"the answer is too large ({size} bytes); ask for less")


def _size_of(answer: Any) -> int:
    """Bytes as JSON in ASCII: those in UTF-8 are not more."""
    return len(json.dumps(answer))


def fitting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many of the first rows as one answer holds, with room for what stands around them."""
    left = ANSWER_BYTES - ROOM_BYTES
    for place, row in enumerate(rows):
        left -= _size_of(row) + 2  # what divides it from the next
        if left < 0:
            return rows[:place]
    return rows


@dataclass(frozen=True)
class Method:
    """What the loop has to know about a method.

    `repeatable`: one that was interrupted may simply run again. `long`: runs beside the loop.
    `alone`: no two of these at the same time. `reports`: gets the progress callback.
    """

    request: type[msgspec.Struct]
    repeatable: bool
    long: bool = False
    alone: bool = False
    reports: bool = False


METHODS: Final[Mapping[str, Method]] = {
    "prepare": Method(Prepare, repeatable=True, long=True, alone=True, reports=True),
    "restart": Method(Nothing, repeatable=True, long=True, alone=True),
    "stop_db": Method(StopDatabase, repeatable=True, long=True, alone=True),
    "start_db_with_conf_changes": Method(StartForFlavor, repeatable=True, long=True, alone=True),
    "resize_fs": Method(ResizeFileSystem, repeatable=True, long=True, alone=True),
    "list_databases": Method(Page, repeatable=True),
    "create_database": Method(CreateDatabases, repeatable=False),
    "delete_database": Method(DeleteDatabase, repeatable=False, long=True),
    "list_users": Method(Page, repeatable=True),
    "get_user": Method(Account, repeatable=True),
    "create_user": Method(CreateUsers, repeatable=False),
    "delete_user": Method(DeleteUser, repeatable=False),
    "change_passwords": Method(ChangePasswords, repeatable=True),
    "update_attributes": Method(UpdateAttributes, repeatable=False),
    "list_access": Method(Account, repeatable=True),
    "grant_access": Method(GrantAccess, repeatable=True),
    "revoke_access": Method(RevokeAccess, repeatable=False),
    "is_root_enabled": Method(Nothing, repeatable=True),
    "enable_root": Method(EnableRoot, repeatable=True),
    "disable_root": Method(Nothing, repeatable=True),
    "get_filesystem_stats": Method(Nothing, repeatable=True),
}


def method_named(name: str) -> Method:
    """The declaration of a method; `NotSupported` when the contract has none of that name."""
    try:
        return METHODS[name]
    except KeyError:
        raise NotSupported(f"this guest agent has no method {name!r}") from None


def parse(method: Method, args: dict[str, Any]) -> msgspec.Struct:
    """The typed arguments of a command; `BadRequest` names the field that does not fit."""
    try:
        return msgspec.convert(args, method.request)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the arguments do not fit the method: {error}") from None
