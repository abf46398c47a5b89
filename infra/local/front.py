"""The address of the API on this machine, whose path begins with the API's version.

Trove's legacy client takes the first segment of the endpoint's path for the version, and the
emulator's URLs begin with `/_aws`: a proxy of a few lines stands in front of them. It starts last,
since it has to know the id of the API that was deployed.
"""

import socket
import sys
from pathlib import Path
from typing import Final, Protocol

from infra.local.processes import PartProcess, require_free
from infra.local.settings import HOST
from infra.package.sources import PROJECT_ROOT

START_TIMEOUT_SECONDS: Final = 15.0
# It keeps nothing: there is nothing to wait for.
GRACE_SECONDS: Final = 0.5
CONNECT_SECONDS: Final = 2.0


class Place(Protocol):
    """Where a front lives: the state folder that it belongs to, its own folder in it, its port."""

    @property
    def state(self) -> Path: ...
    @property
    def front(self) -> Path: ...
    @property
    def api_port(self) -> int: ...


def process(settings: Place) -> PartProcess:
    """The front as a part of the stack."""
    return PartProcess("API front", settings.front, settings.state, grace_seconds=GRACE_SECONDS)


def require_place(settings: Place) -> None:
    """Raise PortInUseError, before anything is started, when somebody else has the front's port."""
    if process(settings).running() is None:
        require_free(settings.api_port, "--api-port")


def ensure(settings: Place, target: str) -> bool:
    """Have the front lead to the API at `target`; False when it did already."""
    part = process(settings)
    present = settings.front / "target"
    if part.running() is not None:
        if present.exists() and present.read_text() == target:
            return False
        part.stop()  # its socket may outlive it for a moment
    else:
        require_place(settings)
    command = [
        *(sys.executable, "-m", "infra.local.proxy"),
        *("--host", HOST, "--port", str(settings.api_port), "--target", target),
    ]
    part.start(command, {"PYTHONUNBUFFERED": "1"}, PROJECT_ROOT)
    part.wait_until(lambda: answers(settings), START_TIMEOUT_SECONDS)
    present.write_text(target)
    return True


def answers(settings: Place) -> bool:
    """Whether the front listens; what the API says is not its matter."""
    try:
        socket.create_connection((HOST, settings.api_port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
