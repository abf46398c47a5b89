"""One list of behaviours for every manager: of each engine the real one, and the simulator's.

What the simulator's manager does is what the flows are tested with; where it differs from the real
one they are tested with a database that does not exist.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import pytest
from _pytest.mark import ParameterSet
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.bus.contract import arguments, metrics
from chalicelib.bus.contract.metrics import EngineMetrics
from chalicelib.engines import ENGINES
from chalicelib.engines.parameter import Parameter, Scalar
from chalicelib.engines.parameters import effective, parameters
from chalicelib.service_status import ServiceStatus as Status
from guest_agent import birth, datastores
from guest_agent.datastores import guard
from guest_agent.datastores.gauges import METRICS_SECONDS
from guest_agent.datastores.server_manager import ServerManager
from guest_agent.errors import BadRequest, CommandFailed, GuestError
from guest_agent.manager import Condition, Manager
from guest_agent.storage import room
from simulator.fleet.datastore import Volume
from simulator.fleet.disk import Disk
from simulator.fleet.engines import USUAL
from simulator.fleet.managers import MANAGERS
from tests.guest_agent.backups.objects import ONE, Lender, Objects
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.choices import LARGE, all_others, unlike
from tests.guest_agent.server import Server, prepare_args, suspend
from tests.support import mysql, postgresql
from tests.support.loopback import free_address


class Speech(NamedTuple):
    """What is the same on every engine, as each one says it."""

    manager: str
    version: str
    system_database: str
    superuser: str
    sorted_otherwise: dict[str, str]
    """A database with another collation than the usual one, as it is made and shown."""
    memory: str
    """The setting that says how much memory it takes; what it is on 512 and 1024 MiB."""
    small: tuple[int, int]
    large: tuple[int, int]
    hosts: bool
    """Whether a user may be let in from some hosts only."""
    grants_outlive: bool
    """Whether a user's grant outlives its database."""
    connections: str = "max_connections"
    """The setting that says for how many it is."""
    contents: bool = True
    """Whether it has databases and users, beside the superuser that every one has."""
    fixed: tuple[str, ...] = ()
    """Some of what nobody may set."""
    text: str = ""
    """A parameter that takes more texts than others."""


MARIADB: Final = Speech(
    manager="mariadb",
    version="10.11",
    system_database="mysql",
    superuser="root",
    sorted_otherwise={"character_set": "utf8mb4", "collate": "utf8mb4_bin"},
    memory="innodb_buffer_pool_size",
    small=(204, 100),
    large=(409, 200),
    hosts=True,
    grants_outlive=True,
    fixed=("secure_file_priv", "bind_address", "plugin_dir", "log_error", "datadir", "init_file"),
    text="init_connect",
)
POSTGRESQL: Final = Speech(
    manager="postgresql",
    version=postgresql.MAJOR,
    system_database="postgres",
    superuser="root",
    sorted_otherwise={"character_set": "UTF8", "collate": "C"},
    memory="shared_buffers",
    small=(128, 64),
    large=(256, 128),
    hosts=False,
    grants_outlive=False,
    fixed=("shared_preload_libraries", "hba_file", "archive_command", "listen_addresses", "port"),
    text="search_path",
)
MYSQL: Final = Speech(
    manager="mysqld",
    version=mysql.VERSION,
    system_database="mysql",
    superuser="root",
    sorted_otherwise={"character_set": "utf8mb4", "collate": "utf8mb4_bin"},
    memory="innodb_buffer_pool_size",
    small=(128, 100),
    large=(384, 200),
    hosts=True,
    grants_outlive=True,
    fixed=(
        "secure_file_priv",
        "bind_address",
        "persisted_globals_load",
        "mysqlx",
        "plugin_load_add",
    ),
    text="init_connect",
)
REDIS: Final = Speech(
    manager="redis",
    version="7.0",
    system_database="",
    superuser="default",
    sorted_otherwise={},
    memory="maxmemory",
    small=(307, 1024),
    large=(614, 2048),
    hosts=False,
    grants_outlive=False,
    connections="maxclients",
    contents=False,
    fixed=(
        "aclfile",
        "dir",
        "dbfilename",
        "bind",
        "requirepass",
        "loadmodule",
        "include",
        "logfile",
    ),
    text="save",
)


class Subject(Protocol):
    """A manager and what a test may do to its server."""

    speech: Speech
    manager: Manager

    def kill(self) -> None:
        """End the database, as an error in it would."""

    def hang(self) -> None:
        """Let the database run and not answer."""

    def fill(self, patch: pytest.MonkeyPatch) -> None:
        """Leave no room on the volume."""

    def held(self) -> Mapping[str, Scalar]:
        """What the running database says of its parameters."""

    def number(self) -> str:
        """The version that the engine tells of itself."""

    def close(self) -> None: ...


class Simulated:
    """A server on which nothing takes time."""

    def __init__(self, speech: Speech) -> None:
        self.speech = speech
        self.disk = Disk()
        self.engine = USUAL[speech.manager]
        self.volume: Volume | None = Volume(2)
        self.up = self.stuck = self.closed = self.failed = self.given_up = False
        self.starts = 0
        self.stopped_at = 0.0
        self.passing: Status | None = None
        self.runs_for = self.disk.flavor
        self.runs_with: Mapping[str, Scalar] = {}
        self.manager: Manager = MANAGERS[speech.manager](self, 1)

    def here(self, life: int) -> None:
        return None

    def spend(self, seconds: tuple[float, float]) -> None:
        return None

    def kill(self) -> None:
        self.up = False

    def hang(self) -> None:
        self.stuck = True

    def fill(self, patch: pytest.MonkeyPatch) -> None:
        self.disk.full = True

    def held(self) -> Mapping[str, Scalar]:
        engine = self.speech.manager, self.speech.version
        return effective(*engine, self.runs_for.ram, LARGE, self.runs_with)

    def number(self) -> str:
        return self.engine.number

    def close(self) -> None:
        return None


ENDED = {Status.CRASHED, Status.FAILED, Status.SHUTDOWN}


class Real:
    """A server of the test's own, moved by its manager in this process."""

    def __init__(self, speech: Speech) -> None:
        self.speech = speech
        self._server = Server(
            free_address(),
            "http://127.0.0.1:9",
            datastore_manager=speech.manager,
            datastore_version=speech.version,
        )
        self.server_id = self._server.id
        self.manager: Manager = datastores.manager(birth.load(self._server.root))

    def kill(self) -> None:
        os.kill(self._pid(), signal.SIGKILL)
        self._wait_until_ended()

    def hang(self) -> None:
        suspend(self._pid())

    def fill(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(room, "LAST_BYTES", 2**62)  # whatever is free is not enough

    def number(self) -> str:
        assert isinstance(self.manager, ServerManager)
        server = self.manager.SERVER(birth.load(self._server.root), "/var/lib/mysql")
        with closing(server.connect(time.monotonic() + 60)) as session:
            return str(server.version(session))

    def held(self) -> Mapping[str, Scalar]:
        assert isinstance(self.manager, ServerManager)
        server = self.manager.SERVER(birth.load(self._server.root), "/var/lib/mysql")
        with closing(server.connect(time.monotonic() + 60)) as session:
            found: Mapping[str, Scalar] = server.held(session)
            return found

    def close(self) -> None:
        self._server.kill_everything()
        self._wait_until_ended()
        self._server.close()

    def _wait_until_ended(self) -> None:
        """It is the parent, and takes note of the end, which a loaded machine brings late.

        Meanwhile its socket refuses, as that of a server does that starts.
        """
        wait_for(lambda: self.manager.condition().status in ENDED)

    def _pid(self) -> int:
        pid = self._server.database()
        assert pid is not None
        return pid


def _real(*speeches: Speech) -> list[ParameterSet]:
    return [
        pytest.param((Real, each), marks=pytest.mark.database, id=f"real-{each.manager}")
        for each in speeches
    ]


def _simulated(*speeches: Speech) -> list[ParameterSet]:
    return [pytest.param((Simulated, each), id=f"simulated-{each.manager}") for each in speeches]


FILLED: Final = [
    *_simulated(MARIADB, POSTGRESQL, MYSQL),
    *_real(MARIADB, POSTGRESQL, *([MYSQL] if mysql.IS_HERE else [])),
]
"""Those with databases and users."""
WITH_CONTENTS: Final = pytest.mark.parametrize("subject", FILLED, indirect=True)
"""For what an engine without databases and users refuses as a whole."""


OF_REDIS: Final = [*_simulated(REDIS), *_real(REDIS)]


@pytest.fixture(params=[*FILLED, *OF_REDIS])
def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """A prepared server of each kind."""
    kind, speech = request.param
    made: Subject = kind(speech)
    if isinstance(made, Real):
        monkeypatch.setenv("COFFER_SERVER_ID", made.server_id)
    try:
        call(made, "prepare", **first(made))
        yield made
    finally:
        made.close()


def first(subject: Subject) -> dict[str, Any]:
    """The arguments of its first start."""
    engine = {"manager": subject.speech.manager, "version": subject.speech.version}
    if subject.speech.contents:
        return prepare_args(datastore=engine)
    return prepare_args(datastore=engine, databases=[], users=[], root_password="r")


def call(subject: Subject, method: str, **args: Any) -> dict[str, Any]:
    return subject.manager.call(method, args, lambda stage: None)


def code_of(subject: Subject, method: str, **args: Any) -> str:
    with pytest.raises(CommandFailed) as refused:
        call(subject, method, **args)
    return refused.value.code


def condition(subject: Subject) -> Condition:
    return subject.manager.condition()


def databases(subject: Subject) -> list[str]:
    return [each["name"] for each in call(subject, "list_databases")["databases"]]


def users(subject: Subject) -> list[tuple[str, str, list[str]]]:
    return [
        (each["name"], each["host"], [grant["name"] for grant in each["databases"]])
        for each in call(subject, "list_users")["users"]
    ]


ALICE = ("alice", "%", ["shop"])


def is_as_made(subject: Subject) -> bool:
    """Whether what it was made with is there, and nothing else."""
    if subject.speech.contents:
        return (databases(subject), users(subject)) == (["shop"], [ALICE])
    return call(subject, "is_root_enabled") == {"enabled": True}


SYSTEM, SUPERUSER = "a database of the system", "the superuser"
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("create_database", {"databases": [{"name": "n"}, {"name": "shop"}]}, "DatabaseAlreadyExists"),
    ("create_database", {"databases": [{"name": "n"}, {"name": "n"}]}, "BadRequest"),
    ("create_database", {"databases": [{"name": "n"}, {"name": SYSTEM}]}, "BadRequest"),
    ("delete_database", {"database": {"name": "missing"}}, "DatabaseNotFound"),
    ("delete_database", {"database": {"name": SYSTEM}}, "BadRequest"),
    (
        "create_user",
        {"users": [{"name": "n", "password": "p"}, {"name": "alice", "password": "p"}]},
        "UserAlreadyExists",
    ),
    (
        "create_user",
        {"users": [{"name": "n", "password": "p"}, {"name": "n", "password": "p"}]},
        "BadRequest",
    ),
    ("create_user", {"users": [{"name": SUPERUSER, "password": "p"}]}, "BadRequest"),
    (
        "create_user",
        {"users": [{"name": "n", "password": "p", "databases": [{"name": "missing"}]}]},
        "DatabaseNotFound",
    ),
    ("get_user", {"username": "bob"}, "UserNotFound"),
    ("delete_user", {"user": {"name": "bob"}}, "UserNotFound"),
    ("delete_user", {"user": {"name": SUPERUSER}}, "BadRequest"),
    ("change_passwords", {"users": [{"name": "bob", "password": "p"}]}, "UserNotFound"),
    ("update_attributes", {"username": "alice", "user_attrs": {"name": SUPERUSER}}, "BadRequest"),
    ("list_access", {"username": "bob"}, "UserNotFound"),
    ("grant_access", {"username": "bob", "databases": ["shop"]}, "UserNotFound"),
    ("grant_access", {"username": "alice", "databases": ["ok", "missing"]}, "DatabaseNotFound"),
    ("revoke_access", {"username": "alice", "database": "missing"}, "DatabaseNotFound"),
    ("no_such_method", {}, "NotSupported"),
    ("create_database", {"databases": 1}, "BadRequest"),
]


@WITH_CONTENTS
def test_what_is_refused_is_refused_alike_and_changes_nothing(subject: Subject) -> None:
    call(subject, "create_database", databases=[{"name": "ok"}])
    for method, told, code in REFUSALS:
        args = as_said(subject, told)
        assert code_of(subject, method, **args) == code, (method, args)
        assert databases(subject) == ["ok", "shop"], (method, args)
        assert users(subject) == [ALICE], (method, args)


def as_said(subject: Subject, told: Any) -> Any:
    """Arguments with the engine's own words in the place of what stands for them."""
    words = {SYSTEM: subject.speech.system_database, SUPERUSER: subject.speech.superuser}
    if isinstance(told, dict):
        return {name: as_said(subject, each) for name, each in told.items()}
    if isinstance(told, list):
        return [as_said(subject, each) for each in told]
    return words.get(told, told) if isinstance(told, str) else told


def settings_for(subject: Subject, ram: int) -> tuple[int, int]:
    """The memory that it takes in MiB and the most connections, as the engine tells them."""
    told = call(subject, "start_db_with_conf_changes", flavor={"ram": ram, "vcpus": 1})["settings"]
    return told[subject.speech.memory] >> 20, told[subject.speech.connections]


def test_a_database_runs_with_the_settings_of_the_flavor_it_was_told(subject: Subject) -> None:
    speech = subject.speech
    assert settings_for(subject, 1024) == speech.large
    assert condition(subject).status == Status.HEALTHY
    call(subject, "stop_db", flavor={"ram": 512, "vcpus": 1})
    assert condition(subject).status == Status.SHUTDOWN
    assert settings_for(subject, 1024) == speech.large, "whatever it was stopped for"
    subject.kill()
    assert settings_for(subject, 512) == speech.small
    assert is_as_made(subject)


@WITH_CONTENTS
def test_databases_users_grants_and_root(subject: Subject) -> None:
    speech = subject.speech
    wanted = [{"name": "b"}, {"name": "a", "collate": speech.sorted_otherwise["collate"]}]
    call(subject, "create_database", databases=wanted)
    assert databases(subject) == ["a", "b", "shop"]
    made = call(subject, "list_databases", limit=1)
    assert made == {
        "databases": [{"name": "a", **speech.sorted_otherwise}],
        "next_marker": "a",
    }
    host = "10.0.0.%" if speech.hosts else "%"
    bob = {"name": "bob", "password": "p", "host": host, "databases": [{"name": "a"}]}
    call(subject, "create_user", users=[bob])
    bob_at = {"username": "bob", "hostname": host}
    call(subject, "grant_access", **bob_at, databases=["b", "a"])
    assert users(subject) == [ALICE, ("bob", host, ["a", "b"])]
    call(subject, "revoke_access", **bob_at, database="a")
    assert call(subject, "list_access", **bob_at) == {"databases": [{"name": "b"}]}
    call(subject, "update_attributes", **bob_at, user_attrs={"name": "rob", "host": "%"})
    call(subject, "change_passwords", users=[{"name": "rob", "password": "q"}])
    call(subject, "delete_database", database={"name": "b"})
    left = ["b"] if speech.grants_outlive else []
    assert users(subject) == [ALICE, ("rob", "%", left)]
    call(subject, "delete_user", user={"name": "rob"})
    assert code_of(subject, "get_user", username="rob") == "UserNotFound"
    assert users(subject) == [ALICE]


def test_it_tells_what_it_counts_while_it_answers_and_nothing_else(subject: Subject) -> None:
    assert condition(subject).status is Status.HEALTHY
    subject.manager.metrics()
    assert condition(subject).status is Status.HEALTHY
    told = subject.manager.metrics()
    assert told.engine == ENGINES[subject.speech.manager].word
    assert 1 <= (told.connections or 0) <= 10
    assert told.connection_limit == subject.speech.small[1]
    assert told.per_second is not None
    assert metrics.read(msgspec.to_builtins(told)) == told, "as the conductor takes it"
    subject.hang()
    began = time.monotonic()
    subject.manager.metrics()  # of one that hangs since the last look
    assert time.monotonic() - began < METRICS_SECONDS + 1
    assert condition(subject).status is Status.BLOCKED
    assert subject.manager.metrics() == EngineMetrics()
    subject.kill()
    assert condition(subject).status is Status.CRASHED
    assert subject.manager.metrics() == EngineMetrics()


def test_a_dead_database_is_told_and_started_again(subject: Subject) -> None:
    assert condition(subject) == Condition(Status.HEALTHY)
    subject.kill()
    told = condition(subject)
    assert (told.status, told.start_wanted, bool(told.reason)) == (Status.CRASHED, True, True)
    assert code_of(subject, "is_root_enabled") == "Unavailable"
    assert subject.manager.start_again() == "The database was started again."
    assert condition(subject).status is Status.HEALTHY
    assert is_as_made(subject)
    assert subject.manager.start_again() == "The database runs again already."


def test_a_stop_that_was_asked_for_is_kept(subject: Subject) -> None:
    call(subject, "stop_db", do_not_start_on_reboot=True)
    told = condition(subject)
    assert (told.status, told.start_wanted) == (Status.SHUTDOWN, False)
    for again in (subject.manager.start_again, subject.manager.start_up):
        assert again() == "The database was stopped and is to stay so."
    assert condition(subject).status is Status.SHUTDOWN
    call(subject, "restart")
    assert condition(subject).status is Status.HEALTHY


def test_a_stop_for_a_server_that_stays_on_ends(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command came late, or the cloud did not switch the server off: nobody else starts it."""
    call(subject, "stop_db")
    told = condition(subject)
    assert (told.status, told.start_wanted) == (Status.SHUTDOWN, False)
    assert "to stay so" in subject.manager.start_again()
    monkeypatch.setattr(arguments, "COMES_BACK_SECONDS", 0.0)
    assert condition(subject).start_wanted
    assert subject.manager.start_again() == "The database was started again."
    assert condition(subject).status is Status.HEALTHY


def test_what_was_given_up_is_told_until_it_is_restarted(subject: Subject) -> None:
    subject.kill()
    subject.manager.give_up()
    told = condition(subject)
    assert (told.status, told.start_wanted) == (Status.FAILED, False)
    assert "not started again" in told.reason
    call(subject, "restart")
    assert condition(subject).status is Status.HEALTHY


def test_a_hanging_database_is_blocked_and_calls_say_so(subject: Subject) -> None:
    subject.hang()
    told = condition(subject)
    assert (told.status, told.start_wanted) == (Status.BLOCKED, False)
    assert told.reason == "the database runs and does not answer"
    assert code_of(subject, "is_root_enabled") == "Unavailable"


def test_a_full_volume_is_told_whether_the_database_lives_or_not(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.fill(monkeypatch)
    told = condition(subject)
    assert (told.status, told.reason) == (Status.BLOCKED, guard.CLOSED)
    assert is_as_made(subject), "what is there can be looked at"
    subject.kill()
    told = condition(subject)
    assert told.status is Status.CRASHED
    assert told.reason.startswith("the volume is full")


def test_a_second_prepare_keeps_what_is_there(subject: Subject) -> None:
    if subject.speech.contents:
        call(subject, "create_database", databases=[{"name": "kept"}])
    assert call(subject, "prepare", **first(subject))["status"] == "healthy"
    if subject.speech.contents:
        assert databases(subject) == ["kept", "shop"]
        call(subject, "delete_database", database={"name": "kept"})
    assert is_as_made(subject)


def test_the_superuser_is_let_in_and_put_out(subject: Subject) -> None:
    for _ in range(2):
        call(subject, "enable_root", root_password="r")
        assert call(subject, "is_root_enabled") == {"enabled": True}
    for _ in range(2):
        call(subject, "disable_root")
        assert call(subject, "is_root_enabled") == {"enabled": False}


def known(subject: Subject) -> Mapping[str, Parameter]:
    return parameters(subject.speech.manager, subject.speech.version)


def override(subject: Subject, values: Mapping[str, Scalar]) -> bool:
    told: bool = call(subject, "update_overrides", values=values)["restart_required"]
    return told


def test_every_parameter_is_held_at_once_or_after_a_start_and_goes_back(subject: Subject) -> None:
    speech, rules = subject.speech, known(subject)
    lasting = {name for name, each in rules.items() if each.restart_required}
    before = subject.held()
    assert before.keys() == rules.keys()
    assert not override(subject, {}), "what it starts with is what the rules say"
    chosen = all_others(speech.manager, speech.version, 512)
    assert override(subject, chosen)
    assert unlike(rules, chosen, subject.held()) == lasting
    assert override(subject, chosen), "it is still to be started again"
    call(subject, "restart")
    assert not unlike(rules, chosen, subject.held())
    assert not override(subject, chosen)
    resized = call(subject, "start_db_with_conf_changes", flavor={"ram": 1024, "vcpus": 1})
    assert resized["settings"][speech.connections] == chosen[speech.connections]
    assert not unlike(rules, chosen, subject.held())
    call(subject, "start_db_with_conf_changes", flavor={"ram": 512, "vcpus": 1})
    subject.kill()
    subject.manager.start_again()
    assert not unlike(rules, chosen, subject.held())
    assert override(subject, {})
    assert unlike(rules, before, subject.held()) == lasting
    call(subject, "restart")
    assert not unlike(rules, before, subject.held())
    assert is_as_made(subject)


def test_a_new_disk_has_what_was_chosen_from_its_first_start(subject: Subject) -> None:
    speech, rules = subject.speech, known(subject)
    chosen = all_others(speech.manager, speech.version, 512)
    call(subject, "stop_db")
    args = first(subject)
    kept = {name: args[name] for name in ("datastore", "flavor", "mount_point", "volume_id")}
    prepared = call(subject, "rebuild", **kept, configuration=chosen)
    assert prepared["holds_configuration"] is True
    assert not unlike(rules, chosen, subject.held())
    assert not override(subject, chosen)
    assert code_of(subject, "rebuild", **kept, configuration={"no_such": 1}) == "BadRequest"
    assert not unlike(rules, chosen, subject.held())


HOSTILE: Final = st.text(
    st.sampled_from("aZ0 '\"\\`%$#;[]!{}=,\n\r\0é日😀") | st.characters(), max_size=40
)
SAID: Final = (
    *(
        "'; DROP TABLE x; --",
        '" \n[mysqld]\nplugin_dir=/x',
        "x\n!include /etc/passwd",
        "%s%n",
        "$x",
    ),
    *("$x", "a\0b", "back\\", "\\'", "# no", "x" * 10_000, "'", '"', "include /x", "half \ud800"),
)


def test_a_hostile_value_is_refused_or_held_as_it_is(subject: Subject) -> None:
    """And what it would change as a line, a section or code of a file is as it was."""
    speech, rules = subject.speech, known(subject)
    before = dict(subject.held())
    for name in (
        *speech.fixed,
        "no_such",
        "",
        "x\n[y]",
        *(f"{each} " for each in speech.fixed[:1]),
    ):
        assert code_of(subject, "update_overrides", values={name: "x"}) == "BadRequest"

    def attempt(value: str) -> None:
        try:
            override(subject, {speech.text: value})
        except BadRequest:
            value = str(before[speech.text])
        assert not unlike(rules, {**before, speech.text: value}, subject.held())
        before[speech.text] = value

    @settings(max_examples=10, deadline=None, database=None)
    @given(HOSTILE)
    def any_text(value: str) -> None:
        attempt(value)

    any_text()
    for value in SAID:
        attempt(value)
    last = before[speech.text]
    call(subject, "restart")
    assert not unlike(rules, before, subject.held()), last


@pytest.mark.parametrize("subject", [*_simulated(POSTGRESQL), *_real(POSTGRESQL)], indirect=True)
def test_what_keeps_a_database_from_starting_is_told_and_healed(subject: Subject) -> None:
    asked = known(subject)["shared_buffers"].max
    assert asked is not None
    assert override(subject, {"shared_buffers": asked})
    with pytest.raises(GuestError, match="Cannot allocate memory"):
        call(subject, "restart")
    assert condition(subject).status is Status.CRASHED
    subject.manager.give_up()
    assert not override(subject, {})
    assert condition(subject).status is Status.HEALTHY
    assert is_as_made(subject)


@pytest.mark.parametrize("subject", [*_simulated(MARIADB), *_real(MARIADB)], indirect=True)
def test_what_a_running_database_does_not_take_leaves_it_as_it_was(subject: Subject) -> None:
    assert not override(subject, {"max_connections": 77})
    before = subject.held()
    too_much = {"max_connections": 78, "innodb_buffer_pool_size": 2**43}
    assert code_of(subject, "update_overrides", values=too_much) == "BadRequest"
    assert not unlike(known(subject), before, subject.held())
    call(subject, "restart")
    assert not unlike(known(subject), before, subject.held())


def test_a_stopped_database_is_not_started_by_what_is_chosen(subject: Subject) -> None:
    speech = subject.speech
    call(subject, "stop_db", do_not_start_on_reboot=True)
    assert not override(subject, {speech.connections: 44})
    assert condition(subject).status is Status.SHUTDOWN
    call(subject, "restart")
    assert subject.held()[speech.connections] == 44


@pytest.mark.parametrize(
    "subject", [*_simulated(MARIADB, POSTGRESQL, REDIS), *_real(MARIADB)], indirect=True
)
def test_what_a_backup_held_is_what_is_restored(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no later change; a restore that is asked for twice is made once."""
    lender = Lender(Objects())
    contents = subject.speech.contents
    if contents:
        call(subject, "create_database", databases=[{"name": "kept"}])
    subject.manager.open_store = lambda _, stop: lender.store(stop)
    location = f"tenant/chain/{ONE}"
    told = call(subject, "create_backup", id=ONE, location=location)
    assert told["version"] == subject.number()
    if contents:
        call(subject, "create_database", databases=[{"name": "later"}])
    chain = [{"id": ONE, "location": location, "checksum": told["checksum"]}]
    other = (Real if isinstance(subject, Real) else Simulated)(subject.speech)
    if isinstance(other, Real):
        monkeypatch.setenv("COFFER_SERVER_ID", other.server_id)
    try:
        args = first(other)
        order = {name: args[name] for name in ("datastore", "flavor", "mount_point", "volume_id")}
        assert code_of(other, "fetch_backup", **order, chain=chain) == "NotSupported"
        other.manager.open_store = lambda _, stop: lender.store(stop)
        for method in ("fetch_backup", "fetch_backup", "apply_backup", "apply_backup"):
            assert condition(other).status in (Status.BUILDING, Status.FAILED)
            call(other, method, **order, chain=chain)
        call(other, "prepare", **args)
        if contents:
            assert databases(other) == ["kept", "shop"]
            call(other, "delete_database", database={"name": "kept"})
        assert is_as_made(other)
        assert condition(other).status is Status.HEALTHY
    finally:
        other.close()
