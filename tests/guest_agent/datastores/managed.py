"""A manager with its real engine, asked without an agent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import pytest

from chalicelib.service_status import ServiceStatus
from guest_agent import birth
from guest_agent.datastores.server_manager import ServerManager
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.server import Server, prepare_args
from tests.support.loopback import free_address


class Managed:
    """A prepared engine; its server has a number of its own, as on a host that several share."""

    MANAGER: ClassVar[type[ServerManager[Any]]]
    USER: ClassVar[tuple[str, int]]
    """Of the operating system, whom the engine runs as."""
    ASKED: ClassVar[dict[str, Any]]
    """With what it is prepared, beside what is usual; its `datastore` is there."""

    def __init__(self, server: Server) -> None:
        self.server = server
        if os.geteuid() == 0:
            name, number = self.USER
            users = self.server.root / "etc/passwd"
            users.write_text(f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n")
        self.manager = self.MANAGER(birth.load(self.server.root))
        self.call("prepare", **prepare_args(**self.ASKED))

    def call(self, method: str, **args: Any) -> dict[str, Any]:
        return self.manager.call(method, args, lambda stage: None)

    def wait_until_crashed(self) -> None:
        """Its parent takes note of the end."""
        wait_for(lambda: self.manager.condition().status is ServiceStatus.CRASHED)


M = TypeVar("M", bound=Managed)


@contextmanager
def one(kind: type[M]) -> Iterator[M]:
    """One for all tests of a module, which clean up after themselves."""
    order = {f"datastore_{name}": value for name, value in kind.ASKED["datastore"].items()}
    with pytest.MonkeyPatch.context() as patch:
        server = Server(free_address(), "http://127.0.0.1:9", **order)
        patch.setenv("COFFER_SERVER_ID", server.id)
        try:
            made = kind(server)
            yield made
            server.kill_everything()
            made.wait_until_crashed()
        finally:
            server.close()
