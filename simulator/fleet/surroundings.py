"""What guests have around them: the world of a fleet, what is wrong with one, and its user data."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from chalicelib.bus.contract import RELEASE
from guest_agent.config import AGENT_FILE, AgentFile
from simulator.cloud.cloud_init import files_of
from simulator.effects import Effects
from simulator.fleet.datastore import Volume
from simulator.fleet.engines import USUAL, Engine
from simulator.fleet.manager import SimManager
from simulator.fleet.managers import manager_of
from simulator.fleet.queues import Region
from simulator.kernel import Kernel

_AGENT_PATH: Final = f"/{AGENT_FILE}"


class Condition(msgspec.Struct, frozen=True):
    """What is wrong with a guest from outside. `lost`: nothing it sends arrives; `deaf`: no answer
    reaches it; `slowness`: by how much its disk is slower."""

    hung: bool = False
    lost: bool = False
    deaf: bool = False
    slowness: float = 1.0


FINE: Final = Condition()
NONE: Final = Engine("", starts=False)


@dataclass(slots=True)
class Surroundings:
    """What all guests of a fleet share.

    `skew` is the error of a server's clock, by server id. With `effects`, what a guest writes to
    its journal and its database are effects as well (service "guest").
    """

    kernel: Kernel
    region: Region
    skew: dict[object, float]
    chance: random.Random
    effects: Effects | None = None
    volumes: dict[str, Volume] = field(default_factory=dict)
    engines: dict[tuple[str, str], Engine] = field(default_factory=dict)
    """By the id of the image and the name of a manager, where it is not the usual one."""
    shared: dict[str, str] = field(default_factory=dict)
    said: Callable[[str, str], None] | None = None
    """Told each sentence of a guest: the server's id and what it says."""
    broken: list[tuple[str, BaseException]] = field(default_factory=list)
    """Errors that no agent should end with: defects."""
    manager: Callable[..., SimManager] = manager_of
    """Makes the manager of an agent's life: of a machine, its life, and what performs a change."""
    release: Callable[[], int] = lambda: RELEASE
    """The release of the agent on the first root disk of a server; what is rebuilt gets today's."""
    polling: int = 0
    poll_seconds: float = 0.0
    polls_counted_at: float = 0.0

    def perform(self, name: str, change: Callable[[], None]) -> None:
        """Make a change on a guest's disk or volume."""
        if self.effects is None:
            change()
        else:
            self.effects.perform("guest", name, change)

    def engine_of(self, image_id: str, ordered: AgentFile | None) -> Engine:
        """What a server of that image runs that was ordered so; one that was not runs nothing."""
        if ordered is None:
            return NONE
        manager = ordered.datastore_manager
        return self.engines.get((image_id, manager), USUAL[manager])

    def share(self, text: str) -> str:
        """The one string of this text, for texts that many guests hold."""
        return self.shared.setdefault(text, text)

    def count_polling(self, change: int) -> None:
        """Keep the time that guests have spent polling; `change` of them begin or end it."""
        now = self.kernel.now
        self.poll_seconds += self.polling * (now - self.polls_counted_at)
        self.polls_counted_at = now
        self.polling += change


def agent_file_of(user_data: bytes, share: Callable[[str], str]) -> AgentFile | None:
    """The agent's configuration as cloud-init would write it; None when it does not."""
    try:
        files: Mapping[str, bytes] = files_of(user_data)
        found = msgspec.json.decode(files[_AGENT_PATH], type=AgentFile)
    except (KeyError, ValueError):
        return None
    common = ("control_url", "datastore_manager", "datastore_version", "region", "database_user")
    changes = {name: share(getattr(found, name)) for name in common}
    if found.aws_endpoint_url is not None:
        changes["aws_endpoint_url"] = share(found.aws_endpoint_url)
    return msgspec.structs.replace(found, **changes)
