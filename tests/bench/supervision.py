"""What an agent says of a database in trouble, and how soon: `python -m tests.bench.supervision`.

Each engine, on a small volume of its own, is killed, held, filled and damaged below a real agent.
Seconds are from the harm to what the agent tells of it, and to the customer's next row, which for
what holds on (a hang, a full volume, damage) comes after the cause is taken away. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.table import Table

from guest_agent.storage import room
from tests.bench.tables import console
from tests.guest_agent.control_plane import ControlPlane, wait_for
from tests.guest_agent.datastores.customer import ENGINES, Customer, Engine, first_start
from tests.guest_agent.datastores.volumes import fill, small
from tests.guest_agent.server import Server, suspend
from tests.support.loopback import free_address

PATIENCE_SECONDS: Final = 60.0
Mend = Callable[[], None]


class Watched(Customer):
    """A database below a real agent, and what that tells of it."""

    def __init__(self, engine: Engine, server: Server, control: ControlPlane) -> None:
        super().__init__(engine, server)
        self.control = control
        asked = control.send(control.command("prepare", first_start(engine)))
        server.start_agent()
        answer = control.answer(asked)
        assert answer.error is None, answer.error
        self.begin()
        wait_for(lambda: self.said()["status"] == "healthy")

    def said(self) -> dict[str, Any]:
        """The last heartbeat."""
        beats = self.control.reports("heartbeats")
        return (beats[-1].result or {}) if beats else {"status": ""}

    def events(self) -> list[dict[str, Any]]:
        """What the agent has told of the database's own life."""
        return [beat.result or {} for beat in self.control.reports() if beat.kind == "event"]

    def serves(self) -> bool:
        """Whether a row is taken."""
        with contextlib.suppress(Exception):
            self.write()
            return True
        return False

    @property
    def pid(self) -> int:
        found = self.server.database()
        assert found is not None
        return found


def kill(guest: Watched) -> Mend:
    """End it as the kernel does."""
    os.kill(guest.pid, signal.SIGKILL)
    return lambda: None


def hold(guest: Watched) -> Mend:
    """Let it hang."""
    pid = guest.pid
    suspend(pid)
    return lambda: os.kill(pid, signal.SIGCONT)


def fill_up(guest: Watched) -> Mend:
    """Leave less than what lets it take writes."""
    found = room.OnVolume(guest.server.volume).look()
    assert found is not None
    filler = fill(guest.server.volume, leave=found.low // 2)
    return filler.unlink


def fill_and_kill(guest: Watched) -> Mend:
    """Leave nothing, and end it: it has to start on a full volume."""
    filler = fill(guest.server.volume)
    os.kill(guest.pid, signal.SIGKILL)
    return filler.unlink


def damage(guest: Watched) -> Mend:
    """Spoil what it reads first when it starts, and end it; mended by hand, as from a backup."""
    data = guest.server.volume / "data"
    spoiled = {
        "mariadb": lambda: data / "ibdata1",
        "postgresql": lambda: data / "global/pg_control",
        "redis": lambda: max((data / "appendonlydir").glob("*.incr.aof")),
    }[guest.engine.manager]()
    os.kill(guest.pid, signal.SIGKILL)
    whole = spoiled.read_bytes()
    with spoiled.open("r+b") as stream:
        stream.write(b"damaged\r\n" * 10)

    def mend() -> None:
        with spoiled.open("r+b") as stream:
            stream.write(whole)

    return mend


HARMS: Final = {
    "kill -9": kill,
    "SIGSTOP": hold,
    "volume nearly full": fill_up,
    "volume full, kill -9": fill_and_kill,
    "data damaged by hand": damage,
}


def after(began: float, happened: Callable[[], object]) -> float:
    """Seconds from a moment until something has happened."""
    wait_for(happened, PATIENCE_SECONDS)
    return time.monotonic() - began


def row(guest: Watched, name: str) -> tuple[tuple[str, ...], float]:
    """One harm, what was said of it, and when it served again."""
    before = len(guest.events())
    began = time.monotonic()
    mend = HARMS[name](guest)
    told = after(began, lambda: len(guest.events()) > before)
    if name == "data damaged by hand":  # the death is told first, and then why it does not start
        told = after(began, lambda: "exit code" in guest.events()[-1]["text"])
    if name == "volume full, kill -9":
        told = after(began, lambda: guest.said()["status"] == "blocked")
    event = guest.events()[-1]
    since = began if name == "kill -9" else time.monotonic()
    mend()
    serves = after(since, guest.serves)
    wait_for(lambda: guest.events()[-1]["kind"] == "healthy", PATIENCE_SECONDS)
    return (guest.engine.manager, name, f"{told:.1f}", f"{event['kind']}: {event['text']}"), serves


@contextlib.contextmanager
def watched(engine: Engine) -> Iterator[Watched]:
    """One on a volume of its own."""
    control = ControlPlane()
    server = Server(
        free_address(),
        control.url,
        datastore_manager=engine.manager,
        datastore_version=engine.version,
    )
    try:
        with small(server.volume, engine.volume_mib):
            try:
                yield Watched(engine, server, control)
            finally:
                server.kill_everything()
        server.close()
    finally:
        control.close()


def main() -> None:
    """Print the table of the docs."""
    shown = Table(title="A database in trouble below its agent", title_justify="left")
    for column in ("engine", "what", "told (s)", "as", "serves again (s)"):
        shown.add_column(column)
    for engine in ENGINES:
        with watched(engine) as guest:
            for name in HARMS:
                told, serves = row(guest, name)
                shown.add_row(*told, f"{serves:.1f}")
    console.print(shown)


if __name__ == "__main__":
    main()
