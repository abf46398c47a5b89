"""F17: executions are aborted, tasks time out before their answer, starts come twice."""

from __future__ import annotations

from botocore.exceptions import ClientError

from simulator.aws.dynamodb.values import Item
from simulator.aws.stepfunctions.execution import Execution
from simulator.effects import Effect
from simulator.faults.base import Fault

STRIKE_SECONDS = 40.0


class Workflow(Fault):
    """A payload over 256 KiB cannot be reached: steps carry ids only."""

    id = "F17"
    title = "workflow"
    range = (0.0, 0.05)
    unit = "share of the executions"

    def install(self) -> None:
        self.on = True
        self.run.region.effects.hooks.append(self)
        self.run.region.dynamodb.watchers.append(self._watch)

    def heal(self) -> None:
        self.on = False
        self.run.region.effects.hooks.remove(self)
        self.run.region.dynamodb.watchers.remove(self._watch)

    def before(self, effect: Effect) -> None:
        return None

    def after(self, effect: Effect) -> None:
        if effect.call != "StartExecution" or not self.on:
            return
        what = effect.what
        machine = what["stateMachineArn"]
        execution = self.run.region.states.find(
            f"{machine.replace(':stateMachine:', ':execution:')}:{what['name']}"
        )
        if execution is None:
            return
        if self.hits():
            self.run.kernel.call_later(self.later(STRIKE_SECONDS), self._abort, execution)
        if self.hits():
            self.inject(f"{execution.name} is started a second time")
            try:
                self.run.region.states.start(machine, what["name"], what["input"])
            except ClientError:
                self.run.note(self.id, f"the second start of {execution.name} was refused")

    def _abort(self, execution: Execution) -> None:
        if self.on and execution.status == "RUNNING":
            self.inject(f"{execution.name} is aborted")
            self.run.region.states.stop(execution, "Simulated", "aborted by an operator")

    def _watch(self, table: str, old: Item | None, new: Item | None) -> None:
        """A token that has just been stored may time out before, or while, its answer comes."""
        if not table.endswith("-commands") or not new or "token" not in new:
            return
        if (old or {}).get("token") == new["token"] or not self.hits():
            return
        self.run.kernel.call_later(
            self.later(STRIKE_SECONDS), self._expire, str(new["token"]), str(new["instance_id"])
        )

    def _expire(self, token: str, instance_id: str) -> None:
        if not self.on:
            return
        try:
            self.run.region.states.expire(token)
        except ClientError:
            return  # it was answered before
        self.inject("a task times out although its guest is at work", instance_id)
