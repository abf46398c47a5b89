"""The flows as data: which steps an operation takes, which take them back, what bounds each.

One declaration per operation's action. The state machines are rendered from it
(`infra/package/state_machines.py`), the frame of the steps and the handlers read what kind each
step is (`functions/step.py`, `functions/handler.py`), and the sweeper what a failure means.

    steps in their order ─────────────────────────▶ complete ─▶ Completed
       │ failed, cancelled, late, or out of retries
       ▼
    undo in its order ────────────────────────────▶ fail ─────▶ Failed

`docs/adding-a-flow.md` says what one more takes. A name that was deployed lives one release longer,
in `functions.handler` at least: executions in flight keep their definition
(`tests/functions/last_release`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from chalicelib.domain.operations import OperationAction, SubjectKind
from chalicelib.service_status import ServiceStatus
from chalicelib.status import RolloutStatus, Status


class Runs(StrEnum):
    """The function that runs a step: only `cloud` may call OpenStack."""

    CLOUD = "cloud"
    LOCAL = "local"


class Waits(StrEnum):
    """What a step may wait for: nothing, its own next look, or a guest's answer (a task token)."""

    NO = "no"
    POLL = "poll"
    GUEST = "guest"


class Step(msgspec.Struct, frozen=True):
    """One step. `timeout` is a field of `Settings`, counted from the step's first start; without
    one the operation's deadline bounds it. A `shared` step is the same for every flow.

    A step that speaks with a guest `asks` for a method of its contract, one that `admits` a guest
    which is still to come. `late` and `failed` are what the user is told of it, when no answer came
    in time and before the guest's own words.
    """

    name: str
    runs: Runs = Runs.CLOUD
    waits: Waits = Waits.POLL
    timeout: str = ""
    shared: bool = False
    asks: str = ""
    admits: bool = False
    late: str = ""
    failed: str = ""


class What(StrEnum):
    """What happens to an operation: its begin, and the three ways in which it ends.

    UNDONE: it failed, and all that it did was taken back; FAILED: something of it may be left.
    """

    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    UNDONE = "undone"
    FAILED = "failed"


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One flow, and what it means for the status of its subject.

    It may be asked for in `sources`; the subject is in `during` while it runs, then in `done`,
    `undone` or `failed` (see `What`): statuses of its kind. `timeout` is a field of `Settings`.
    `revocable`: a cancelled operation goes back; one that cannot goes on to its end. From the step
    `no_return` on there is nothing to go back to, and nobody cancels it. One that `queues` takes
    its subject away, and is accepted behind whatever is under way. `undo` runs whole after a
    failure, whatever had begun: each step looks for what it takes away. `operators`: none but an
    administrator asks for it, or calls it back.

    `told_undone` and `told_failed` are the words of an end with its `{reason}`; the second may name
    the steps that are `{left}`. `reported` is what the guest is taken to have said by a success, if
    it was not heard before.
    """

    action: OperationAction
    subject: SubjectKind = SubjectKind.INSTANCE
    title: str
    comment: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...] = ()
    sources: frozenset[StrEnum] = frozenset()
    during: StrEnum
    done: StrEnum
    undone: StrEnum = Status.ACTIVE
    failed: StrEnum = Status.ERROR
    timeout: str
    revocable: bool = True
    no_return: str = ""
    queues: bool = False
    operators: bool = False
    told_undone: str = "{reason}"
    told_failed: str = "{reason}"
    reported: ServiceStatus | None = None

    def event(self, what: What) -> str:
        """What happens, as the lifecycle's table and the docs name it."""
        return f"{self.title} {what}"

    def knows(self, what: What) -> bool:
        """Whether that can happen to an operation of this flow, as far as its subject sees."""
        return {What.ACCEPTED: bool(self.sources), What.UNDONE: bool(self.undo)}.get(what, True)

    def ended(self, recorded: Container[str]) -> What:
        """How an operation that did not succeed has ended, by the steps recorded as ended."""
        back = bool(self.undo) and all(each.name in recorded for each in self.undo)
        return What.UNDONE if back else What.FAILED

    def unfinished(self, recorded: Container[str]) -> list[str]:
        """What a failed operation leaves: its removals that are not recorded, or its steps."""
        return [each.name for each in self.undo or self.steps if each.name not in recorded]

    def told(self, reason: str, left: list[str]) -> str:
        """What the user is told of an operation that did not succeed."""
        words = self.told_failed if left else self.told_undone
        if not words.endswith("{reason}"):
            reason = f"{reason.rstrip('.')}."
        return words.format(reason=reason, left=", ".join(left))

    @property
    def error(self) -> str:
        """The error of an execution that failed, e.g. `CreateFailed`."""
        return self.action.split("_")[0].title() + "Failed"

    def path(self, step: Step) -> str:
        """The step's name in a payload: `create_instance.volume`; a shared one's own."""
        return step.name if step.shared else f"{self.action}.{step.name}"

    def turns_back(self, name: str) -> bool:
        """Whether an operation that comes to the step of that name never goes forward again."""
        return self.revocable and (name == FAIL.name or self.undoes(name))

    def can_go_back(self, started: Container[str]) -> bool:
        """Whether one that is cancelled takes back what it has done, by the steps begun."""
        return self.revocable and bool(self.undo) and self.no_return not in started

    def left(self, ended: Container[str]) -> list[Step]:
        """The steps that are not recorded as ended."""
        return [each for each in self.steps if each.name not in ended]

    @property
    def admits(self) -> bool:
        """Whether a guest enrols while it runs."""
        return any(each.admits for each in self.steps)

    @property
    def asks(self) -> list[str]:
        """The methods, on either way, of the guest that is there: not of one that it admits."""
        there = (each for each in (*self.steps, *self.undo) if not each.admits)
        return sorted({each.asks for each in there if each.asks})

    @property
    def asks_next(self) -> list[str]:
        """The methods of the guests that it admits, which its datastore has to have."""
        admitted = (each for each in (*self.steps, *self.undo) if each.admits)
        return sorted({each.asks for each in admitted if each.asks})

    def waits_for_guest(self, name: str | None) -> bool:
        """Whether the step of that name, on either way, ends when a guest has answered."""
        step = self.named(name)
        return step is not None and step.waits is Waits.GUEST

    def undoes(self, name: str | None) -> bool:
        """Whether the step of that name is one of the undoing."""
        return any(each.name == name for each in self.undo)

    def named(self, name: str | None) -> Step | None:
        """The step of that name, forward or of the undoing."""
        return next((each for each in (*self.steps, *self.undo) if each.name == name), None)


class Kind(msgspec.Struct, frozen=True):
    """What the frame has to know of a step: see `functions.step`."""

    runs: Runs
    backwards: bool
    ends: bool


LOOK: Final = "look_at_server"
"""Not a step: the sweeper has it done for an operation that waits long for its guest."""

COMPLETE: Final = Step("complete", Runs.LOCAL, Waits.NO)
FAIL: Final = Step("fail", Runs.LOCAL, Waits.NO)


def _removal(what: str, runs: Runs = Runs.CLOUD) -> Step:
    return Step(f"remove_{what}", runs, timeout="delete_timeout_seconds", shared=True)


_REMOVALS: Final = (
    _removal("server"),
    _removal("volume"),
    _removal("network"),
    _removal("message_queue", Runs.LOCAL),
)
REMOVALS: Final = tuple(each.name for each in _REMOVALS)
"""The steps that take away what a create made: its compensations, and the body of a delete."""

_START_IT: Final = "Start the instance."

PREPARE: Final = Step(
    "prepare",
    Runs.LOCAL,
    Waits.GUEST,
    asks="prepare",
    admits=True,
    late="The guest agent did not finish preparing the database in time",
    failed="The guest agent failed to prepare the database",
)

CREATE: Final = Flow(
    action=OperationAction.CREATE,
    title="create",
    comment="Makes an instance. A step that cannot be done leads to the removals, then to ERROR "
    "with its reason.",
    steps=(
        Step("volume"),
        Step("network"),
        Step("message_queue", Runs.LOCAL),
        Step("server"),
        PREPARE,
    ),
    undo=_REMOVALS,
    during=Status.BUILD,
    done=Status.ACTIVE,
    undone=Status.ERROR,
    timeout="create_timeout_seconds",
    told_failed="{reason} Not undone: {left}; delete the instance to try again.",
    reported=ServiceStatus.HEALTHY,
)

DELETE: Final = Flow(
    action=OperationAction.DELETE,
    title="delete",
    comment="Takes an instance away. What cannot be removed leads to ERROR with its reason.",
    steps=_REMOVALS,
    sources=frozenset(Status) - {Status.BUILD, Status.DELETED},
    during=Status.SHUTDOWN,
    done=Status.DELETED,
    timeout="delete_timeout_seconds",
    revocable=False,
    queues=True,
    told_failed="{reason} Still to do: {left}; delete the instance again.",
)

UPDATE_ACCESS: Final = Flow(
    action=OperationAction.UPDATE_ACCESS,
    title="access update",
    comment="Changes who may reach an instance. What cannot be done is taken back; the instance "
    "stays ACTIVE either way.",
    steps=(Step("apply"),),
    undo=(Step("restore", timeout="delete_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.ACTIVE,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="update_timeout_seconds",
    told_undone="The change of the access was given up: {reason}",
    told_failed="The access may be changed in part: {reason} Ask for the access again.",
)

RESTART: Final = Flow(
    action=OperationAction.RESTART,
    title="restart",
    comment="Stops the database and starts it again. One that does not come back is told by the "
    "guest's reports.",
    steps=(
        Step(
            "restart",
            Runs.LOCAL,
            Waits.GUEST,
            asks="restart",
            late="The database was not started again in time",
            failed="The database was not restarted",
        ),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.REBOOT,
    done=Status.ACTIVE,
    failed=Status.ACTIVE,
    timeout="restart_timeout_seconds",
)

RESIZE_VOLUME: Final = Flow(
    action=OperationAction.RESIZE_VOLUME,
    title="volume resize",
    comment="Grows the volume below a database that goes on, or beside its server that is off, "
    "where the cloud grows none that is in use. A volume never gets smaller again, so that a "
    "failure only brings the database back and measures what has become of the volume.",
    steps=(
        Step("extend"),
        Step("answers", Runs.LOCAL),
        Step(
            "grow",
            Runs.LOCAL,
            Waits.GUEST,
            asks="resize_fs",
            late="The file system did not grow in time",
            failed="The file system did not grow, and a stop and a start try it again",
        ),
    ),
    undo=(Step("measure", timeout="resize_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.RESIZE,
    done=Status.ACTIVE,
    timeout="resize_timeout_seconds",
    told_undone="The resize of the volume was given up: {reason} Ask for the resize again.",
    told_failed="The server may be off, or without its volume: {reason} " + _START_IT,
)


def _settings(name: str) -> Step:
    return Step(
        name,
        Runs.LOCAL,
        Waits.GUEST,
        asks="start_db_with_conf_changes",
        timeout="power_timeout_seconds",
        late="The database did not run with its settings in time",
        failed="The database did not run with its settings",
    )


_STOP_FOR_A_MOVE: Final = Step(
    "stop_database",
    Runs.LOCAL,
    Waits.GUEST,
    asks="stop_db",
    timeout="power_timeout_seconds",
    late="The database did not stop in time",
    failed="The database was not stopped",
)
_AFTER_A_MOVE: Final = (Step("answers", Runs.LOCAL), _settings("settings"), Step("confirm"))
_BACK_FROM_A_MOVE: Final = (
    Step("revert", timeout="power_timeout_seconds"),
    Step("come_back", timeout="power_timeout_seconds"),
    _settings("settings_of_before"),
)

RESIZE_FLAVOR: Final = Flow(
    action=OperationAction.RESIZE_FLAVOR,
    title="flavor resize",
    comment="Ends the database, lets Nova give its server another flavor, and lets it go on with "
    "the settings for that. Confirmed last: until then all of it is taken back.",
    steps=(
        _STOP_FOR_A_MOVE,
        Step("resize"),
        *_AFTER_A_MOVE,
    ),
    undo=_BACK_FROM_A_MOVE,
    sources=frozenset({Status.ACTIVE}),
    during=Status.RESIZE,
    done=Status.ACTIVE,
    timeout="resize_timeout_seconds",
    told_undone="The resize to another flavor was given up: {reason}",
    told_failed="The resize to another flavor may be done in part: {reason} Not undone: {left}. "
    "Start the instance and ask for the resize again.",
)

MIGRATE: Final = Flow(
    action=OperationAction.MIGRATE,
    title="migration",
    comment="Ends the database, lets Nova move its server to another host, and sees the database "
    "run there. Confirmed last: until then it is taken back.",
    steps=(Step("look"), _STOP_FOR_A_MOVE, Step("migrate"), *_AFTER_A_MOVE),
    undo=_BACK_FROM_A_MOVE,
    sources=frozenset({Status.ACTIVE}),
    during=Status.RESIZE,
    done=Status.ACTIVE,
    timeout="resize_timeout_seconds",
    told_undone="The instance was not migrated: {reason}",
    told_failed="The instance may be migrated in part: {reason} Not undone: {left}. Start the "
    "instance.",
)


def _power(name: str) -> Step:
    return Step(name, timeout="power_timeout_seconds")


STOP: Final = Flow(
    action=OperationAction.STOP,
    title="stop",
    comment="Ends the database and switches the server off. What fails is switched off and on: the "
    "database comes back with its server.",
    steps=(
        Step(
            "stop_database",
            Runs.LOCAL,
            Waits.GUEST,
            asks="stop_db",
            late="The database did not stop in time",
            failed="The database was not stopped",
        ),
        _power("power_off"),
    ),
    undo=(
        _power("cut_power"),
        _power("come_back"),
        Step("answers_again", Runs.LOCAL, timeout="power_timeout_seconds"),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.STOPPING,
    done=Status.STOPPED,
    timeout="power_timeout_seconds",
    told_undone="The instance was not stopped: {reason}",
    told_failed="The instance may be stopped in part: {reason} " + _START_IT,
)

START: Final = Flow(
    action=OperationAction.START,
    title="start",
    comment="Switches the server on and sees the database answer. A server that does not come on, "
    "or whose agent says nothing, is stopped again. It is the way out of an error, too.",
    steps=(Step("power_on"), Step("answers", Runs.LOCAL)),
    undo=(_power("cut_power"),),
    sources=frozenset({Status.STOPPED, Status.ERROR}),
    during=Status.STARTING,
    done=Status.ACTIVE,
    undone=Status.STOPPED,
    timeout="power_timeout_seconds",
    told_undone="The instance was not started: {reason}",
    told_failed="The server may run or not: {reason} " + _START_IT,
)

REBOOT: Final = Flow(
    action=OperationAction.REBOOT,
    title="reboot",
    comment="Switches the server off and on, whatever its guest is at, and sees the database "
    "answer.",
    steps=(Step("power_off"), Step("power_on"), Step("answers", Runs.LOCAL)),
    undo=(_power("come_back"),),
    sources=frozenset({Status.ACTIVE}),
    during=Status.REBOOT,
    done=Status.ACTIVE,
    timeout="power_timeout_seconds",
    told_undone="The reboot did not finish: {reason}",
    told_failed="The server may be switched off: {reason} " + _START_IT,
)

_REPLACEMENT: Final = (
    Step("new_generation", Runs.LOCAL, Waits.NO),
    Step("server"),
    Step(
        "prepare",
        Runs.LOCAL,
        Waits.GUEST,
        asks="rebuild",
        admits=True,
        late="The new guest agent did not bring the database up in time",
        failed="The new guest agent failed to bring the database up",
    ),
)
_REBUILD_FAILED: Final = (
    "The rebuild failed: {reason} The data is on the volume as it was; rebuild the instance again, "
    "on an image that works."
)

REBUILD: Final = Flow(
    action=OperationAction.REBUILD,
    title="rebuild",
    comment="Gives the server a new root disk and the instance a new guest, which goes on with the "
    "data. Once the old guest is replaced there is no way back: the next rebuild is the way on.",
    steps=(
        Step("check"),
        Step("stop_database", Runs.LOCAL, asks="stop_db"),
        *_REPLACEMENT,
    ),
    undo=(Step("start_database", Runs.LOCAL, asks="restart", timeout="restart_timeout_seconds"),),
    sources=frozenset({Status.ACTIVE, Status.ERROR}),
    during=Status.REBUILD,
    done=Status.ACTIVE,
    timeout="rebuild_timeout_seconds",
    operators=True,
    no_return="new_generation",
    told_undone="The instance was not rebuilt: {reason}",
    told_failed=_REBUILD_FAILED,
    reported=ServiceStatus.HEALTHY,
)

REBUILD_STOPPED: Final = Flow(
    action=OperationAction.REBUILD_STOPPED,
    title="rebuild while stopped",
    comment="The same of an instance that is stopped, and is so again afterwards: its server is on "
    "for its new guest to come up. Once the data has been taken over, what fails is switched off.",
    steps=(
        Step("check"),
        *_REPLACEMENT,
        Step(
            "stop_database",
            Runs.LOCAL,
            Waits.GUEST,
            asks="stop_db",
            admits=True,
            timeout="power_timeout_seconds",
            late="The database did not stop in time",
            failed="The database was not stopped",
        ),
        Step("power_off"),
    ),
    undo=(Step("cut_power", timeout="power_timeout_seconds"),),
    sources=frozenset({Status.STOPPED}),
    during=Status.REBUILD,
    done=Status.STOPPED,
    undone=Status.STOPPED,
    timeout="rebuild_timeout_seconds",
    operators=True,
    no_return="new_generation",
    told_undone="The instance is stopped: {reason}",
    told_failed=_REBUILD_FAILED,
)

UPGRADE: Final = Flow(
    action=OperationAction.UPGRADE,
    title="upgrade",
    comment="Gives the server the image of another version of the datastore, and with it a new "
    "guest, whose engine goes on with the data. What fails is undone by one more guest, on the "
    "image of before.",
    steps=(
        Step("check"),
        Step("stop_database", Runs.LOCAL, asks="stop_db"),
        Step("new_generation", Runs.LOCAL, Waits.NO),
        Step("server"),
        Step(
            "prepare",
            Runs.LOCAL,
            Waits.GUEST,
            asks="upgrade",
            admits=True,
            late="The new version did not bring the database up in time",
            failed="The new version failed to bring the database up",
        ),
    ),
    undo=(
        Step("stop_again", Runs.LOCAL, asks="stop_db", timeout="power_timeout_seconds"),
        Step("generation_back", Runs.LOCAL, Waits.NO, timeout="power_timeout_seconds"),
        Step("server_back", timeout="power_timeout_seconds"),
        Step(
            "prepare_back",
            Runs.LOCAL,
            Waits.GUEST,
            timeout="rebuild_timeout_seconds",
            asks="rebuild",
            admits=True,
            late="The version of before did not bring the database up in time",
            failed="The version of before failed to bring the database up",
        ),
        Step("start_database", Runs.LOCAL, asks="restart", timeout="restart_timeout_seconds"),
    ),
    sources=frozenset({Status.ACTIVE}),
    during=Status.UPGRADE,
    done=Status.ACTIVE,
    timeout="rebuild_timeout_seconds",
    told_undone="The instance has its former version: {reason}",
    told_failed="The upgrade failed: {reason} Not undone: {left}. The data is on the volume; "
    "rebuild the instance on an image of its version.",
    reported=ServiceStatus.HEALTHY,
)

ROLL_OUT: Final = Flow(
    action=OperationAction.ROLL_OUT,
    subject=SubjectKind.ROLLOUT,
    title="rollout",
    comment="Rebuilds instances on an image, so many at a time, each by an operation of its own "
    "that is counted when it has ended. What stops it begins no more and waits for those that run.",
    steps=(Step("rebuild", Runs.LOCAL),),
    undo=(Step("wait", Runs.LOCAL, timeout="drain_timeout_seconds"),),
    during=RolloutStatus.RUNNING,
    done=RolloutStatus.COMPLETED,
    undone=RolloutStatus.STOPPED,
    failed=RolloutStatus.FAILED,
    timeout="rollout_timeout_seconds",
    told_undone="The rollout was stopped: {reason} Ask again to go on: what was rebuilt on the "
    "image already is left alone.",
    told_failed="The rollout was stopped, and rebuilds of it may still run: {reason} Each ends by "
    "itself; see the operations of its instance.",
)

FLOWS: Final[dict[str, Flow]] = {
    flow.action: flow
    for flow in (
        *(CREATE, DELETE, UPDATE_ACCESS, RESTART, RESIZE_VOLUME),
        *(STOP, START, REBOOT, RESIZE_FLAVOR, REBUILD, REBUILD_STOPPED, MIGRATE, UPGRADE),
        ROLL_OUT,
    )
}


def _by_kind() -> dict[SubjectKind, list[Flow]]:
    found: dict[SubjectKind, list[Flow]] = {kind: [] for kind in SubjectKind}
    for flow in FLOWS.values():
        found[flow.subject].append(flow)
    return found


FLOWS_OF: Final = _by_kind()
"""The flows by the kind of their subject."""
REMOVING: Final = {flow.subject: flow for flow in FLOWS.values() if flow.queues}
"""The flow that takes a subject of a kind away, where there is one."""
ADMITTING: Final = tuple(flow.action for flow in FLOWS.values() if flow.admits)
"""The operations in which a guest enrols."""
ENROLLING: Final = frozenset(flow.during for flow in FLOWS.values() if flow.admits)
"""The statuses in which it does."""


def _kinds(flow: Flow) -> Iterator[tuple[str, Kind]]:
    for step in flow.steps:
        yield flow.path(step), Kind(step.runs, backwards=not flow.revocable, ends=False)
    for step in flow.undo:
        yield flow.path(step), Kind(step.runs, backwards=True, ends=False)
    yield flow.path(COMPLETE), Kind(COMPLETE.runs, backwards=not flow.revocable, ends=True)
    yield flow.path(FAIL), Kind(FAIL.runs, backwards=True, ends=True)


KINDS: Final[dict[str, Kind]] = dict(each for flow in FLOWS.values() for each in _kinds(flow))
"""Every step of every flow by its name in a payload."""
