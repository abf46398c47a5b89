"""The form of a flow: its steps and ways, and what it means for the status of its subject."""

from __future__ import annotations

from collections.abc import Container
from enum import StrEnum
from typing import Final

import msgspec

from chalicelib.domain.operations import OperationAction, SubjectKind
from chalicelib.service_status import ServiceStatus
from chalicelib.status import Status


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
    administrator asks for it, or calls it back. The step `replaces` makes another guest the
    instance's; where none but a success is to leave it, that of the undoing which `disowns` it.

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
    replaces: str = ""
    disowns: str = ""
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


COMPLETE: Final = Step("complete", Runs.LOCAL, Waits.NO)
FAIL: Final = Step("fail", Runs.LOCAL, Waits.NO)

START_IT: Final = "Start the instance."
"""What is to be done where a server may be off."""
