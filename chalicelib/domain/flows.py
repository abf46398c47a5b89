"""The flows as data: which steps an operation takes, which take them back, what bounds each.

One declaration per operation's action. The state machines are rendered from it
(`infra/package/state_machines.py`), the frame of the steps and the handlers read what kind each
step is (`functions/step.py`, `functions/handler.py`), and the sweeper what a failure means.

    steps in their order ─────────────────────────▶ complete ─▶ Completed
       │ failed, cancelled, late, or out of retries
       ▼
    undo in its order ────────────────────────────▶ fail ─────▶ Failed

To add a step: name it in a flow's `steps`, with the function that runs it and what it waits for;
write a function `(operation, token) -> Outcome` in the flow's module of `functions`; name that
function in `functions/handler.py` under `<flow>.<step>`. To add a flow: an `OperationAction`, a
`Flow` here in `FLOWS`, and a module with its steps, `complete` and `fail`. A name that was deployed
lives one release longer, in `handler` at least: executions in flight keep their definition
(`tests/functions/last_release`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from chalicelib.domain.operations import OperationAction
from chalicelib.lifecycle import Event


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

    `late` and `failed` are what the user is told of a step that waits for a guest, when no answer
    came in time and before the guest's own words.
    """

    name: str
    runs: Runs = Runs.CLOUD
    waits: Waits = Waits.POLL
    timeout: str = ""
    shared: bool = False
    late: str = ""
    failed: str = ""


class Flow(msgspec.Struct, frozen=True):
    """One flow. `revocable`: a cancelled operation goes back; one that cannot goes on to its end.

    `undo` runs whole after a failure, whatever had begun: each step looks for what it takes away.
    """

    action: OperationAction
    comment: str
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]
    succeeded: Event
    failed: Event
    revocable: bool = True

    @property
    def error(self) -> str:
        """The error of an execution that failed, e.g. `CreateFailed`."""
        return self.action.split("_")[0].title() + "Failed"

    def path(self, step: Step) -> str:
        """The step's name in a payload: `create_instance.volume`; a shared one's own."""
        return step.name if step.shared else f"{self.action}.{step.name}"

    def turns_back(self, name: str) -> bool:
        """Whether an operation that comes to the step of that name never goes forward again."""
        return self.revocable and name in {FAIL.name, *(each.name for each in self.undo)}

    def left(self, ended: Container[str]) -> list[Step]:
        """The steps that are not recorded as ended."""
        return [each for each in self.steps if each.name not in ended]

    def waits_for_guest(self, name: str | None) -> bool:
        """Whether the step of that name ends when a guest has answered."""
        return any(each.name == name and each.waits is Waits.GUEST for each in self.steps)

    def named(self, name: str) -> Step | None:
        """The step of that name, forward or of the undoing."""
        return next((each for each in (*self.steps, *self.undo) if each.name == name), None)


class Kind(msgspec.Struct, frozen=True):
    """What the frame has to know of a step: see `functions.step`."""

    runs: Runs
    backwards: bool
    ends: bool


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

PREPARE: Final = Step(
    "prepare",
    Runs.LOCAL,
    Waits.GUEST,
    late="The guest agent did not finish preparing the database in time",
    failed="The guest agent failed to prepare the database",
)

CREATE: Final = Flow(
    OperationAction.CREATE,
    "Makes an instance. A step that cannot be done leads to the removals, then to ERROR with its "
    "reason.",
    steps=(
        Step("volume"),
        Step("network"),
        Step("message_queue", Runs.LOCAL),
        Step("server"),
        PREPARE,
    ),
    undo=_REMOVALS,
    succeeded=Event.CREATE_SUCCEEDED,
    failed=Event.CREATE_FAILED,
)

DELETE: Final = Flow(
    OperationAction.DELETE,
    "Takes an instance away. What cannot be removed leads to ERROR with its reason.",
    steps=_REMOVALS,
    undo=(),
    succeeded=Event.DELETE_SUCCEEDED,
    failed=Event.DELETE_FAILED,
    revocable=False,
)

UPDATE_ACCESS: Final = Flow(
    OperationAction.UPDATE_ACCESS,
    "Changes who may reach an instance. What cannot be done is taken back; the instance stays "
    "ACTIVE either way.",
    steps=(Step("apply"),),
    undo=(Step("restore", timeout="delete_timeout_seconds"),),
    succeeded=Event.ACCESS_UPDATED,
    failed=Event.ACCESS_UPDATE_FAILED,
)

FLOWS: Final[dict[str, Flow]] = {flow.action: flow for flow in (CREATE, DELETE, UPDATE_ACCESS)}


def _kinds(flow: Flow) -> Iterator[tuple[str, Kind]]:
    for step in flow.steps:
        yield flow.path(step), Kind(step.runs, backwards=not flow.revocable, ends=False)
    for step in flow.undo:
        yield flow.path(step), Kind(step.runs, backwards=True, ends=False)
    yield flow.path(COMPLETE), Kind(COMPLETE.runs, backwards=not flow.revocable, ends=True)
    yield flow.path(FAIL), Kind(FAIL.runs, backwards=True, ends=True)


KINDS: Final[dict[str, Kind]] = dict(each for flow in FLOWS.values() for each in _kinds(flow))
"""Every step of every flow by its name in a payload."""
