"""The control plane of the simulator, for tests of flows: what the API would accept is accepted
here directly, and everything after that is the shipped handlers' in virtual time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from chalicelib.bus import queues
from chalicelib.cloud.errors import CloudError
from chalicelib.domain.flows import DELETE, UPDATE_ACCESS, Flow
from chalicelib.domain.quotas import RESOURCES, held_by_instance
from chalicelib.lifecycle import Status
from chalicelib.store import accepting, backups, instances, operations, quotas
from chalicelib.store.base import as_dict
from chalicelib.store.models import Instance, Operation
from functions import handler
from simulator import template
from simulator.aws.errors import client_error
from simulator.aws.lambda_ import Event, Fate, Function, Handler
from simulator.aws.stepfunctions.execution import RUNNING, Execution
from simulator.cloud.model.faults import Fault as CloudFault
from simulator.cloud.model.security_groups import SecurityGroup
from simulator.cloud.model.server import Server
from simulator.cloud.model.volume import Volume
from simulator.effects import Effect
from simulator.inputs import DATASTORE
from simulator.versions import NEWER
from tests.simulator.deployment import REPORTED_SECONDS, TENANT, Simulation
from tests.support.rows import WHO, create_operation, new_instance
from tests.support.scripted import Scripts

CONVERGES_WITHIN_SECONDS: Final = 2 * 3600.0
LOOK_SECONDS: Final = 1.0
PASSWORD: Final = "pass-word-of-the-user"
VERSION: Final[dict[str, Any]] = {
    "id": f"{DATASTORE}-{NEWER[DATASTORE].name}",
    "name": NEWER[DATASTORE].name,
    "number": NEWER[DATASTORE].number,
    "image": {"id": NEWER[DATASTORE].image_id, "tags": []},
}
"""What an upgrade is to."""


class Stack(Simulation):
    """A deployment whose functions, cloud and guests a test can put out of step."""

    def __init__(self, options: dict[str, str] | None = None) -> None:
        super().__init__(options=options)
        self.machines = self.region.states
        self.guests = Scripts(self.fleet)
        self.refusals: dict[str, CloudError] = {}
        """What the cloud answers to a call ("servers.create"), as long as it is here."""
        self.throttled: set[str] = set()
        """The calls of AWS ("sqs.SendMessage") that are refused, as long as they are here."""
        self.interruptions: dict[str, Callable[[], object]] = {}
        """What happens right before the next call of that name, once."""
        self.log: list[str] = []
        """The calls that functions and guests have made: of AWS, and of the cloud."""
        self.fates: list[Callable[[str], Fate | None]] = []
        """Asked, by its step, what becomes of each invocation of a task manager."""
        self.expects: Callable[[], bool] = lambda: False
        """Whether something is to come that nobody here has asked for."""
        self.patch = pytest.MonkeyPatch()
        """What is put in another's place for as long as this stack is there."""
        self.region.effects.hooks.append(self)
        self.region.lambda_.decide = self._decide

    def close(self) -> None:
        self.patch.undo()
        super().close()

    # ------------------------------------------------------------- what the API would accept

    def create(self, **changes: Any) -> tuple[Instance, Operation]:
        """Accept a create as the API does, and hint the task manager."""
        instance = new_instance(**changes)
        asked = {"users": [{"name": "alice", "password": PASSWORD}]}
        operation = create_operation(instance, json.dumps(asked).encode())
        held = held_by_instance(int(instance.flavor_ram), int(instance.volume_size))
        accepting.accept_create(instance, operation, held)
        queues.notify_task_manager(operation.id)
        return instance, operation

    def accept(
        self,
        instance_id: str,
        flow: Flow,
        arguments: dict[str, Any] | None = None,
        holds: dict[str, int] | None = None,
    ) -> Operation:
        """Accept an operation as the API does."""
        instance = instances.get_instance(instance_id)
        operation = operations.operation_of(instance, flow, arguments=arguments, asked=WHO)
        assert accepting.accept(instance, operation, holds=holds)
        if operation.status == "ACCEPTED":
            queues.notify_task_manager(operation.id)
        return operation

    def delete(self, instance_id: str) -> Operation:
        """Accept a delete as the API does."""
        return self.accept(instance_id, DELETE)

    def update_access(self, instance_id: str, **changes: Any) -> Operation:
        """Accept a change of the access as the API does."""
        wanted = {"is_public": False, "allowed_cidrs": []} | changes
        return self.accept(instance_id, UPDATE_ACCESS, wanted)

    def force_delete(self, instance_id: str) -> Operation:
        """Reset the status, then delete, as the clients do it."""
        assert instances.reset_status(instances.get_instance(instance_id), "forced by an operator")
        return self.delete(instance_id)

    # ------------------------------------------------------------------------------- time

    def settle(self, within: float = CONVERGES_WITHIN_SECONDS) -> None:
        """Let time pass until nothing is under way any more."""
        until = self.kernel.now + within
        while self.busy():
            assert self.kernel.now < until, "not converged"
            self.run(LOOK_SECONDS)

    def reach(self, operation: Operation, step: str) -> None:
        """Let time pass until an operation has begun a step."""
        until = self.kernel.now + CONVERGES_WITHIN_SECONDS
        while step not in as_dict(Operation.get(operation.id, consistent_read=True).started):
            assert self.kernel.now < until, f"{step} has not begun"
            self.run(LOOK_SECONDS / 4)

    def busy(self) -> bool:
        """Whether an operation is live or a message waits, also one that tells how a guest is."""
        if self.expects():
            return True
        return super().busy() or bool(self.region.sqs.queues[template.name("heartbeats")].messages)

    def check(self) -> None:
        """Everything that must hold when all has come to rest holds."""
        assert not self.busy()
        self.run(REPORTED_SECONDS)
        self.invariants.hub.restoring = False
        self.invariants.check_healed()
        broken = self.explain()
        assert not broken, broken
        assert self.fleet.broken == []
        for row in self.instances():
            assert row["status"] in (Status.ACTIVE, Status.STOPPED, Status.ERROR)
        assert all(each.status != RUNNING for each in self.executions)

    def check_quotas(self) -> None:
        """The counters are what the rows hold."""
        rows = [instances.find_instance(row["id"]) for row in self.instances()]
        held = {name: sum(row.held.get(name, 0) for row in rows if row) for name in RESOURCES}
        held["backups"] += backups.held_by(TENANT)
        assert quotas.used_of(quotas.get_quota(TENANT)) == held

    # ------------------------------------------------------------- what is there, what was called

    @property
    def executions(self) -> list[Execution]:
        """Every execution that was begun, the oldest first."""
        return list(self.machines.executions.values())

    @property
    def calls(self) -> Counter[str]:
        """How often each call was made."""
        return Counter(self.log)

    @property
    def servers(self) -> list[Server]:
        """The servers that the cloud has."""
        return list(self.cloud.compute.servers.values())

    @property
    def volumes(self) -> list[Volume]:
        """The volumes that the cloud has."""
        return list(self.cloud.volume.volumes.values())

    def stop_executions(self) -> None:
        """Abort what runs, as an operator could."""
        for execution in self.executions:
            self.machines.stop(execution)

    # --------------------------------------------------------------------- what goes wrong

    def spoil(
        self, service: str, call: str, mode: str, *, times: int = 1, seconds: float | None = None
    ) -> None:
        """Have the next calls of the cloud go wrong, in one of the ways it knows."""
        fault = CloudFault("test", service, call, mode, count=times, seconds=seconds)
        self.cloud.faults.arm(fault)

    def inventory(self) -> dict[str, list[str]]:
        """The names of all that is in the cloud now, by kind."""
        network = self.cloud.network
        found: dict[str, Iterable[Any]] = {
            "server": self.servers,
            "volume": self.volumes,
            "port": network.ports.values(),
            "group": [
                each for each in network.security_groups.groups.values() if each.name != "default"
            ],
            "floating": network.floating.rows.values(),
        }
        return {
            kind: sorted(getattr(each, "name", None) or each.description for each in things)
            for kind, things in found.items()
        }

    def _groups(self) -> list[SecurityGroup]:
        """Those that were made: each project has one that was there before."""
        groups = self.cloud.network.security_groups.groups.values()
        return [each for each in groups if each.name != "default"]

    def take_everything_away(self) -> None:
        """Somebody has removed all that the service had in the cloud."""
        network = self.cloud.network
        for server in self.servers:
            self.cloud.compute._lifecycle.vanish(server)
        for things in (network.floating.rows, network.ports, self.cloud.volume.volumes):
            things.clear()
        for group in self._groups():
            del network.security_groups.groups[group.id]

    def switch_guests_off(self) -> None:
        """Nova does not know of it: months are short without reports."""
        for guest in self.fleet:
            guest.power_off()

    def lose_disk(self, server: Server) -> None:
        """A server comes up on an empty root disk, and Nova knows nothing of it."""
        spec = self.cloud.compute._lifecycle.spec(server)
        self.fleet.rebuild(spec, lambda error: None)

    def grow(self, volume: Volume, size_gib: int) -> None:
        """Somebody else has made a volume larger."""
        volume.size = size_gib
        self.fleet.extend_volume(volume.id, size_gib)

    def go_on_with_the_resize(self, flavor_id: str, *, confirmed: bool = True) -> None:
        """Nova gets on with a resize that was stuck; somebody lets it have its way, or not yet."""
        (server,) = self.servers
        lifecycle = self.cloud.compute._lifecycle
        lifecycle.resize(server, self.cloud.compute.flavors.flavors[flavor_id], None)
        self.run(2 * LOOK_SECONDS)
        if confirmed:
            lifecycle.confirm(server, None)
            self.run(LOOK_SECONDS)

    def job(self, step: str, **more: Any) -> dict[str, Any]:
        """Have a job of the maintenance done; its answer."""
        answers: list[dict[str, Any]] = []
        self.do(lambda: answers.append(handler.cloud({"step": step, **more}, None)))
        return answers[0]

    def stop_schedules(self) -> None:
        """Nothing is swept, mirrored or looked for any more but by a test."""
        for each in self.region.schedules.values():
            each.disable()

    def start_schedules(self) -> None:
        """As it is deployed."""
        for each in self.region.schedules.values():
            each.enable()

    def lose_workers(self, dies: Callable[[Event], bool]) -> None:
        """Let workers die at the events of which `dies` is true, without anybody's notice."""
        function = self.region.lambda_.functions[template.name("taskmanager")]
        make = function.make_handler

        def mortal() -> Handler:
            handle = make()
            return lambda event, context: None if dies(event) else handle(event, context)

        function.make_handler = mortal

    # ------------------------------------------------------------------------------- hooks

    def before(self, effect: Effect) -> None:
        name = effect.call if effect.service == "openstack" else f"{effect.service}.{effect.call}"
        self.log.append(name)
        if interruption := self.interruptions.pop(name, None):
            interruption()
        if effect.service == "openstack" and name in self.refusals:
            raise self.refusals[name]
        if name in self.throttled:
            raise client_error("ThrottlingException", name, "slow down")

    def after(self, effect: Effect) -> None:
        """Nothing: what has happened has happened."""

    def _decide(self, function: Function, event: Event, source: str) -> Fate:
        if source == "states":
            for fate in self.fates:
                decided = fate(str(event["step"]))
                if decided is not None:
                    return decided
        return Fate.RUN
