"""What guests answer to synchronous calls, as types: what does not fit is the guest's failure.

Both sides import it. A guest is a server that a tenant may have broken into: whatever it says in
place of an answer stays inside these bounds, or its own tenant is told that it failed (502).
Attributes that are not named here are left out, so that a later release may answer more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

MOST_ROWS: Final = 1000
"""Rows in one answer, so that it stays below the size of a message."""
MOST_DATABASES: Final = 10_000
"""Databases that one user may use."""
MOST_NAME: Final = 255
MOST_MARKER: Final = 1024
MOST_RESULT_BYTES: Final = 300_000
"""Of a result as JSON in ASCII, as the row of its command holds it; DynamoDB takes 400 KB a row."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
Marker = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_MARKER)]


class Done(msgspec.Struct, frozen=True):
    """Nothing to tell."""


class DatabaseName(msgspec.Struct, frozen=True):
    """A database that a user may use."""

    name: Name


class DatabaseShown(msgspec.Struct, frozen=True, omit_defaults=True):
    """A database as its server has it."""

    name: Name
    character_set: Name | None = None
    collate: Name | None = None


Usable = Annotated[list[DatabaseName], msgspec.Meta(max_length=MOST_DATABASES)]


class UserShown(msgspec.Struct, frozen=True):
    """A user as its server has it; without a host, any host."""

    name: Name
    host: Name | None = None
    databases: Usable = []


class DatabasePage(msgspec.Struct, frozen=True):
    """A page of databases; `next_marker` when there are more."""

    databases: Annotated[list[DatabaseShown], msgspec.Meta(max_length=MOST_ROWS)]
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


T = TypeVar("T")


class Call(msgspec.Struct, Generic[T], frozen=True):
    """A method that the API calls, and what it answers."""

    name: str
    answer: type[T]

    def decode(self, result: Any) -> T:
        """The typed answer in a result; `msgspec.ValidationError` when it does not fit."""
        return msgspec.convert(result, self.answer)


RESTART: Final = Call("restart", Done)
LIST_DATABASES: Final = Call("list_databases", DatabasePage)
CREATE_DATABASE: Final = Call("create_database", Done)
DELETE_DATABASE: Final = Call("delete_database", Done)
LIST_USERS: Final = Call("list_users", UserPage)
GET_USER: Final = Call("get_user", OneUser)
CREATE_USER: Final = Call("create_user", Done)
DELETE_USER: Final = Call("delete_user", Done)
CHANGE_PASSWORDS: Final = Call("change_passwords", Done)
UPDATE_ATTRIBUTES: Final = Call("update_attributes", Done)
LIST_ACCESS: Final = Call("list_access", Access)
GRANT_ACCESS: Final = Call("grant_access", Done)
REVOKE_ACCESS: Final = Call("revoke_access", Done)
IS_ROOT_ENABLED: Final = Call("is_root_enabled", RootState)
ENABLE_ROOT: Final = Call("enable_root", Done)
DISABLE_ROOT: Final = Call("disable_root", Done)

CALLS: Final[Mapping[str, Call[Any]]] = {
    each.name: each
    for each in (
        RESTART,
        LIST_DATABASES,
        CREATE_DATABASE,
        DELETE_DATABASE,
        LIST_USERS,
        GET_USER,
        CREATE_USER,
        DELETE_USER,
        CHANGE_PASSWORDS,
        UPDATE_ATTRIBUTES,
        LIST_ACCESS,
        GRANT_ACCESS,
        REVOKE_ACCESS,
        IS_ROOT_ENABLED,
        ENABLE_ROOT,
        DISABLE_ROOT,
    )
}
"""All of them, by name."""
