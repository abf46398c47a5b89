"""Redis's server: its command line, its log, its configuration, its users."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Final

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines import redis
from chalicelib.engines.parameter import Scalar
from guest_agent.datastores import installed, processes
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.redis import configuration, counters, resp, superuser, writes
from guest_agent.datastores.redis.layout import ACL_FILE, Layout
from guest_agent.datastores.redis.resp import Session
from guest_agent.datastores.server import Server
from guest_agent.errors import GuestError

PORT: Final = "port"
_HOLDS: Final = (ACL_FILE, "appendonlydir", "dump.rdb")
# What it says at the level of a warning when nothing is wrong is left out.
_ERROR: Final = re.compile(
    r"[0-9]+:[A-Z] .{10,40}? # "
    r"(?!Redis version|Configuration loaded|Server initialized|warning|user requested|"
    r"redis is now)",
    re.IGNORECASE,
)
_TOLD_VERSION: Final = re.compile(r"v=([0-9.]{1,63})")
_DAMAGE: Final = re.compile(
    r"Bad file format|Unexpected end of file|Wrong RDB checksum|Internal error in RDB|[Cc]orrupt"
)


class RedisServer(Server[Session]):
    """One redis-server, known by the configuration file in its command line."""

    ENGINE: ClassVar = redis.ENGINE
    LAYOUT: ClassVar = Layout
    layout: Layout

    @cached_property
    def log(self) -> ErrorLog:
        return ErrorLog(self.layout.error_log, "Redis is starting", _ERROR, _DAMAGE)

    @property
    def argument(self) -> str:
        return str(self.layout.config)

    def command(self) -> list[str]:
        return [processes.program("redis-server"), self.argument]

    def make_ready(self) -> None:
        superuser.write_file(self.layout.data, self.guest.state_folder, self.user)

    @property
    def making_argument(self) -> str:
        return str(self.layout.unfinished / ACL_FILE)

    def making(self, flavor: Flavor) -> list[str]:
        """An empty ACL file: Redis makes everything else itself."""
        return [processes.program("touch"), self.making_argument]

    def holds_data(self) -> bool:
        return any((self.layout.data / name).exists() for name in _HOLDS)

    def require_version(self, number: str) -> None:
        """Data of a later version it refuses itself, and leaves alone, when it starts."""
        command = [processes.program("redis-server"), "--version"]
        installed.require(installed.version(command, _TOLD_VERSION), number)

    def write_configuration(self, flavor: Flavor, group: Mapping[str, Scalar]) -> bool:
        template = self.template(flavor)
        return configuration.write(self.layout, self.guest.bind_address, template, group)

    def held(self, session: Session) -> dict[str, Scalar]:
        return configuration.held(session, self.known)

    def change(self, session: Session, values: Mapping[str, Scalar]) -> None:
        configuration.change(session, values)

    def wanted(self, flavor: Flavor, group: Mapping[str, Scalar]) -> Mapping[str, int]:
        chosen = self.chosen(flavor, group)
        return {name: int(chosen[name]) for name in (configuration.MEMORY, configuration.CLIENTS)}

    def running(self, session: Session) -> dict[str, int]:
        return self._told(session, configuration.MEMORY, configuration.CLIENTS)

    @staticmethod
    def _told(session: Session, *names: str) -> dict[str, int]:
        told = session.ask("CONFIG", "GET", *names)
        words = [each for each in told if isinstance(each, bytes)] if isinstance(told, list) else []
        pairs = zip(words[::2], words[1::2], strict=True)
        return {name.decode(): int(value) for name, value in pairs}

    def holds(self, wanted: Mapping[str, int], running: Mapping[str, int]) -> bool:
        """It lets in fewer where the system gives it fewer open files."""
        memory, clients = configuration.MEMORY, configuration.CLIENTS
        return running[memory] == wanted[memory] and running[clients] <= wanted[clients]

    def version(self, session: Session) -> str:
        return counters.info(session, "server").get("redis_version", "")[:64]

    def counters(self, session: Session) -> Counters:
        return counters.read(session)

    def refuses_writes(self, session: Session) -> bool:
        return writes.refused(session)

    def refuse_writes(self, session: Session) -> None:
        writes.refuse(session)

    def take_writes(self, session: Session) -> None:
        writes.take(session)

    def connect(self, until: float) -> Session:
        password = superuser.secret(self.guest.state_folder)
        return resp.connect(self.layout.data, self.user.uid, until, password)

    def secure(self, session: Session) -> list[str]:
        """Also opens it to the network, which it is started without: before that nobody but the
        agent takes its connections, and after it the agent has one."""
        said = superuser.secure(session)
        port = redis.ENGINE.tcp_ports[0]
        if self._told(session, PORT)[PORT] != port:
            try:
                session.ask("CONFIG", "SET", PORT, str(port))
            except GuestError:
                raise GuestError(f"the database cannot listen on its port {port}") from None
        return said
