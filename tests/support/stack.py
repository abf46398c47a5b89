"""The whole control plane in one process, run on the world's clock until nothing is left to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from chalicelib import batch, lifecycle
from chalicelib.bus import queues
from chalicelib.cloud import names, network, servers, volumes
from chalicelib.conductor import dead_letters, heartbeats, reports
from chalicelib.domain import instances as rules
from chalicelib.domain.flows import DELETE, UPDATE_ACCESS, Flow
from chalicelib.domain.quotas import RESOURCES, held_by_instance
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import accepting, instances, operations, quotas
from chalicelib.store.models import Arguments, Guest, Instance, Operation
from chalicelib.taskmanager import dispatcher, sweeper
from functions import handler
from tests.support.cloud import FakeCloud
from tests.support.guest import FakeGuest
from tests.support.rows import (
    TENANT,
    create_operation,
    new_instance,
)
from tests.support.states import RUNNING, StepFunctions
from tests.support.world import Fault, Killed, World

CONVERGES_WITHIN_SECONDS: Final = 2 * 3600
SWEEP_SECONDS: Final = 60
OWNING: Final = (Status.ACTIVE, Status.STOPPED)
PASSWORD: Final = "pass-word-of-the-user"


class Stack:
    """World, cloud, state machines, guests, and the handlers between them."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.patch = patch
        self.cloud = FakeCloud(world)
        self.cloud.install(patch)
        self.machines = world.stepfunctions = StepFunctions(world, self._invoke)
        self.guests: dict[str, FakeGuest] = {}
        self._off: dict[str, FakeGuest] = {}
        self._disks: dict[str, int] = {}
        self.zombies: list[FakeGuest] = []
        """The guests of disks that were replaced."""
        self.on_guest: Callable[[FakeGuest], None] = lambda guest: None
        self.illegal: list[tuple[str, str]] = []
        self.next_sweep = world.now + SWEEP_SECONDS
        world.dynamodb.watchers.append(self._watch)

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
        operation = operations.operation_of(instance, flow, arguments=arguments)
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

    def settle(self, until: float | None = None) -> None:
        """Run until nothing moves any more; with `until`, at most to that time."""
        end = self.world.now + CONVERGES_WITHIN_SECONDS
        while True:
            while self._deliver() or self._guests() or self.machines.advance():
                pass
            upcoming = self._next()
            if upcoming is None or (until is not None and upcoming > until):
                self.world.now = max(self.world.now, until or 0)
                return
            assert upcoming < end, f"not converged: {self._live()}"
            self.world.now = max(self.world.now, upcoming)
            if self.world.now >= self.next_sweep:
                self.next_sweep = self.world.now + SWEEP_SECONDS
                _survive(sweeper.run)

    def run_with(self, faults: dict[int, Fault]) -> None:
        """Settle with faults at numbered effects, counted from here."""
        base = len(self.world.log)
        self.world.faults = {base + number: fault for number, fault in faults.items()}
        self.settle()
        self.world.faults = {}

    def _deliver(self) -> bool:
        chosen = settings()
        routes: dict[str, Callable[[dict[str, Any]], None]] = {
            chosen.taskmanager_queue_url: lambda record: dispatcher.receive(record["body"]),
            chosen.conductor_queue_url: lambda record: reports.receive(record["body"]),
            chosen.heartbeats_queue_url: lambda record: _one(heartbeats.receive, record),
            chosen.dead_letters_queue_url: lambda record: _one(dead_letters.receive, record),
        }
        moved = False
        for url, handle in routes.items():
            while records := self.world.sqs.take(url, 1):
                moved = True
                if _survive(partial(handle, records[0])):
                    self.world.sqs.settle(url, [records[0]["receiptHandle"]])
        return moved

    def _guests(self) -> bool:
        running = {server.id: server for server in self.cloud.running()}
        for server_id in [each for each in self.guests if each not in running]:
            self._off[server_id] = self.guests.pop(server_id)
        for server_id, server in running.items():
            if server_id in self._off:
                self.guests[server_id] = self._off.pop(server_id)
            if self._disks.get(server_id, 0) != server.facts.get("disks", 0):
                self._disks[server_id] = server.facts["disks"]
                self.zombies.append(self.guests.pop(server_id))
            if server_id not in self.guests:
                guest = FakeGuest(self.world, server_id, server.facts["user_data"])
                self.guests[server_id] = guest
                self.on_guest(guest)
            self.guests[server_id].has_booted(server.facts.get("boots", 0))
        return any(guest.tick() for guest in self.guests.values())

    def _next(self) -> float | None:
        """When something can happen next; None when nothing is under way."""
        times = [self.machines.next_wake()]
        times += [self.world.sqs.next_visible(url) for url in self._control_queues()]
        times += [
            guest.next_try
            for guest in self.guests.values()
            if guest.admission is None and guest.refusal is None
        ]
        if self._live():
            times.append(self.next_sweep)
        return min((each for each in times if each is not None), default=None)

    def _control_queues(self) -> list[str]:
        return [name for name in self.world.sqs.queues if "-guest-" not in name]

    def _live(self) -> list[str]:
        rows = self.world.dynamodb.rows(Operation.Meta.table_name)
        return [row["id"] for row in rows if "live" in row]

    def _invoke(self, arn: str, payload: dict[str, Any]) -> dict[str, Any]:
        entry = handler.cloud if arn == "${TaskManagerCloudArn}" else handler.local
        return entry(payload, None)

    def _watch(self, table: str, old: Any, new: Any) -> None:
        if table != Instance.Meta.table_name or old is None or new is None:
            return
        before, after = old["status"], new["status"]
        allowed = {(source, target) for (source, _), target in lifecycle.TRANSITIONS.items()}
        if before != after and (before, after) not in allowed:
            self.illegal.append((before, after))

    def check(self) -> None:
        """What must hold when everything has come to rest (simulation.md: I1, I5, I11, L1-L5)."""
        assert self.illegal == []
        rows = [instances.find_instance(row["id"]) for row in self._rows(Instance)]
        present = [row for row in rows if row is not None]
        self._check_operations()
        self._check_inventory(present)
        self.check_quotas()
        for row in present:
            assert row.operation_id is None
            assert row.next_operation_id is None
            assert row.status in (*OWNING, Status.ERROR, Status.DELETED)
            assert row.status != Status.ERROR or row.fault_message
            assert _owns(row) or row.held == {}
        for url in self._control_queues():
            assert self.world.sqs.records(url) == []
        for secret in (PASSWORD, "enrolment_token"):
            assert not any(secret in text for text in self.machines.documents)
            assert not any(secret in body for body in self.world.sqs.bodies)

    def check_quotas(self) -> None:
        """The counters are what the rows hold."""
        rows = [instances.find_instance(row["id"]) for row in self._rows(Instance)]
        held = {name: sum(row.held.get(name, 0) for row in rows if row) for name in RESOURCES}
        assert quotas.used_of(quotas.get_quota(TENANT)) == held

    def _check_operations(self) -> None:
        for stored in self._rows(Operation):
            row = operations.get_operation(stored["id"])
            assert row is not None
            assert row.status in ("SUCCEEDED", "FAILED", "CANCELLED")
            assert row.live is None
            assert row.check_at is None
            assert row.sealed_args is None
            assert row.status == "SUCCEEDED" or row.reason
        ended = {stored["id"] for stored in self._rows(Operation)}
        assert not any(stored["id"] in ended for stored in self._rows(Arguments))
        assert all(each.status != RUNNING for each in self.machines.executions.values())

    def _check_inventory(self, rows: list[Instance]) -> None:
        owning = [row for row in rows if _owns(row)]
        owners = sorted(row.id for row in owning)
        present = {kind: sorted(found) for kind, found in self.cloud.inventory().items()}
        named = sorted(
            each.name for row in owning for each in servers.find(row.id)
        )  # of the present generation, unless its rebuild has failed
        for row in rows:
            if row.status in OWNING:
                assert names.server(row.id, int(row.generation)) in named
        assert present == {
            "server": named,
            "volume": [f"coffer-{owner}" for owner in owners],
            "port": [f"coffer-{owner}" for owner in owners],
            "group": [f"coffer-{owner}" for owner in owners],
            "floating": sorted(
                names.description(row.id)
                for row in rows
                if _owns(row) and (row.access or {}).get("is_public")
            ),
        }
        for row in rows:
            if row.status in OWNING:
                (server,) = servers.find(row.id)
                assert server.status == ("ACTIVE" if row.status == Status.ACTIVE else "SHUTOFF")
                assert self._flavor_of(server.flavor) == (row.flavor_id, row.flavor_ram)
                assert row.held["ram"] == row.flavor_ram
                self._check_access(row)
                (disk,) = volumes.find(row.id)
                assert disk.size == row.volume_size == row.held["volumes"]
        queued = sorted(queues.guest_queue_name(row.id, int(row.generation)) for row in owning)
        assert sorted(name for name in self.world.sqs.queues if "-guest-" in name) == queued
        enrolled = {(row["instance_id"], row["generation"]) for row in self._rows(Guest)}
        assert len(enrolled) == len(self._rows(Guest))
        assert enrolled <= {(row.id, row.generation) for row in owning}
        assert enrolled >= {(row.id, row.generation) for row in rows if row.status in OWNING}

    def _flavor_of(self, name: str) -> tuple[str, int]:
        (found,) = (each for each in self.cloud.flavors if each.name == name)
        return found.id, found.ram

    def _check_access(self, row: Instance) -> None:
        """What the row tells of the access is what holds in the cloud."""
        access = row.access or {}
        (group,) = network.find_security_groups(row.id)
        wanted = rules.sources(access.get("allowed_cidrs") or [])
        assert {rule.cidr for rule in group.rules} == set(wanted)
        public = [each.address for each in network.find_floating_addresses(row.id)]
        told = [each["address"] for each in row.addresses if each["type"] == "public"]
        assert told == public

    def _rows(self, model: Any) -> list[dict[str, Any]]:
        return list(self.world.dynamodb.rows(model.Meta.table_name))


def _owns(row: Instance) -> bool:
    """Whether its things are there: also after a failure that leaves them for the next try."""
    return row.status in OWNING or (row.status == Status.ERROR and "server_id" in row.resources)


def _one(receive: Callable[[dict[str, Any]], batch.Answer], record: dict[str, Any]) -> None:
    """Hand over a batch of one, as often as it fails."""
    answer = receive({"Records": [record]})
    if answer["batchItemFailures"]:
        raise RuntimeError("the message comes again")


def _survive(function: Callable[[], object]) -> bool:
    """Run a handler that may die; whether it came through."""
    try:
        function()
    except (Exception, Killed):  # noqa: BLE001 - Lambda reports the failure, SQS delivers again
        return False
    return True
