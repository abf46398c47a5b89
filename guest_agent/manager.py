"""The one interface between the agent's core and a datastore; each datastore implements it once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from chalicelib.bus.contract import METHODS, Method, answers, arguments
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.engines.engine import Part
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.backups.store import OpenStore
from guest_agent.errors import BadRequest, NotSupported
from guest_agent.releases import Releases

if TYPE_CHECKING:  # what implements it imports this module
    from guest_agent.datastores.log import Log, Sent

NOTHING_TO_WATCH_SECONDS: Final = 60.0

Progress: TypeAlias = Callable[[str], None]
ListPieces: TypeAlias = Callable[[str, str], bytes]
"""`Enrolment.pieces`: those of an archive behind a number, as JSON."""


class Condition(msgspec.Struct, frozen=True):
    """How a server is: its status, why (a sentence's inside, for the customer), and what it needs.

    `start_wanted`: it should run and does not, so that `start_again` is due. `notices` are
    sentences about what was found and put right since the last look. `damaged`: it answers, and the
    reason says what of its data it has found damaged.
    """

    status: Status
    reason: str = ""
    start_wanted: bool = False
    notices: tuple[str, ...] = ()
    damaged: bool = False


class Manager(ABC):
    """Executes the guest contract on one datastore: its server, and the parts that it has.

    Methods return the command's answer, or raise a `CommandFailed`. They are called from several
    threads: long methods run beside the loop, `condition` beside all.
    """

    releases: Releases | None = None
    """Of the agent, where it runs from a disk."""
    open_store: OpenStore | None = None
    """Where backups lie, for a manager that makes them."""
    list_pieces: ListPieces | None = None
    """What lies in the store of a log, for a manager that replays it."""
    want_log: Callable[[arguments.Archive | None], bool] | None = None
    """Tells the agent where the log is to be sent; whether it is kept without a restart."""
    log_place: Callable[[], Sent | None] | None = None
    """Up to where the archive that runs was sent."""

    def call(self, name: str, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Execute one command by the name it has in the contract; its result as JSON has it."""
        method = METHODS.get(name)
        if method is None:
            raise NotSupported(f"this guest agent has no method {name!r}")
        if not isinstance(self, PARTS[method.part]):
            raise NotSupported(f"this datastore has no method {name!r}")
        request = _typed(method, args)
        handler = getattr(self, name)
        answer = handler(request, progress) if method.reports else handler(request)
        result: dict[str, Any] = msgspec.to_builtins(answer)
        return result

    @property
    def agent_version(self) -> str:
        """The version of this agent; "" of one that was not installed."""
        return self.releases.own if self.releases is not None else ""

    def upgrade_agent(self, request: arguments.UpgradeAgent, progress: Progress) -> answers.Done:
        """Go on as another release of the agent; the server is left as it is.

        Raises `Leaving`: who answers is the release that runs then.
        """
        if self.releases is None:
            raise NotSupported("this guest agent keeps no releases")
        self.releases.upgrade(request, self.condition().status, progress)
        return answers.Done()

    @abstractmethod
    def start_up(self) -> str:
        """Called once when the agent starts: adopt a running server or start one that should run.

        Returns a sentence about what was found and done.
        """

    @abstractmethod
    def start_again(self) -> str:
        """Start the server that has died by itself; a sentence. Never against a stop that lasts."""

    @abstractmethod
    def give_up(self) -> None:
        """It has died again and again: report so, until a command starts it."""

    @abstractmethod
    def condition(self) -> Condition:
        """How the server is now; never raises and answers within a few seconds."""

    def watch(self) -> float:
        """Look at what cannot wait for a pulse; after how many seconds again. A fleet's managers,
        which nothing fills, have nothing to look at."""
        return NOTHING_TO_WATCH_SECONDS

    @abstractmethod
    def filesystem(self) -> dict[str, float]:
        """`used` and `total` of the volume in GiB; zeros before there is one."""

    @abstractmethod
    def metrics(self) -> EngineMetrics:
        """What the engine counts, asked for a heartbeat; never raises, and takes no second.

        Nothing of a server that did not answer when its condition was looked at.
        """

    @abstractmethod
    def prepare(self, request: arguments.Prepare, progress: Progress) -> answers.Prepared:
        """Bring up the datastore from an empty server, or continue where a former run ended."""

    @abstractmethod
    def rebuild(self, request: arguments.Rebuild, progress: Progress) -> answers.Prepared:
        """Bring up the datastore with the data on the volume; never make, or format, anything.

        Fails when there are no data, or none of this datastore.
        """

    @abstractmethod
    def restart(self, request: arguments.Nothing) -> answers.Done:
        """Stop and start the server."""

    @abstractmethod
    def stop_db(self, request: arguments.StopDatabase) -> answers.Done:
        """Stop the server and leave it stopped, or until it is clear that it stays switched on."""

    @abstractmethod
    def start_db_with_conf_changes(self, request: arguments.StartForFlavor) -> answers.Configured:
        """Run the server with the settings for a flavor; `settings` are what it says it has."""

    @abstractmethod
    def resize_fs(self, request: arguments.ResizeFileSystem) -> answers.Done:
        """Let the file system on the volume have all of its size, below a server that may run."""


class WithUpgrades(ABC):
    """A datastore whose data another version's engine can go on with."""

    @abstractmethod
    def upgrade(self, request: arguments.Upgrade, progress: Progress) -> answers.Upgraded:
        """Bring up the datastore with the data that an engine of another version has written.

        Nothing touches them that the engine of before could not read afterwards.
        """


class WithConfiguration(ABC):
    """A datastore with parameters that a customer may set."""

    @abstractmethod
    def update_overrides(self, request: arguments.UpdateOverrides) -> answers.Overridden:
        """Hold those values and no others that were chosen before, at once where it can."""


class WithBackups(ABC):
    """A datastore whose data can be copied while it runs, and begun with."""

    @abstractmethod
    def create_backup(
        self, request: arguments.CreateBackup, progress: Progress
    ) -> answers.BackedUp:
        """Copy the data, or what has changed, to the object store, below a server that goes on."""

    @abstractmethod
    def cancel_backup(self, request: arguments.CancelBackup) -> answers.Done:
        """Let a backup that is being made end soon, as one that failed; any other one is fine."""

    @abstractmethod
    def fetch_backup(self, request: arguments.FetchBackup, progress: Progress) -> answers.Done:
        """Have all of a chain on the volume, as it was sent; what is there already stays."""

    @abstractmethod
    def apply_backup(self, request: arguments.ApplyBackup, progress: Progress) -> answers.Applied:
        """Make what was fetched the data that a first start goes on with, and replay the log."""

    @abstractmethod
    def verify_backup(
        self, request: arguments.VerifyBackup, progress: Progress
    ) -> answers.Verified:
        """Restore a backup beside the database, which goes on, look at all of it, and remove it."""


class WithLog(ABC):
    """A datastore whose log can be kept and replayed, so that it can be restored to any moment."""

    @abstractmethod
    def log(self) -> Log[Any] | None:
        """The log of its server; None of one that keeps none to replay."""

    @abstractmethod
    def read_note(self) -> bytes | None:
        """What was noted on the volume, whose database answers; None without any."""

    @abstractmethod
    def write_note(self, note: bytes) -> None:
        """Note it durably on the volume, in the place of the former one."""

    @abstractmethod
    def keep_log(self, request: arguments.KeepLog) -> answers.LogKept:
        """Keep the log for that archive from now on, or for none."""


class WithDatabases(ABC):
    """A datastore that has databases: schemas, which users are let into."""

    @abstractmethod
    def list_databases(self, request: arguments.Page) -> answers.DatabasePage:
        """Databases by name, without those of the system."""

    @abstractmethod
    def create_database(self, request: arguments.CreateDatabases) -> answers.Done:
        """Create databases."""

    @abstractmethod
    def delete_database(self, request: arguments.DeleteDatabase) -> answers.Done:
        """Drop a database."""


class WithUsers(ABC):
    """A datastore that has users."""

    @abstractmethod
    def list_users(self, request: arguments.Page) -> answers.UserPage:
        """Users by name@host with their databases, without those of the system."""

    @abstractmethod
    def get_user(self, request: arguments.Account) -> answers.OneUser:
        """One user with its databases."""

    @abstractmethod
    def create_user(self, request: arguments.CreateUsers) -> answers.Done:
        """Create users with their grants."""

    @abstractmethod
    def delete_user(self, request: arguments.DeleteUser) -> answers.Done:
        """Drop a user."""

    @abstractmethod
    def change_passwords(self, request: arguments.ChangePasswords) -> answers.Done:
        """Set passwords."""

    @abstractmethod
    def update_attributes(self, request: arguments.UpdateAttributes) -> answers.Done:
        """Change a user's name, host or password."""


class WithAccess(ABC):
    """A datastore whose users are let into databases one by one."""

    @abstractmethod
    def list_access(self, request: arguments.Account) -> answers.Access:
        """The databases a user may use."""

    @abstractmethod
    def grant_access(self, request: arguments.GrantAccess) -> answers.Done:
        """Let a user use databases."""

    @abstractmethod
    def revoke_access(self, request: arguments.RevokeAccess) -> answers.Done:
        """Take a database away from a user."""


class WithRoot(ABC):
    """A datastore with a superuser, who may be let in from outside."""

    @abstractmethod
    def is_root_enabled(self, request: arguments.Nothing) -> answers.RootState:
        """Whether the superuser may log in from outside."""

    @abstractmethod
    def enable_root(self, request: arguments.EnableRoot) -> answers.Done:
        """Let the superuser log in from outside with this password."""

    @abstractmethod
    def disable_root(self, request: arguments.Nothing) -> answers.Done:
        """Take the superuser's login from outside away."""


PARTS: Final[Mapping[Part, type]] = {
    Part.SERVER: Manager,
    Part.DATABASES: WithDatabases,
    Part.USERS: WithUsers,
    Part.ACCESS: WithAccess,
    Part.ROOT: WithRoot,
    Part.UPGRADES: WithUpgrades,
    Part.CONFIGURATION: WithConfiguration,
    Part.BACKUPS: WithBackups,
    Part.LOG: WithLog,
}
"""What a manager has to be to answer the methods of a part."""


def _typed(method: Method[Any, Any], args: dict[str, Any]) -> Any:
    """The typed arguments of a command; `BadRequest` names the field that does not fit."""
    try:
        return msgspec.convert(args, method.arguments)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the arguments do not fit the method: {error}") from None
