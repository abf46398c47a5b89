"""What an engine's server is: the hooks of everything that all engines share.

`life` moves it, `service` is its process, `data_directory` its first data, `probe` asks it. An
engine says here what of that is its own.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines import parameters
from chalicelib.engines.engine import Engine
from chalicelib.engines.parameter import Parameter, Scalar
from guest_agent.config import GuestConfig
from guest_agent.datastores import layers
from guest_agent.datastores.error_log import ErrorLog
from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.layout import Layout, below
from guest_agent.datastores.os_user import OsUser, database_user
from guest_agent.datastores.session import Session
from guest_agent.errors import BadRequest
from guest_agent.storage.room import OnVolume, size_gib

S = TypeVar("S", bound=Session)


class Server(ABC, Generic[S]):
    """The server of one guest; `mount_point` is where its volume is, as the guest sees it."""

    ENGINE: ClassVar[Engine]
    LAYOUT: ClassVar[type[Layout]]
    STOP_SIGNAL: ClassVar[signal.Signals] = signal.SIGTERM
    """What ends it in order, its customers' sessions too."""

    def __init__(self, guest: GuestConfig, mount_point: str) -> None:
        self.guest = guest
        self.layout = self.LAYOUT(guest.root, below(guest.root, mount_point))

    @property
    def user(self) -> OsUser:
        """Whom it runs as; `GuestError` when the guest has no such user."""
        name = self.guest.agent.database_user or self.ENGINE.os_user
        return database_user(name, self.guest.root)

    @property
    def maker(self) -> OsUser:
        """Whom the program runs as that makes its first data, which `user` gets."""
        return self.user

    @property
    def room(self) -> OnVolume:
        """The room on its volume."""
        return OnVolume(self.layout.volume)

    @property
    @abstractmethod
    def log(self) -> ErrorLog:
        """Where it says what went wrong."""

    @property
    @abstractmethod
    def argument(self) -> str:
        """What stands in its command line, and in no other server's."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it: a program that stays, with `argument` among its arguments."""

    def end_remains(self) -> None:
        """End what one that has died may have left at work in its data directory."""
        return

    def make_ready(self) -> None:
        """Put in its place what only one that does not run may be given, before it starts."""
        return

    @abstractmethod
    def making(self, flavor: Flavor) -> list[str]:
        """The program that makes a first data directory at `layout.unfinished`, and ends."""

    @property
    @abstractmethod
    def making_argument(self) -> str:
        """What stands in the command line of `making`, and of what that starts."""

    @abstractmethod
    def holds_data(self) -> bool:
        """Whether the data directory, which is there, is one of this engine."""

    @abstractmethod
    def require_version(self, number: str) -> None:
        """`GuestError` unless the engine is of the version `number`, and may go on with the data.

        Asked before it starts; nothing is touched.
        """

    @property
    def known(self) -> Mapping[str, Parameter]:
        """What may be set of it."""
        ordered = self.guest.agent
        return parameters.parameters(ordered.datastore_manager, ordered.datastore_version)

    def checked(self, values: Mapping[str, object]) -> dict[str, Scalar]:
        """Values of parameters as it takes them; `BadRequest` for what may not be set."""
        if not values:
            return {}
        ordered = self.guest.agent
        return parameters.check(
            ordered.datastore_manager, ordered.datastore_version, values, BadRequest
        )

    def chosen(self, flavor: Flavor, group: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """What its layers say together."""
        return {**self.template(flavor), **group}

    def template(self, flavor: Flavor) -> dict[str, Scalar]:
        """What we choose for it, by what its server and its volume have."""
        return self.ENGINE.chosen_for(flavor.ram, size_gib(self.layout.volume))

    def apply(self, session: S, flavor: Flavor, group: Mapping[str, Scalar]) -> bool:
        """Let it run with the values of a group that are written; whether it needs a restart.

        `BadRequest` for a value that it does not take.
        """
        known, chosen = self.known, self.chosen(flavor, group)
        wanted = {name: chosen.get(name, each.default) for name, each in known.items()}
        return layers.apply(
            *(known, wanted),
            lambda: self.held(session),
            lambda values: self.change(session, values),
        )

    @abstractmethod
    def write_configuration(self, flavor: Flavor, group: Mapping[str, Scalar]) -> bool:
        """Write what it reads when it starts; true when it would run with something else now."""

    def adopted(self, session: S) -> None:
        """Let one that an agent of before has started run with what is fixed now, where it takes
        that without a restart. Repeating it changes nothing."""
        return

    @abstractmethod
    def held(self, session: S) -> dict[str, Scalar]:
        """What it says of its parameters, of new sessions where each has its own."""

    @abstractmethod
    def change(self, session: S, values: Mapping[str, Scalar]) -> None:
        """Let it hold values that are written and need no restart; those it refuses are raised."""

    @abstractmethod
    def wanted(self, flavor: Flavor, group: Mapping[str, Scalar]) -> Mapping[str, int]:
        """The settings that are read back, as its configuration asks for them."""

    @abstractmethod
    def running(self, session: S) -> dict[str, int]:
        """The same as it says it has them."""

    def holds(self, wanted: Mapping[str, int], running: Mapping[str, int]) -> bool:
        """Whether it runs with what is wanted, as far as it can."""
        return all(running[name] == value for name, value in wanted.items())

    @abstractmethod
    def version(self, session: S) -> str:
        """The version that it tells of itself."""

    @abstractmethod
    def counters(self, session: S) -> Counters:
        """What it counts, by one statement that costs it next to nothing."""

    @abstractmethod
    def refuses_writes(self, session: S) -> bool:
        """Whether it takes no writes of its customers, as it says itself."""

    @abstractmethod
    def refuse_writes(self, session: S) -> None:
        """Let it take none, and put out whoever writes all the same. It is asked again and again.

        The agent's own go on, so that what is too much can be dropped through it.
        """

    def refuse_unasked(self) -> None:
        """Let it take none, where it reads so when it starts, or is signalled to read again: one
        that comes back by itself has customers before it has its agent."""
        return

    @abstractmethod
    def take_writes(self, session: S) -> None:
        """Let it take writes again."""

    @abstractmethod
    def connect(self, until: float) -> S:
        """A session as its administrator that ends at a moment (monotonic).

        Raises `NotListening`, `LockedOut`, `Unavailable`.
        """

    @abstractmethod
    def secure(self, session: S) -> list[str]:
        """Put the accounts of the system right; sentences about what was not.

        Repeating it changes nothing: it is looked at again and again.
        """
