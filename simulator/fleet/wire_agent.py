"""A fake guest on real queues: `python -m simulator.fleet.wire_agent --root DIR`.

The guest agent's own core, transport, journal and identity, over a datastore that is but a file on
its volume.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines.parameter import Scalar
from chalicelib.service_status import ServiceStatus as Status
from guest_agent import birth, loop
from guest_agent.agent import Agent
from guest_agent.clock import ServiceClock
from guest_agent.config import GuestConfig
from guest_agent.enrolment import Enrolment
from guest_agent.errors import GuestAgentError
from guest_agent.files import write_whole
from guest_agent.identity import DiskIdentity
from guest_agent.journal_store import SqliteStore
from guest_agent.transport import HttpPost, SqsQueues
from simulator.fleet.datastore import Contents, Database, User, Volume
from simulator.fleet.disk import Disk
from simulator.fleet.engines import USUAL
from simulator.fleet.managers import MANAGERS

VOLUME_FILE: Final = Path("dev/vdb/contents.json")
SIZE_GIB: Final = 1
# A simulated database takes its time; here somebody waits for it.
PACE: Final = 0.02

_log = logging.getLogger("wire_agent")


class _Account(msgspec.Struct):
    name: str
    host: str
    password: str
    grants: list[str]


class _Kept(msgspec.Struct):
    """What a volume and a server hold, as JSON."""

    prepared: bool
    stopped: bool
    at_boot: bool
    up: bool
    flavor: Flavor
    runs_for: Flavor
    configuration: dict[str, Scalar]
    runs_with: dict[str, Scalar]
    databases: dict[str, tuple[str, str]]
    users: list[_Account]
    root_password: str | None


class WireMachine:
    """The server that a manager believes to run on; what it writes outlives this process."""

    def __init__(self, root: Path, manager: str) -> None:
        self._file = root / VOLUME_FILE
        self._lock = threading.Lock()
        self._saved: _Kept | None = None
        self.disk = Disk()
        self.engine = USUAL[manager]
        self.volume: Volume | None = Volume(SIZE_GIB)
        self.up = False
        self.stuck = self.closed = self.failed = self.given_up = False
        self.starts = 0
        self.stopped_at = 0.0
        self.passing: Status | None = None
        self.runs_for = self.disk.flavor
        self.runs_with: Mapping[str, Scalar] = {}
        if self._file.exists():
            self._load(msgspec.json.decode(self._file.read_bytes(), type=_Kept))

    def here(self, life: int) -> None:
        """A process that was killed needs nobody to end it."""

    def spend(self, seconds: tuple[float, float]) -> None:
        """Make durable what was written, and let the shortest time pass in small."""
        self._save()
        time.sleep(seconds[0] * PACE)

    def _load(self, kept: _Kept) -> None:
        assert self.volume is not None
        self.disk.prepared, self.disk.stopped = kept.prepared, kept.stopped
        self.disk.at_boot, self.up = kept.at_boot, kept.up
        self.disk.flavor, self.runs_for = kept.flavor, kept.runs_for
        self.disk.configuration, self.runs_with = kept.configuration, kept.runs_with
        self.volume.restore(
            Contents(
                databases={name: Database(*about) for name, about in kept.databases.items()},
                users={
                    (user.name, user.host): User(user.password, frozenset(user.grants))
                    for user in kept.users
                },
                root_password=kept.root_password,
            )
        )

    def _save(self) -> None:
        assert self.volume is not None
        with self._lock:
            contents = self.volume.contents
            kept = _Kept(
                prepared=self.disk.prepared,
                stopped=self.disk.stopped,
                at_boot=self.disk.at_boot,
                up=self.up,
                flavor=self.disk.flavor,
                runs_for=self.runs_for,
                configuration=self.disk.configuration,
                runs_with=dict(self.runs_with),
                databases={
                    name: (each.character_set, each.collate)
                    for name, each in contents.databases.items()
                },
                users=[
                    _Account(name, host, user.password, sorted(user.grants))
                    for (name, host), user in contents.users.items()
                ],
                root_password=contents.root_password,
            )
            if kept != self._saved:
                write_whole(self._file, msgspec.json.encode(kept))
                self._saved = kept


def agent_of(guest: GuestConfig) -> Agent:
    """The shipped agent with everything but its datastore."""
    clock = ServiceClock()
    name = guest.agent.datastore_manager
    manager = MANAGERS[name](WireMachine(guest.root, name), life=1)
    _log.info(manager.start_up())
    return Agent(
        guest.agent,
        enrolment=Enrolment(guest, DiskIdentity(guest.state_folder), HttpPost(), clock),
        queues=SqsQueues(guest.agent.region, guest.agent.aws_endpoint_url, clock),
        store=SqliteStore(guest.state_folder / "journal.sqlite"),
        manager=manager,
        clock=clock,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run until the guest is retired (0) or cannot go on (1)."""
    parser = argparse.ArgumentParser(prog="wire_agent", description=__doc__)
    parser.add_argument("--root", required=True, help="root directory of the server")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        loop.run(agent_of(birth.load(Path(options.root))))
    except GuestAgentError as error:
        _log.error("The guest agent stops: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
