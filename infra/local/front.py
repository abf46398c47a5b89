"""The address of the API on this machine, whose path begins with the API's version.

Trove's legacy client takes the first segment of the endpoint's path for the version, and the
emulator's URLs begin with `/_aws`: a proxy of a few lines stands in front of them. It starts last,
since it has to know the id of the API that was deployed.
"""

import socket
import sys
from typing import Final

from infra.local.processes import PartProcess, require_free
from infra.local.settings import HOST, StackSettings
from infra.package.sources import PROJECT_ROOT

START_TIMEOUT_SECONDS: Final = 15.0
# It keeps nothing: there is nothing to wait for.
GRACE_SECONDS: Final = 0.5
CONNECT_SECONDS: Final = 2.0


def process(settings: StackSettings) -> PartProcess:
    """The front as a part of the stack."""
    return PartProcess("API front", settings.front, settings.state, grace_seconds=GRACE_SECONDS)


def require_place(settings: StackSettings) -> None:
    """Raise PortInUseError, before anything is started, when somebody else has the front's port."""
    if process(settings).running() is None:
        require_free(settings.api_port, "--api-port")


def ensure(settings: StackSettings, target: str) -> bool:
    """Have the front lead to the API at `target`; False when it did already."""
    part = process(settings)
    if part.running() is not None:
        if settings.recorded().get("front_target") == target:
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
    settings.record(front_target=target)
    return True


def answers(settings: StackSettings) -> bool:
    """Whether the front listens; what the API says is not its matter."""
    try:
        socket.create_connection((HOST, settings.api_port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
