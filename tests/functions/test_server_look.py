"""A guest whose server is off, broken or gone is not waited for until the step's bound."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.cloud.servers import Server
from chalicelib.domain.operations import command_id
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import commands
from chalicelib.store.models import Command, Operation, ServiceStatusRow
from chalicelib.taskmanager import executions, sweeper
from functions import power, server_look
from simulator.template import PREFIX
from tests.simulator.served import Served
from tests.support.bare import World
from tests.support.rows import accepted

SOON = 330.0
"""The first look, the sweeps around it, and what follows: less than any bound."""


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    try:
        yield made
    finally:
        made.close()


def goes_off(served: Served) -> None:
    """Nobody's doing: Nova finds the machine powered off."""
    served.cloud.compute.crash(served.cloud.admin(), served.server.id)


def breaks(served: Served) -> None:
    served.cloud.compute._lifecycle._break(served.server, 500, "Its host died.")


def vanishes(served: Served) -> None:
    served.cloud.compute._lifecycle.vanish(served.server)


GONE: dict[Callable[[Served], None], str] = {
    goes_off: "The server was switched off.",
    breaks: "The server went to ERROR: Its host died.",
    vanishes: "The server has vanished; rebuild the instance",
}


def looks(served: Served) -> list[Any]:
    """The executions that have looked."""
    machine = f":{PREFIX}-look-at-server:"
    return [each for arn, each in served.region.states.executions.items() if machine in arn]


def begin(served: Served, action: str, arguments: Any, step: str, *, admin: bool = False) -> None:
    """Ask, and cut the agent off from what it is asked."""
    served.fleet.partition(served.server.id)
    assert served.ask(action, arguments, admin=admin) == 202
    served.until(step)


@pytest.mark.parametrize(
    ("action", "arguments", "step", "status"),
    [
        ("restart", None, "restart", Status.ACTIVE),
        ("resize", {"volume": {"size": 2}}, "grow", Status.ACTIVE),
        ("stop", None, "stop_database", None),
        ("resize", {"flavorRef": "4"}, "stop_database", None),
    ],
)
@pytest.mark.parametrize("gone", GONE)
def test_a_step_that_waits_for_its_guest_ends_early_with_the_true_reason(
    served: Served,
    gone: Callable[[Served], None],
    action: str,
    arguments: Any,
    step: str,
    status: Status | None,
) -> None:
    begin(served, action, arguments, step)
    gone(served)
    began = served.kernel.now
    while not served.operation().get("compensating"):
        assert served.kernel.now - began < SOON
        served.run(1)
    served.fleet.heal()
    served.settle()
    assert GONE[gone] in served.fault
    expected = Status.ERROR if gone is vanishes else Status.ACTIVE
    assert served.status == (status or expected)


def test_a_create_whose_server_breaks_is_undone_early() -> None:
    made = Served.__new__(Served)
    super(Served, made).__init__()
    try:
        made.do(lambda: made.create(made.tenant), within=5)
        (row,) = made.instances()
        made.id = str(row["id"])
        made.until("prepare")
        made.fleet.partition(made.server.id)
        breaks(made)
        began = made.kernel.now
        made.settle()
        assert made.status == Status.ERROR
        assert "The server went to ERROR: Its host died." in made.fault
        assert made.took() < settings().create_timeout_seconds / 3
        assert made.kernel.now - began < settings().create_timeout_seconds
    finally:
        made.close()


def test_a_rebuild_whose_server_goes_ends_early(served: Served) -> None:
    image_id = next(iter(served.cloud.image.images))
    assert served.ask("rebuild", {"image_id": image_id}, admin=True) == 202
    served.until("prepare")
    served.fleet.partition(served.server.id)
    goes_off(served)
    served.settle()
    assert served.status == Status.ERROR
    assert "The server was switched off." in served.fault
    assert served.took() < SOON


def test_the_way_back_does_not_wait_for_a_guest_without_a_server_either(served: Served) -> None:
    served.spoil("compute", "resize_server", "left_as_it_was", times=99)
    assert served.ask("resize", {"flavorRef": "4"}) == 202
    served.until("resize")
    served.fleet.partition(served.server.id)
    served.until("settings_of_before")
    goes_off(served)
    began = served.kernel.now
    served.settle()
    assert served.operation()["updated"] - began < SOON
    assert "Not undone: settings_of_before" in served.fault
    assert served.status == Status.ERROR


def test_who_waits_for_a_server_that_is_there_is_looked_at_ever_less_often(served: Served) -> None:
    begin(served, "restart", None, "restart")
    bound = settings().restart_timeout_seconds
    served.run(bound - 30)
    times = [each.started - served.operation()["created"] for each in looks(served)]
    assert 2 <= len(times) <= 5
    assert 60 <= times[0] <= 60 + 2 * sweeper.LOOK_AGAIN_SECONDS + 60
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert not served.operation().get("compensating")
    served.fleet.heal()
    served.settle()


def test_what_is_over_soon_is_never_looked_at(served: Served) -> None:
    assert served.ask("restart") == 202
    served.settle()
    assert looks(served) == []


def test_a_cloud_that_does_not_answer_decides_nothing(served: Served) -> None:
    begin(served, "restart", None, "restart")
    for call in ("get_server", "list_servers"):
        served.spoil("compute", call, "unavailable", times=99999)
    goes_off(served)
    served.run(600)
    assert served.operation()["status"] == "RUNNING"
    assert not served.operation().get("compensating")
    served.cloud.faults.clear()
    served.fleet.heal()
    served.settle()


@pytest.mark.parametrize(
    ("status", "moving", "alone"),
    [
        ("ACTIVE", False, False),
        ("SHUTOFF", True, False),
        ("ERROR", True, False),
        ("VERIFY_RESIZE", False, False),
        ("SHUTOFF", False, True),
        ("ERROR", False, True),
    ],
)
def test_a_server_that_nova_is_at_decides_nothing(
    status: str, *, moving: bool, alone: bool
) -> None:
    found = Server("server-1", "db", status, deleting=False, fault=None, owner=None, moving=moving)
    assert bool(server_look._why_alone(found)) == alone


def test_a_sweep_has_so_many_looked_at_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Operation] = []
    monkeypatch.setattr(executions, "look", looked.append)
    waiting = [Operation(str(number)) for number in range(sweeper.MOST_LOOKS + 1)]
    sweeper._look_at_servers(waiting, aws.clock() + 60)
    assert looked == waiting[: sweeper.MOST_LOOKS]
    sweeper._look_at_servers(waiting, aws.clock() - 1)
    assert len(looked) == sweeper.MOST_LOOKS, "the sweep's time was over"


def test_an_operation_whose_instance_a_restored_table_does_not_know_is_left_alone(
    world: World,
) -> None:
    instance, operation = accepted()
    operation.update(actions=[Operation.step.set("prepare")])
    instance.delete()
    assert server_look.run({"operation_id": operation.id}) == {}
    assert Operation.get(operation.id).alone is None


def report(instance_id: str) -> None:
    """A heartbeat of its guest."""
    now = aws.clock()
    ServiceStatusRow(instance_id, generation=1, epoch=1, status="healthy", updated=now).save()


def waiting(world: World, method: str = "create_backup", **row: Any) -> Operation:
    """An operation whose guest reports, and was asked for something."""
    instance, operation = accepted()
    operation.update(actions=[Operation.step.set("prepare")])
    commands.keep(
        Command(
            command_id(operation.id, "prepare"),
            instance_id=instance.id,
            generation=1,
            method=method,
            operation_id=operation.id,
            created=aws.clock(),
            deadline=aws.clock() + 86400,
            expires=datetime.fromtimestamp(aws.clock() + 86400, UTC),
        ),
        *(getattr(Command, name).set(value) for name, value in row.items()),
    )
    aws.sleep(server_look.SILENT_SECONDS)
    report(instance.id)
    return operation


@pytest.mark.parametrize(
    ("row", "method", "lost"),
    [
        ({}, "create_backup", True),
        ({}, "restart", False),
        ({"answered": 1.0}, "create_backup", False),
        ({"stage": "told once by an agent of a former release"}, "create_backup", False),
    ],
)
def test_what_a_guest_was_asked_for_and_never_told_of_is_lost(
    world: World, row: dict[str, Any], method: str, *, lost: bool
) -> None:
    operation = waiting(world, method, **row)
    told = server_look._why_unheard(operation, "prepare")
    assert bool(told) == lost
    assert not lost or "has told nothing of 'create_backup' for 60 minutes" in str(told)


def test_what_it_was_to_tell_of_again_and_did_not_is_lost_too(world: World) -> None:
    operation = waiting(world, stage="copying the data")
    row = Command(command_id(operation.id, "prepare"))
    row.update(actions=[Command.again.set(aws.clock() - server_look.SILENT_SECONDS + 1)])
    assert server_look._why_unheard(operation, "prepare") is None
    aws.sleep(1)
    report(operation.instance_id)
    assert "the command, or its answer, is lost" in str(
        server_look._why_unheard(operation, "prepare")
    )


@pytest.mark.parametrize("how", ["it waits", "it has ended", "it waits for no guest"])
def test_only_a_step_that_waits_for_its_guest_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    operation = waiting(world)
    if how == "it has ended":
        operation.update(actions=[Operation.ended.set({"prepare": aws.clock()})])
    if how == "it waits for no guest":
        operation.update(actions=[Operation.step.set("volume")])
    monkeypatch.setattr(server_look, "_why_alone", lambda _: "The server has vanished.")
    monkeypatch.setattr(power, "server_of", lambda _: None)
    told = server_look.run({"operation_id": operation.id})
    assert told == ({"alone": "The server has vanished."} if how == "it waits" else {})


@pytest.mark.parametrize("how", ["over", "not begun", "not there"])
def test_what_is_at_no_step_is_not_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(server_look, "_why_alone", lambda _: "The server has vanished.")
    monkeypatch.setattr(power, "server_of", lambda _: None)
    operation = waiting(world)
    if how == "over":
        operation.update(actions=[Operation.status.set("SUCCEEDED")])
    elif how == "not begun":
        operation.update(actions=[Operation.step.remove()])
    asked = aws.new_id() if how == "not there" else operation.id
    assert server_look.run({"operation_id": asked}) == {}
