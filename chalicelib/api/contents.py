"""Databases and users in request bodies, and in what guests answer: the same in three resources."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chalicelib.api.frame import Request
from chalicelib.api.paging import limit_of, name_marker_of
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Text
from chalicelib.bus import contract
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.answers import UserShown
from chalicelib.bus.contract.arguments import Page, User
from chalicelib.bus.contract.values import Database, DatabaseName
from chalicelib.domain import bounds, contents
from chalicelib.engines.engine import ANY_HOST, Rules

DUPLICATE_DATABASE = (
    "Two or more databases share the same name in the initial databases list. Please correct the "
    "names or remove the duplicate entries."
)
DUPLICATE_USER = (
    "Two or more users share the same name and host in the initial users list. Please correct the "
    "names or remove the duplicate entries."
)
DUPLICATE_GRANT = "A user is given the same database twice; please remove the duplicate entries."


class Named(Body, frozen=True):
    """A database that a user may use.

    What it is made of belongs to the database, which is there, or is made beside the user: Trove
    leaves it unread here, and gophercloud sends the database as it was made.
    """

    name: str
    character_set: Text | None = None
    collate: Text | None = None


Grants = Annotated[list[Named], msgspec.Meta(max_length=bounds.MAX_USER_DATABASES)]
"""The databases that one user may use."""


class DatabaseBody(Body, frozen=True):
    """A database to make."""

    name: str
    character_set: str | None = None
    collate: str | None = None

    def checked(self, rules: Rules) -> Database:
        """What the guest gets; `BadRequest` when a rule is broken."""
        name = rules.database_name(self.name)
        return Database(name, **rules.character_set(self.character_set, self.collate))


class UserBody(Body, frozen=True):
    """A user to make."""

    name: str
    password: str
    host: str | None = None
    databases: Grants | None = None

    def checked(self, rules: Rules) -> User:
        """What the guest gets; `BadRequest` when a rule is broken."""
        return User(
            name=rules.user_name(self.name),
            password=rules.password(self.password),
            host=rules.host(self.host),
            databases=[DatabaseName(name) for name in granted(rules, self.databases or [])],
        )


class UserView(View, frozen=True):
    """A user of an instance, where it may come from, and the databases that it may use."""

    name: str
    host: str
    databases: list[DatabaseName]


Databases = Annotated[list[DatabaseBody], msgspec.Meta(max_length=bounds.MAX_DATABASES)]
Users = Annotated[list[UserBody], msgspec.Meta(max_length=bounds.MAX_USERS)]


def granting(users: list[UserBody]) -> list[Method[Any, Any]]:
    """What would let the users of a request into databases, if it came later."""
    return [contract.GRANT_ACCESS] if any(user.databases for user in users) else []


def granted(rules: Rules, wanted: list[Named]) -> list[str]:
    """The names of the databases that a user may use; `BadRequest` when one cannot be granted."""
    names = [rules.grantable(database.name) for database in wanted]
    contents.require_distinct(((name,) for name in names), DUPLICATE_GRANT)
    return names


def checked_databases(rules: Rules, bodies: list[DatabaseBody]) -> list[Database]:
    """All databases of a request, each by itself and all together."""
    databases = [body.checked(rules) for body in bodies]
    contents.require_distinct(((each.name,) for each in databases), DUPLICATE_DATABASE)
    return databases


def checked_users(rules: Rules, bodies: list[UserBody]) -> list[User]:
    """All users of a request, each by itself and all together."""
    users = [body.checked(rules) for body in bodies]
    accounts = ((each.name, each.host or ANY_HOST) for each in users)
    contents.require_distinct(accounts, DUPLICATE_USER)
    return users


def page_of(request: Request) -> Page:
    """The page of a list of names that is asked for."""
    return Page(limit_of(request.query), name_marker_of(request.query))


def user_view(user: UserShown) -> UserView:
    """A user as the API shows it."""
    return UserView(user.name, user.host or ANY_HOST, user.databases)
