"""One cloud in real time: the model with a real clock, processes as guests, an HTTP server."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import secrets
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import uvicorn
from starlette.applications import Starlette

from simulator.cloud.http.app import make_app
from simulator.cloud.hypervisor import ProcessHypervisor
from simulator.cloud.model.cloud import Cloud, Passwords
from simulator.cloud.model.settings import CloudSettings

GRACE_SECONDS = 2

log = logging.getLogger(__name__)


class StartError(Exception):
    """The cloud cannot start; the message says what to do."""


@dataclass(frozen=True)
class Bootstrap:
    """What the `--bootstrap` file holds."""

    region: str
    passwords: Passwords

    @classmethod
    def read(cls, path: Path) -> Bootstrap:
        """Read the file; StartError when it is missing or incomplete."""
        try:
            document = json.loads(path.read_text())
            passwords = Passwords(
                admin=document["admin_password"],
                service=document["service_password"],
                demo=document["demo_password"],
                validation=document["validation_password"],
            )
            return cls(document.get("region", "RegionOne"), passwords)
        except OSError as error:
            raise StartError(f"cannot read the bootstrap file: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StartError(
                f"{path} has to be JSON with admin_password, service_password, demo_password "
                "and validation_password"
            ) from error


class RandomIds:
    """Real ids and tokens."""

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())

    def token(self) -> str:
        """32 random bytes for a URL."""
        return secrets.token_urlsafe(32)


def call_later(seconds: float, action: Callable[[], None]) -> None:
    """Run an action on the running event loop after some seconds."""
    asyncio.get_running_loop().call_later(seconds, action)


def serve(
    state: Path,
    host: str,
    port: int,
    bootstrap: Bootstrap,
    settings: CloudSettings,
    agent_command: Sequence[str],
) -> None:
    """Run until SIGTERM or SIGINT; every guest is killed at the end.

    Raises StartError when the state folder or the port is in use.
    """
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _lock(state), _listen(host, port) as listener:
        hypervisor = ProcessHypervisor(state, agent_command)
        killed = hypervisor.clean()
        if killed:
            log.warning("killed %d processes that a previous run left", killed)
        cloud = Cloud(time.time, RandomIds(), call_later, hypervisor, settings)
        url = f"http://{host}:{listener.getsockname()[1]}"
        cloud.bootstrap(bootstrap.passwords, url)

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            log.info("the cloud answers at %s", url)
            yield
            await hypervisor.close()
            log.info("every guest is stopped")

        config = uvicorn.Config(
            make_app(cloud, url, hypervisor, lifespan),
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _lock(state: Path) -> IO[str]:
    """Hold the state folder, so that a second cloud on it cannot clean the first one's guests."""
    file = (state / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StartError(
            f"another cloud runs on the state folder {state}; stop it first"
        ) from error
    return file


def _listen(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's delay of 40 ms off only for a socket that says that it is TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"{host}:{port} cannot be used ({error.strerror}); choose another --port"
        ) from error
    return listener
