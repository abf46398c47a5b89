"""The users of an instance's database. A user's id is `name@host`; without a host, any host."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec

from chalicelib.api.contents import (
    Grants,
    UserBody,
    Users,
    UserView,
    checked_users,
    granting,
    page_of,
    user_view,
)
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import REFUSALS, GuestCall, asking
from chalicelib.api.links import Next
from chalicelib.api.paging import PagedNames, quoted
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples
from chalicelib.bus import contract
from chalicelib.bus.contract import arguments
from chalicelib.bus.contract.arguments import UserAttributes, UserPassword
from chalicelib.domain import bounds
from chalicelib.engines.engine import Rules
from chalicelib.errors import BadRequest
from chalicelib.settings import API_VERSION

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/users"
POLICY: Final = "instance:extension:user"


class NewUsers(Body, frozen=True):
    """Users to make."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "users": [
                {
                    "name": "alice",
                    "password": "S3cret-of-alice",
                    "host": "10.1.%",
                    "databases": [{"name": "orders"}],
                }
            ]
        },
    )

    users: Users


class PasswordBody(Body, frozen=True):
    """A user, as it was made or is shown, and a new password; what it may use stays as it is."""

    name: str
    password: str
    host: str | None = None
    databases: Grants | None = None


class NewPasswords(Body, frozen=True):
    """New passwords of users."""

    EXAMPLES: ClassVar[Examples] = (
        {"users": [{"name": "alice", "host": "10.1.%", "password": "S3cret-anew"}]},
    )

    users: Annotated[list[PasswordBody], msgspec.Meta(max_length=bounds.MAX_USERS)]


class UserAttributesBody(Body, frozen=True):
    """What can be changed of one user."""

    name: str | None = None
    password: str | None = None
    host: str | None = None

    def checked(self, rules: Rules) -> UserAttributes:
        """The attributes given; `BadRequest` when there is none, or a rule is broken."""
        chosen = UserAttributes(
            name=None if self.name is None else rules.user_name(self.name),
            password=None if self.password is None else rules.password(self.password),
            host=None if self.host is None else rules.host(self.host),
        )
        if chosen == UserAttributes():
            raise BadRequest("Validation error: user must have at least 1 property to change")
        return chosen


class UserUpdate(Body, frozen=True):
    """Changes of one user."""

    EXAMPLES: ClassVar[Examples] = ({"user": {"name": "bob", "password": "S3cret-of-bob"}},)

    user: UserAttributesBody


class UserList(View, frozen=True):
    """A page of users, by name."""

    users: list[UserView]
    links: Next = msgspec.UNSET


class OneUserView(View, frozen=True):
    """One user."""

    user: UserView


def index(request: Request) -> Response:
    """The users of an instance, a page of them."""
    found = asking(request, contract.LIST_USERS).answer(page_of(request))
    marker = quoted(found.next_marker) if found.next_marker else None
    views = [user_view(user) for user in found.users]
    return Response(200, UserList(views, request.place.next_page(marker)))


def create(request: Request) -> Response:
    """Make users."""
    wanted = request.json(NewUsers).users
    asked = asking(request, contract.CREATE_USER, *granting(wanted))
    made = arguments.CreateUsers(checked_users(asked.rules, wanted))
    return asked.once(Response(202), lambda _: made)


def change_passwords(request: Request) -> Response:
    """Change the passwords of users."""
    wanted = request.json(NewPasswords).users
    asked = asking(request, contract.CHANGE_PASSWORDS)
    bodies = [UserBody(user.name, user.password, user.host) for user in wanted]
    users = checked_users(asked.rules, bodies)
    changes = [UserPassword(user.name, user.password, user.host) for user in users]
    asked.answer(arguments.ChangePasswords(changes))
    return Response(202)


def show(request: Request) -> Response:
    """One user, by `name@host`; without a host, any host."""
    asked = asking(request, contract.GET_USER)
    found = asked.answer(arguments.Account(*addressed(asked)))
    return Response(200, OneUserView(user_view(found.user)))


def update(request: Request) -> Response:
    """Change the name, host or password of a user."""
    wanted = request.json(UserUpdate).user
    asked = asking(request, contract.UPDATE_ATTRIBUTES)
    name, host = changeable(asked)
    asked.answer(arguments.UpdateAttributes(name, wanted.checked(asked.rules), host))
    return Response(202)


def delete(request: Request) -> Response:
    """Remove a user."""
    asked = asking(request, contract.DELETE_USER)
    asked.answer(arguments.DeleteUser(arguments.UserName(*changeable(asked))))
    return Response(202)


def addressed(asked: GuestCall[Any, Any]) -> tuple[str, str | None]:
    """Name and host of the user in the path."""
    return asked.rules.account(asked.request.params["user"])


def changeable(asked: GuestCall[Any, Any]) -> tuple[str, str | None]:
    """The same when it is not one of the service's own; `BadRequest` otherwise."""
    name, host = addressed(asked)
    return asked.rules.user_name(name), host


ROUTES: Final = (
    Route(
        "GET",
        PATH,
        index,
        f"{POLICY}:index",
        query=PagedNames,
        answers=UserList,
        refuses=REFUSALS,
    ),
    Route(
        "POST",
        PATH,
        create,
        f"{POLICY}:create",
        reads=NewUsers,
        status=202,
        refuses=REFUSALS,
    ),
    Route(
        "PUT",
        PATH,
        change_passwords,
        f"{POLICY}:update_all",
        reads=NewPasswords,
        status=202,
        refuses=REFUSALS,
    ),
    Route(
        "GET",
        f"{PATH}/{{user}}",
        show,
        f"{POLICY}:show",
        answers=OneUserView,
        refuses=REFUSALS,
    ),
    Route(
        "PUT",
        f"{PATH}/{{user}}",
        update,
        f"{POLICY}:update",
        reads=UserUpdate,
        status=202,
        refuses=REFUSALS,
    ),
    Route(
        "DELETE",
        f"{PATH}/{{user}}",
        delete,
        f"{POLICY}:delete",
        status=202,
        refuses=REFUSALS,
    ),
)
