"""What a datastore's manager must know after the agent or the server was started again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines.parameter import Scalar
from guest_agent.files import write_whole

STATE_FILE: Final = "datastore.json"


class DatastoreState(msgspec.Struct, frozen=True):
    """`prepared`: prepare has finished. `stopped`: by command. `at_boot`: start with the server.

    `flavor` is what the server was configured for last, `next_flavor` what it is to be configured
    for when its server is switched on again, until it is told for what. `configuration` is what a
    configuration group chooses, `fallback` what it chose before, until the database has taken it.
    """

    prepared: bool = False
    stopped: bool = False
    at_boot: bool = True
    volume_id: str = ""
    device_path: str = ""
    mount_point: str = ""
    flavor: Flavor = Flavor(ram=512, vcpus=1)
    configuration: dict[str, Scalar] = {}
    fallback: dict[str, Scalar] | None = None
    next_flavor: Flavor | None = None


def load(folder: Path) -> DatastoreState:
    """The saved state; that of a new server when there is none."""
    try:
        return msgspec.json.decode((folder / STATE_FILE).read_bytes(), type=DatastoreState)
    except FileNotFoundError:
        return DatastoreState()


def save(folder: Path, state: DatastoreState) -> None:
    """Save durably."""
    write_whole(folder / STATE_FILE, msgspec.json.encode(state))
