"""The users of an instance's database. A user's id is `name@host`; without a host, any host."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from chalicelib.api.contents import Grants, UserBody, Users, checked_users, user_view
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import call, call_once
from chalicelib.api.paging import limit_of, name_marker_of, quoted
from chalicelib.api.schema import Body
from chalicelib.bus import contract
from chalicelib.domain import bounds, contents
from chalicelib.errors import BadRequest
from chalicelib.settings import API_VERSION

PATH: Final = f"/{API_VERSION}/{{project}}/instances/{{instance}}/users"
POLICY: Final = "instance:extension:user"


class CreateBody(Body, frozen=True):
    """Body of POST users."""

    users: Users


class PasswordBody(Body, frozen=True):
    """A user, as it was made or is shown, and a new password; what it may use stays as it is."""

    name: str
    password: str
    host: str | None = None
    databases: Grants | None = None


class PasswordsBody(Body, frozen=True):
    """Body of PUT users: new passwords."""

    users: Annotated[list[PasswordBody], msgspec.Meta(max_length=bounds.MAX_USERS)]


class Attributes(Body, frozen=True):
    """What can be changed of one user."""

    name: str | None = None
    password: str | None = None
    host: str | None = None

    def checked(self) -> dict[str, str]:
        """The attributes given; `BadRequest` when there is none, or a rule is broken."""
        chosen: dict[str, str] = {}
        if self.name is not None:
            chosen["name"] = contents.user_name(self.name)
        if self.password is not None:
            chosen["password"] = contents.password(self.password)
        if self.host is not None:
            chosen["host"] = contents.host(self.host)
        if not chosen:
            raise BadRequest("Validation error: user must have at least 1 property to change")
        return chosen


class UpdateBody(Body, frozen=True):
    """Body of PUT users/{id}."""

    user: Attributes


def index(request: Request) -> Response:
    """GET users, a page of them."""
    page = {"limit": limit_of(request.query), "marker": name_marker_of(request.query)}
    found = call(request, contract.LIST_USERS, {**page, "include_marker": False})
    body: dict[str, Any] = {"users": [user_view(user) for user in found.users]}
    if marker := found.next_marker:
        body["links"] = request.place.next_page(quoted(marker))
    return Response(200, body)


def create(request: Request) -> Response:
    """POST users."""
    users = checked_users(request.json(CreateBody).users)
    return call_once(request, contract.CREATE_USER, Response(202), lambda _: {"users": users})


def change_passwords(request: Request) -> Response:
    """PUT users: new passwords for some."""
    wanted = request.json(PasswordsBody).users
    users = checked_users([UserBody(user.name, user.password, user.host) for user in wanted])
    changes = [{key: user[key] for key in ("name", "host", "password")} for user in users]
    call(request, contract.CHANGE_PASSWORDS, {"users": changes})
    return Response(202)


def show(request: Request) -> Response:
    """GET users/{id}."""
    found = call(request, contract.GET_USER, addressed(request))
    return Response(200, {"user": user_view(found.user)})


def update(request: Request) -> Response:
    """PUT users/{id}: another name, host or password."""
    attributes = request.json(UpdateBody).user.checked()
    call(request, contract.UPDATE_ATTRIBUTES, {**changeable(request), "user_attrs": attributes})
    return Response(202)


def delete(request: Request) -> Response:
    """DELETE users/{id}."""
    user = changeable(request)
    named = {"name": user["username"], "host": user["hostname"]}
    call(request, contract.DELETE_USER, {"user": named})
    return Response(202)


def addressed(request: Request) -> dict[str, str]:
    """The user in the path, as the guest's methods take it."""
    name, host = contents.user_and_host(request.params["user"])
    return {"username": name, "hostname": host}


def changeable(request: Request) -> dict[str, str]:
    """The user in the path when it is not one of the service's own; `BadRequest` otherwise."""
    user = addressed(request)
    contents.user_name(user["username"])
    return user


ROUTES: Final = (
    Route("GET", PATH, index, f"{POLICY}:index"),
    Route("POST", PATH, create, f"{POLICY}:create"),
    Route("PUT", PATH, change_passwords, f"{POLICY}:update_all"),
    Route("GET", f"{PATH}/{{user}}", show, f"{POLICY}:show"),
    Route("PUT", f"{PATH}/{{user}}", update, f"{POLICY}:update"),
    Route("DELETE", f"{PATH}/{{user}}", delete, f"{POLICY}:delete"),
)
