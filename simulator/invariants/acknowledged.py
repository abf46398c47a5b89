"""What requests on a database's contents say: which things each changes, and into what.

A thing is a database, a user or the superuser's login of one instance. Its state is None (it is not
there), a password with grants, or `UNKNOWN`. A change takes the state before to the one after, once
the request was accepted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from simulator.fleet.datastore import User

UNKNOWN: Final = "unknown"
THERE: Final = "there"
"""The state of a database that exists."""

State = User | str | None
_PATH: Final = re.compile(r"/v1\.0/[^/]+/instances/([^/?]+)/(databases|users|root)(/[^?]*)?")


class Thing(NamedTuple):
    """One thing in an instance's database; `kind` is databases, users or root."""

    instance_id: str
    kind: str
    name: str


Change = Callable[[State], State]


def changes_of(method: str, path: str, body: bytes, reply: Any = None) -> dict[Thing, Change]:
    """What a request changes if it is accepted; `reply` is the document of its answer, if known.

    Nothing where the body makes no sense: such a request is never accepted.
    """
    found = _PATH.match(path)
    if found is None or method == "GET":
        return {}
    try:
        return _changes(method, found, body, reply)
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _changes(method: str, found: re.Match[str], body: bytes, reply: Any) -> dict[Thing, Change]:
    instance_id, kind, rest = found[1], found[2], (found[3] or "").strip("/")
    document: Mapping[str, Any] = json.loads(body) if body else {}
    if kind == "root":
        password = (reply or {}).get("user", {}).get("password", UNKNOWN)
        after: State = User(password) if method == "POST" else None
        return {Thing(instance_id, "root", "root"): _becomes(after)}
    if kind == "databases":
        if method == "DELETE":
            return {Thing(instance_id, kind, unquote(rest)): _becomes(None)}
        names = [each["name"] for each in document["databases"]]
        return {Thing(instance_id, kind, name): _becomes(THERE) for name in names}
    return _users(method, instance_id, rest, document)


def _users(
    method: str, instance_id: str, rest: str, document: Mapping[str, Any]
) -> dict[Thing, Change]:
    name, _, access = rest.partition("/")
    named = Thing(instance_id, "users", unquote(name))
    if access:  # databases, or databases/{name}
        database = unquote(access.partition("/")[2])
        if method == "DELETE":
            return {named: lambda user: _granted(user, (), {database})}
        wanted = {each["name"] for each in document["databases"]}
        return {named: lambda user: _granted(user, wanted, ())}
    if method == "DELETE":
        return {named: _becomes(None)}
    if name:
        return _attributes(named, document["user"])
    found: dict[Thing, Change] = {}
    for each in document["users"]:
        grants = frozenset(database["name"] for database in each.get("databases") or ())
        thing = Thing(instance_id, "users", each["name"])
        after = User(each["password"], grants)
        found[thing] = _becomes(after) if method == "POST" else _with_password(after.password)
    return found


def _attributes(named: Thing, wanted: Mapping[str, Any]) -> dict[Thing, Change]:
    """Another password; or another name, which takes what the user was along: not followed."""
    if "password" in wanted:
        return {named: _with_password(wanted["password"])}
    other = Thing(named.instance_id, "users", wanted["name"])
    if other == named:
        return {named: lambda user: user}
    return {named: _becomes(None), other: _becomes(UNKNOWN)}


def _becomes(state: State) -> Change:
    return lambda _: state


def _with_password(password: str) -> Change:
    def change(user: State) -> State:
        return User(password, user.grants) if isinstance(user, User) else UNKNOWN

    return change


def _granted(user: State, more: Any, fewer: Any) -> State:
    if not isinstance(user, User):
        return UNKNOWN
    return User(user.password, (user.grants | frozenset(more)) - frozenset(fewer))
