"""F17: executions are aborted, tasks end before their functions or guests answer, starts repeat."""

from __future__ import annotations

import json
from typing import Final

from botocore.exceptions import ClientError

from simulator.aws.dynamodb.values import Item
from simulator.aws.functions import Container
from simulator.aws.stepfunctions.execution import RUNNING, Execution
from simulator.aws.stepfunctions.faults import (
    DATA_LIMIT,
    HEARTBEAT_TIMEOUT,
    TIMEOUT,
    StateError,
)
from simulator.effects import Effect
from simulator.faults.base import Fault

STRIKE_SECONDS: Final = 40.0
STEPS_AN_EXECUTION: Final = 12
EFFECTS_A_STEP: Final = 4
"""About so many there are: the strength is a share of the executions."""
HEARTBEATS: Final = 0.3
"""Share of the tokens that end with a heartbeat's timeout rather than the task's own."""
TOO_LARGE: Final = 0.3
"""Share of the functions' tasks that end with a result over 256 KiB rather than with a timeout."""


class Workflow(Fault):
    """Two of the errors are made here that the shipped flows cannot cause by themselves, to see
    that they come out of them: no definition asks for heartbeats, and steps answer with a word.
    """

    id = "F17"
    title = "workflow"
    range = (0.0, 0.15)
    unit = "share of the executions"

    def install(self) -> None:
        self.on = True
        self._started: dict[str, Execution] = {}
        """The youngest execution of each operation."""
        self.world.region.effects.hooks.append(self)
        self.world.region.dynamodb.watchers.append(self._watch)

    def heal(self) -> None:
        self.on = False
        self.world.region.effects.hooks.remove(self)
        self.world.region.dynamodb.watchers.remove(self._watch)

    def before(self, effect: Effect) -> None:
        """A task may end in the middle of its function: at each call that the function makes."""
        owner = effect.owner
        if not isinstance(owner, Container) or owner.invocation is None:
            return
        event = owner.invocation.event
        if not isinstance(event, dict) or "operation_id" not in event or "token" in event:
            return
        if self.hits(self.strength / STEPS_AN_EXECUTION / EFFECTS_A_STEP):
            self.world.kernel.call_at(self.world.kernel.now, self._end_task, event)

    def after(self, effect: Effect) -> None:
        if effect.call != "StartExecution" or not self.on:
            return
        what = effect.what
        machine, name, text = what["stateMachineArn"], what["name"], what["input"]
        states = self.world.region.states
        execution = states.find(f"{machine.replace(':stateMachine:', ':execution:')}:{name}")
        if execution is None:
            return
        self._started[json.loads(text)["operation_id"]] = execution
        if self.hits():
            self.world.kernel.call_later(self.later(STRIKE_SECONDS), self._abort, execution)
        if self.hits():
            soon = self.stream.random() < 0.5
            after = 0.0 if soon else self.later(STRIKE_SECONDS)
            self.world.kernel.call_later(after, self._start_again, machine, name, text)

    def _start_again(self, machine: str, name: str, text: str) -> None:
        """The same start once more: at once, or when the execution may be over."""
        if not self.on:
            return
        self.inject(f"{name} is started a second time")
        try:
            self.world.region.states.start(machine, name, text)
        except ClientError:
            self.world.note(self.id, f"the second start of {name} was refused")

    def _abort(self, execution: Execution) -> None:
        if self.on and execution.status == RUNNING:
            self.inject(f"{execution.name} is aborted")
            self.world.region.states.stop(execution, "Simulated", "aborted by an operator")

    def _end_task(self, event: dict[str, str]) -> None:
        """End the task of a step whose function is still at work."""
        execution = self._started.get(event["operation_id"])
        if not self.on or execution is None or execution.status != RUNNING:
            return
        large = self.stream.random() < TOO_LARGE
        error = StateError(DATA_LIMIT, "simulated") if large else StateError(TIMEOUT, "")
        if self.world.region.states.disturb(execution, error):
            self.inject(f"{event['step']} of {execution.name} is at work: {error.name}")

    def _watch(self, table: str, old: Item | None, new: Item | None) -> None:
        """A token that has just been stored may time out before, or while, its answer comes."""
        if not table.endswith("-commands") or not new or "token" not in new:
            return
        if (old or {}).get("token") == new["token"] or not self.hits():
            return
        self.world.kernel.call_later(
            self.later(STRIKE_SECONDS), self._expire, str(new["token"]), str(new["instance_id"])
        )

    def _expire(self, token: str, instance_id: str) -> None:
        """From now on the answer of the guest is too late."""
        if not self.on:
            return
        error = HEARTBEAT_TIMEOUT if self.stream.random() < HEARTBEATS else TIMEOUT
        try:
            self.world.region.states.expire(token, error)
        except ClientError:
            return  # it was answered before
        self.inject(f"{error} of a task although its guest is at work", instance_id)
