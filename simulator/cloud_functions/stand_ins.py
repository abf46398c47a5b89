"""What the stand-ins of each service share: whose calls they are, owners, absence, order, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from chalicelib.cloud import names
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest, NotFound
from simulator.cloud.model.floating import FloatingAddress
from simulator.cloud.model.network import Port
from simulator.cloud.model.security_groups import SecurityGroup
from simulator.cloud.model.server import Server
from simulator.cloud.model.snapshot import Snapshot
from simulator.cloud.model.volume import Volume

T = TypeVar("T")
Thing = TypeVar("Thing", Server, Volume, Snapshot, Port, SecurityGroup, FloatingAddress)
Functions = dict[ModuleType, dict[str, Callable[..., Any]]]
"""Stand-ins by the module and the name of the original."""


class StandIns:
    """The functions of one service, bound to one cloud and one caller."""

    def __init__(self, cloud: Cloud, caller: Caller) -> None:
        self.cloud = cloud
        self.caller = caller

    def marked(self, project_id: str, metadata: Mapping[str, str]) -> str | None:
        """The instance that metadata name as the owner, if the thing is the service's."""
        own = project_id == self.caller.project_id
        return names.marked_in_metadata(metadata) if own else None

    def described(self, project_id: str, description: str) -> str | None:
        """The instance that a description names as the owner, if the thing is the service's."""
        own = project_id == self.caller.project_id
        return names.marked_in_description(description) if own else None


def unless_gone(call: Callable[[], T]) -> T | None:
    """What the call returns, or None for what is not there."""
    try:
        return call()
    except NotFound:
        return None


def oldest_first(things: Iterable[Any]) -> list[Any]:
    """As the originals order them: Nova and Neutron tell whole seconds."""
    return sorted(things, key=lambda thing: (int(thing.created_at), thing.id))


def page_of(things: Sequence[Thing], after: str | None, limit: int) -> Sequence[Thing]:
    """The page that follows a thing, as every service cuts it."""
    ids = [thing.id for thing in things]
    if after is not None and after not in ids:
        raise BadRequest(f"marker [{after}] not found")
    begin = ids.index(after) + 1 if after is not None else 0
    return things[begin : begin + limit]
