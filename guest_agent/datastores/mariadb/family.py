"""What the servers of MariaDB and MySQL have in common: a hook in one place, for both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines.parameter import Scalar
from guest_agent.datastores import processes
from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.mariadb import configuration, counters, writes
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.server import Server

S = TypeVar("S", bound=Session)


class FamilyServer(Server[S]):
    """One server, known by the configuration file in its command line."""

    LAYOUT: ClassVar[type[Layout]] = Layout
    layout: Layout

    @property
    def argument(self) -> str:
        return f"--defaults-file={self.layout.config}"

    def command(self) -> list[str]:
        return [processes.program(self.layout.PROGRAM), self.argument]

    @property
    def making_argument(self) -> str:
        return f"--datadir={self.layout.unfinished}"

    @abstractmethod
    def write_init_file(self) -> None:
        """Write what it runs before it takes connections."""

    def write_configuration(self, flavor: Flavor, group: Mapping[str, Scalar]) -> bool:
        self.write_init_file()
        template, address = self.template(flavor), self.guest.bind_address
        return configuration.write(self.layout, address, template, group)

    def held(self, session: S) -> dict[str, Scalar]:
        return configuration.held(session, self.known)

    def change(self, session: S, values: Mapping[str, Scalar]) -> None:
        configuration.change(session, values)

    def wanted(self, flavor: Flavor, group: Mapping[str, Scalar]) -> Mapping[str, int]:
        chosen = self.chosen(flavor, group)
        return {name: int(chosen[name]) for name in configuration.READ_BACK}

    def running(self, session: S) -> dict[str, int]:
        return configuration.running(session)

    def version(self, session: S) -> str:
        return configuration.version(session)

    def counters(self, session: S) -> Counters:
        return counters.read(session)

    def refuses_writes(self, session: S) -> bool:
        return writes.refused(session)

    def take_writes(self, session: S) -> None:
        writes.take(session)
