"""The deliberate bugs: what each does to which shipped function, and which plan shows it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from chalicelib import aws, lifecycle
from chalicelib.api import guest_calls
from chalicelib.bus import commands, envelope, keys
from chalicelib.cloud import network as cloud_network
from chalicelib.cloud import servers as cloud_servers
from chalicelib.cloud import volumes as cloud_volumes
from chalicelib.conductor import dead_letters, heartbeats, reports
from chalicelib.domain.operations import REMOVALS, STARTABLE
from chalicelib.lifecycle import Event, Status
from chalicelib.settings import settings
from chalicelib.store import events, guests, instances, last_reports, operations, quotas
from chalicelib.store.models import Command, Guest, Instance, Operation
from chalicelib.taskmanager import sweeper
from functions import create_instance, maintenance, remove, step
from guest_agent.dispatch import Dispatcher
from guest_agent.errors import Expired
from guest_agent.journal import Journal

Patch = pytest.MonkeyPatch


class Saboteur(NamedTuple):
    """A bug: a sentence on it, the plan that shows it, and who should notice."""

    apply: Callable[[Patch], None]
    plan: str
    noticed_by: frozenset[str]
    seeds: int

    @property
    def name(self) -> str:
        return self.apply.__name__.replace("_", " ")

    @property
    def sentence(self) -> str:
        return (self.apply.__doc__ or "").strip()


SABOTEURS: Final[list[Saboteur]] = []


def saboteur(plan: str, *noticed_by: str, seeds: int = 5) -> Callable[[Any], Any]:
    """Register a bug."""

    def register(apply: Callable[[Patch], None]) -> Callable[[Patch], None]:
        SABOTEURS.append(Saboteur(apply, plan, frozenset(noticed_by), seeds))
        return apply

    return register


class _Instead:
    """A module with some functions replaced; the rest is looked up when it is called."""

    def __init__(self, module: Any, **instead: Any) -> None:
        self._module = module
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _same(key: bytes, _: Any) -> bytes:
    return key


def _nothing(*_: Any) -> list[Any]:
    return []


# ------------------------------------------------------------------------------ the steps


@saboteur("twins", "I3")
def no_lease(patch: Patch) -> None:
    """A step does not ask whether another worker holds its lease."""
    original = operations._update

    def update(row: Operation, actions: list[Any], condition: Any) -> None:
        if "lease_until" in str(condition):
            condition = Operation.status.is_in(*STARTABLE)
        original(row, actions, condition)

    patch.setattr(operations, "_update", update)


@saboteur("twins", "I1", "I3")
def steps_of_ended_operations(patch: Patch) -> None:
    """A step runs although its operation has ended."""
    original = operations._update

    def update(row: Operation, actions: list[Any], condition: Any) -> None:
        if "lease_until" in str(condition):
            now = aws.clock()
            condition = Operation.lease_until.does_not_exist() | (Operation.lease_until < now)
        original(row, actions, condition)

    patch.setattr(operations, "_update", update)


@saboteur("crashes", "L2")
def recorded_before_it_was_done(patch: Patch) -> None:
    """A removal is recorded before its effect: whoever dies between leaves the thing behind."""
    original = step._refusal

    def refusal(operation: Operation, name: str, run: Any) -> Any:
        if name in REMOVALS:
            now = aws.clock()
            operation.update(actions=[Operation.ended[name].set(now)])
        return original(operation, name, run)

    patch.setattr(step, "_refusal", refusal)


@saboteur("crashes", "I4", "L2", seeds=20)
def volumes_made_without_a_look(patch: Patch) -> None:
    """The step makes a volume without looking for one that a dead worker has left."""
    patch.setattr(create_instance, "volumes", _Instead(cloud_volumes, find=_nothing))


@saboteur("unknown results", "I4", "L2", seeds=20)
def servers_made_without_a_look(patch: Patch) -> None:
    """The step boots a server without looking for the one before, until it is ACTIVE."""
    original = cloud_servers

    def find(pattern: str) -> list[Any]:
        return [each for each in original.find(pattern) if each.status == "ACTIVE"][:1]

    patch.setattr(create_instance, "servers", _Instead(original, find=find))


@saboteur("crashes", "I4", "L2", seeds=20)
def ports_made_without_a_look(patch: Patch) -> None:
    """The step makes a port without looking for one that a dead worker has left."""
    patch.setattr(create_instance, "network", _Instead(cloud_network, find_ports=_nothing))


@saboteur("calm", "L2")
def a_compensation_forgotten(patch: Patch) -> None:
    """The removals leave the security group behind."""
    original = cloud_network
    patch.setattr(remove, "network", _Instead(original, find_security_groups=_nothing))


@saboteur("calm", "I4")
def a_volume_not_waited_for(patch: Patch) -> None:
    """The removal of volumes deletes only those that are available, and calls the rest done."""

    def find(name: str) -> list[Any]:
        found: Iterable[Any] = original.find(name)
        return [each for each in found if each.status == "error"]

    original = cloud_volumes
    patch.setattr(remove, "volumes", _Instead(original, find=find))


@saboteur("calm", "L2")
def a_guests_key_kept(patch: Patch) -> None:
    """The guest's key outlives its instance, so that it could come back."""
    patch.setattr(guests, "forget", lambda *_: None)


@saboteur("calm", "L2", "L3", "I4")
def orphans_of_the_living(patch: Patch) -> None:
    """The maintenance takes everything older than its age for an orphan."""
    patch.setattr(maintenance, "_orphaned", lambda instance_id: True)


@saboteur("lost hints", "L1")
def no_sweeper(patch: Patch) -> None:
    """Nobody repeats what was accepted and got lost."""
    patch.setattr(sweeper, "run", lambda: {"seen": 0, "started": 0})


@saboteur("unknown results", "L1", "L3")
def no_reason_told(patch: Patch) -> None:
    """A failed operation does not say why."""
    original = instances.end_operation

    def end_operation(operation: Operation, ending: Any) -> str | None:
        operation.reason = None
        operation.update(actions=[Operation.reason.remove()])
        return original(operation, msgspec.structs.replace(ending, reason=""))

    patch.setattr(instances, "end_operation", end_operation)


@saboteur("calm", "I11")
def passwords_in_the_log(patch: Patch) -> None:
    """The step logs the arguments of `prepare`, initial users with their passwords among them."""
    original = create_instance._prepare_arguments

    def arguments(operation: Operation, instance: Instance) -> dict[str, Any]:
        found = original(operation, instance)
        logging.getLogger("functions.create_instance").debug("prepare %s", found)
        return found

    patch.setattr(create_instance, "_prepare_arguments", arguments)


@saboteur("contents", "I11")
def arguments_in_a_hint(patch: Patch) -> None:
    """A command travels beside its sealed copy, in clear, on the task manager's queue."""
    original = commands.send

    def send(instance: Instance, row: Command, args: dict[str, Any]) -> None:
        original(instance, row, args)
        body = msgspec.json.encode({"operation_id": "none", "args": args}).decode()
        aws.client("sqs").send_message(QueueUrl=settings().taskmanager_queue_url, MessageBody=body)

    patch.setattr(commands, "send", send)


# --------------------------------------------------------------------- rows and operations


@saboteur("races", "I3", "I1")
def a_delete_that_does_not_queue(patch: Patch) -> None:
    """A delete takes the place of the live operation instead of waiting behind it."""
    original = instances.accept_delete

    def accept_delete(instance: Instance, operation: Operation) -> bool:
        instance.operation_id = None
        return original(instance, operation)

    def unchanged(instance: Instance) -> Any:
        return Instance.status == instance.status

    patch.setattr(instances, "accept_delete", accept_delete)
    patch.setattr(instances, "_unchanged", unchanged)


@saboteur("races", "I3", "L1")
def a_queued_delete_forgotten(patch: Patch) -> None:
    """The end of an operation does not hand over to the delete that waits behind it."""
    patch.setattr(
        instances,
        "_hand_over",
        lambda _: [Instance.operation_id.remove(), Instance.next_operation_id.remove()],
    )


@saboteur("races", "I1", "I3", "I5", seeds=20)
def rows_written_as_they_were_read(patch: Patch) -> None:
    """Transactions on an instance do not ask whether it has changed since it was read."""
    patch.setattr(instances, "_unchanged", lambda _: Instance.id.exists())


@saboteur("races", "I1")
def a_reset_that_revives(patch: Patch) -> None:
    """A reset takes an instance back to BUILD."""
    original = lifecycle.next_status

    def next_status(status: str, event: Event) -> Status:
        return Status.BUILD if event is Event.RESET else original(status, event)

    patch.setattr(lifecycle, "next_status", next_status)


@saboteur("calm", "I5")
def quota_released_twice(patch: Patch) -> None:
    """The end of an instance gives back twice what it held."""
    original = quotas.release

    def release(write: Any, tenant_id: str, held: dict[str, int]) -> None:
        original(write, tenant_id, {name: 2 * amount for name, amount in held.items()})

    patch.setattr(quotas, "release", release)


@saboteur("calm", "I5", "L5")
def quota_never_released(patch: Patch) -> None:
    """The end of an instance gives nothing back."""
    patch.setattr(quotas, "release", lambda *_: None)


@saboteur("races", "I5", seeds=10)
def quota_not_checked_again(patch: Patch) -> None:
    """Two creates at once may both fit: the write does not repeat what the read has checked."""

    def reserve(write: Any, quota: Any, delta: dict[str, int]) -> None:
        actions = [getattr(type(quota), name).add(amount) for name, amount in delta.items()]
        write.update(type(quota)(quota.tenant_id), actions=actions)

    patch.setattr(quotas, "reserve", reserve)
    patch.setattr(instances, "require_fit", lambda *_: None)


@saboteur("strangers", "I6")
def tenants_not_compared(patch: Patch) -> None:
    """An instance is found by its id for whoever asks."""

    def get_instance(instance_id: str, _: str | None = None) -> Instance:
        return instances.get_instance(instance_id)

    patch.setattr(guest_calls, "get_instance", get_instance)


@saboteur("calm", "I6")
def a_list_of_everything(patch: Patch) -> None:
    """A list shows the instances of all tenants."""

    def list_instances(tenant_id: str, limit: int, marker: str | None) -> tuple[list[Any], bool]:
        return [row for row in Instance.scan() if row.status != Status.DELETED][:limit], False

    patch.setattr(instances, "list_instances", list_instances)


@saboteur("races", "I13")
def a_refusal_that_crashes(patch: Patch) -> None:
    """A request over the quota ends in an error that nobody expects."""

    def require_fit(*arguments: Any) -> None:
        used, held, limits = arguments
        assert all(limits[name] in (-1, *range(10**6)) for name in held)
        if used.get("instances", 0) + held["instances"] > limits["instances"]:
            raise KeyError("instances")

    patch.setattr(instances, "require_fit", require_fit)


# -------------------------------------------------------------------------------- the bus


@saboteur("reordered", "I2")
def clocks_instead_of_sequences(patch: Patch) -> None:
    """A heartbeat counts when it arrives later, not when it was sent later."""
    patch.setattr(heartbeats, "_worth_writing", lambda *_: True)
    patch.setattr(last_reports, "_LATER", "generation = :generation AND updated <= :now")


@saboteur("late", "I9", seeds=10)
def expired_commands_run(patch: Patch) -> None:
    """The agent runs a command whose deadline has passed."""
    original = Dispatcher._refusal

    def refusal(dispatcher: Dispatcher, run: Any) -> Any:
        found = original(dispatcher, run)
        return None if isinstance(found, Expired) else found

    patch.setattr(Dispatcher, "_refusal", refusal)


@saboteur("poison", "I9", "I2", seeds=10)
def any_guests_seal(patch: Patch) -> None:
    """A report is believed when the key of any guest fits it."""
    original = envelope.open_sealed

    def open_sealed(body: str, direction: Any, key_of: Any) -> Any:
        try:
            return original(body, direction, key_of)
        except envelope.BadSeal:
            for row in Guest.scan():
                key = keys.guest_key(row.instance_id, 1, direction, 1)
                try:
                    return original(body, direction, functools.partial(_same, key))
                except envelope.BadSeal:
                    continue
            raise

    patch.setattr(reports, "open_sealed", open_sealed)


@saboteur("poison", "L4")
def poison_dropped_without_a_word(patch: Patch) -> None:
    """A dead letter leaves no record."""
    patch.setattr(dead_letters, "events", _Instead(events, record=lambda *_: None))


@saboteur("contents", "I2")
def answers_stored_twice(patch: Patch) -> None:
    """A second delivery of an answer overwrites the first."""
    original = Command.update

    def update(row: Command, actions: Any, condition: Any = None, **more: Any) -> Any:
        if condition is not None and "answered" in str(condition):
            condition = Command.instance_id == row.instance_id if row.instance_id else None
        return original(row, actions=actions, condition=condition, **more)

    patch.setattr(Command, "update", update)


@saboteur("contents", "I2")
def a_command_id_used_again(patch: Patch) -> None:
    """Every call of a method on an instance has the same command id."""
    original = commands.new_command

    def new_command(command_id: str, instance: Instance, method: str, **more: Any) -> Command:
        if more.get("operation_id") is None:
            command_id = f"{instance.id}.{method}"
        return original(command_id, instance, method, **more)

    patch.setattr(commands, "new_command", new_command)


@saboteur("contents", "I2")
def an_agent_without_memory(patch: Patch) -> None:
    """The agent keeps no journal: what comes twice is run twice."""
    patch.setattr(Journal, "recorded", lambda *_: None)
    patch.setattr(Journal, "may_have_begun", lambda *_: False)
