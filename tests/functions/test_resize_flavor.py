"""A resize to another flavor: what it asks of Nova and of the guest, and every way back."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from chalicelib.cloud import servers
from chalicelib.cloud.errors import CloudAway, Refused
from chalicelib.conductor import generations
from chalicelib.domain.flows import START, STOP
from chalicelib.domain.operations import OperationStatus
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import instances, operations
from chalicelib.store.events import Asked
from chalicelib.store.models import Flavor, Instance, Operation
from functions import moves, power, resize_flavor
from functions.outcomes import Wait
from tests.support.resizes import MORE, TINY, resize
from tests.support.scripted import Script
from tests.support.simulated import Stack


def active(stack: Stack) -> tuple[str, Script]:
    instance, _ = stack.create()
    stack.settle()
    (guest,) = stack.guests.values()
    return instance.id, guest


def ended(stack: Stack, operation: Operation) -> tuple[Operation, Instance]:
    """The operation and its instance, when nothing moves any more."""
    stack.settle()
    row, instance = (
        operations.get_operation(operation.id),
        instances.find_instance(operation.instance_id),
    )
    assert row is not None
    assert instance is not None
    return row, instance


def flavors_told(guest: Script) -> list[tuple[str, int]]:
    """The methods that were sent with a flavor, and its memory."""
    return [(method, args["flavor"]["ram"]) for method, args in guest.told if args.get("flavor")]


def test_the_database_comes_up_for_the_smaller_and_goes_on_for_the_new(stack: Stack) -> None:
    instance_id, guest = active(stack)
    for new, told in ((MORE, 1024), (TINY, 512)):
        guest.told.clear()
        _, row = ended(stack, resize(stack, instance_id, new))
        assert (row.status, row.flavor_id, row.flavor_ram) == (Status.ACTIVE, new.id, new.ram)
        assert (row.flavor_vcpus, row.held["ram"]) == (new.vcpus, new.ram)
        asked = [("stop_db", 512), ("start_db_with_conf_changes", told)]
        assert flavors_told(guest) == asked
        stack.check()


def test_nothing_is_confirmed_before_the_engine_has_said_what_it_runs_with(stack: Stack) -> None:
    instance_id, guest = active(stack)
    guest.waiting.add("start_db_with_conf_changes")
    operation = resize(stack, instance_id)
    stack.run(60)
    assert servers.find(instance_id)[0].status == "VERIFY_RESIZE"
    assert "servers.confirm_resize" not in stack.log
    guest.waiting.clear()
    assert ended(stack, operation)[1].status == Status.ACTIVE


def test_a_confirmation_that_nova_is_at_is_waited_for(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nova refuses a second one, and an error of its would be taken for the first's."""
    instance_id, guest = active(stack)
    guest.waiting.add("start_db_with_conf_changes")
    operation = resize(stack, instance_id)
    stack.run(60)
    (server,) = servers.find(instance_id)
    busy = msgspec.structs.replace(server, moving=True)
    monkeypatch.setattr(power, "server_of", lambda _: busy)
    stored = operations.get_operation(operation.id)
    assert stored is not None
    assert isinstance(resize_flavor.RESIZE.confirm(stored, None), Wait)
    assert "servers.confirm_resize" not in stack.log


@pytest.mark.parametrize("why", ["refused", "no room", "silent", "does not start"])
def test_what_fails_leaves_the_old_flavor_and_its_settings(stack: Stack, why: str) -> None:
    instance_id, guest = active(stack)
    said = {
        "refused": "Quota exceeded",
        "no room": resize_flavor.RESIZE.no_host,
        "silent": "did not run with its settings in time",
        "does not start": "did not run with its settings: out of memory",
    }[why]
    operation = resize(stack, instance_id)
    if why == "refused":
        stack.refusals["servers.resize"] = Refused("Quota exceeded for ram")
    elif why == "no room":
        stack.spoil("compute", "resize_server", "left_as_it_was", times=99)
    elif why == "silent":
        guest.waiting.add("start_db_with_conf_changes")
        stack.run(settings().power_timeout_seconds + 120)
        guest.waiting.clear()
    else:
        guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    stored, row = ended(stack, operation)
    assert stored.status == OperationStatus.FAILED
    assert said in str(row.fault_message)
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ACTIVE, "1", 512)
    assert flavors_told(guest)[-1] == ("start_db_with_conf_changes", 512)
    stack.check()


def test_a_cloud_that_says_nothing_is_asked_a_few_times_only(stack: Stack) -> None:
    instance_id, _ = active(stack)
    stack.spoil("compute", "resize_server", "left_as_it_was", times=99)
    ended(stack, resize(stack, instance_id))
    assert stack.log.count("servers.resize") == moves.MOST_ASKED


def test_a_database_is_not_down_for_a_cloud_that_does_not_begin(stack: Stack) -> None:
    instance_id, _ = active(stack)
    stack.refusals["servers.resize"] = CloudAway("The cloud could not resize the server")
    begun = stack.kernel.now
    _, row = ended(stack, resize(stack, instance_id))
    assert "did not begin the resize in time" in str(row.fault_message)
    assert stack.kernel.now - begun < moves.ASKING_SECONDS + 180
    stack.check()


def test_what_the_cloud_has_confirmed_is_resized_back(stack: Stack) -> None:
    instance_id, guest = active(stack)
    stack.cloud.compute._lifecycle.confirm_seconds = 0.5
    guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    _, row = ended(stack, resize(stack, instance_id))
    assert (row.status, row.flavor_id) == (Status.ACTIVE, "1")
    assert stack.log.count("servers.resize") == 2
    assert "servers.revert_resize" not in stack.log
    stack.check()


def test_the_resize_of_somebody_else_is_not_taken_back_for_ours(stack: Stack) -> None:
    """An operator's migration waits for its confirmation: the flavor is the same."""
    instance_id, _ = active(stack)
    operation = resize(stack, instance_id)
    (server,) = stack.servers
    stack.cloud.compute.migrate(stack.cloud.admin(), server.id, None)
    stored, row = ended(stack, operation)
    assert "another resize" in str(stored.reason)
    assert (row.status, row.flavor_id) == (Status.ACTIVE, "1")
    assert "servers.revert_resize" not in stack.log


def test_nothing_is_said_to_a_guest_that_is_not_back(stack: Stack) -> None:
    """It could be said to the receive that the agent of before had open."""
    instance_id, guest = active(stack)
    begun = stack.kernel.now
    operation = resize(stack, instance_id)
    stack.interruptions["servers.resize"] = guest.cut_off
    stack.kernel.run(begun + moves.BOOT_SECONDS / 2)
    assert [method for method, _ in guest.told][-1] == "stop_db"
    under_way = operations.get_operation(operation.id)
    assert under_way is not None
    assert under_way.step == "answers"
    stack.kernel.run(begun + moves.BOOT_SECONDS + 120)
    guest.mend()
    _, row = ended(stack, operation)
    assert "did not come back with its server" in str(row.fault_message)
    assert (row.status, row.flavor_id) == (Status.ACTIVE, "1")
    stack.check()


def test_a_reset_takes_a_resize_back(stack: Stack) -> None:
    instance_id, guest = active(stack)
    guest.waiting.add("start_db_with_conf_changes")
    operation = resize(stack, instance_id)
    stack.run(60)
    guest.waiting.clear()
    assert instances.reset_status(instances.get_instance(instance_id), "reset by an operator")
    stored, row = ended(stack, operation)
    assert stored.status == OperationStatus.CANCELLED
    assert (row.status, row.flavor_id) == (Status.ACTIVE, "1")
    stack.check()


def test_what_could_not_be_taken_back_is_by_a_start(stack: Stack) -> None:
    instance_id, guest = active(stack)
    guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    stack.refusals["servers.revert_resize"] = CloudAway("The cloud could not revert it")
    _, row = ended(stack, resize(stack, instance_id))
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ERROR, "1", 1024)
    assert "Not undone: revert, come_back, settings_of_before." in str(row.fault_message)
    stack.refusals.clear()
    _, row = ended(stack, stack.accept(instance_id, START))
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ACTIVE, "1", 512)
    assert servers.find(instance_id)[0].flavor == TINY.name
    stack.check()


def test_a_way_back_that_nova_refuses_is_told_within_minutes(stack: Stack) -> None:
    instance_id, guest = active(stack)
    guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    said = "The cloud refused to revert the resize of server s: Policy doesn't allow it."
    stack.refusals["servers.revert_resize"] = Refused(said)
    stored, row = ended(stack, resize(stack, instance_id))
    assert stored.updated - stored.created < 600, "its bound is an hour"
    assert row.status == Status.ERROR
    assert "Not undone: revert, come_back, settings_of_before." in str(row.fault_message)
    assert str(row.fault_message).endswith(said)
    assert stored.reason == row.fault_message


def test_a_start_tells_the_flavor_that_nobody_has_seen_coming(stack: Stack) -> None:
    """Nova has gone on when the resize was given up; an operator has let it have its way."""
    instance_id, _ = active(stack)
    stack.spoil("compute", "resize_server", "stuck")
    assert ended(stack, resize(stack, instance_id))[1].status == Status.ERROR
    stack.go_on_with_the_resize(MORE.id)
    _, row = ended(stack, stack.accept(instance_id, START))
    assert (row.status, row.flavor_id, row.flavor_ram) == (Status.ACTIVE, MORE.id, 1024)
    assert row.held["ram"] == 1024
    stack.check()


def test_a_server_that_is_gone_fails_and_says_so(stack: Stack) -> None:
    instance_id, _ = active(stack)
    operation = resize(stack, instance_id)
    Instance(instance_id).update(actions=[Instance.resources.set({})])
    assert power.VANISHED in str(ended(stack, operation)[0].reason)


def test_a_server_that_one_answer_denies_is_looked_for_in_the_list(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance_id, _ = active(stack)

    def denied(*_: Any) -> None:
        return None

    monkeypatch.setattr(servers, "get", denied)
    assert ended(stack, resize(stack, instance_id))[1].flavor_id == MORE.id
    stack.check()


def test_the_flavor_that_it_has_already_is_not_gone_back_to(stack: Stack) -> None:
    """Asked for after a fault; Nova resizes no server to the flavor that it has."""
    instance_id, guest = active(stack)
    guest.failing["start_db_with_conf_changes"] = ["out of memory"]
    begun = stack.kernel.now
    _, row = ended(stack, resize(stack, instance_id, TINY))
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ACTIVE, "1", 512)
    assert stack.kernel.now - begun < 180
    assert "servers.resize" not in stack.log
    stack.check()


def test_an_expelled_guest_is_not_waited_for_on_the_way_back(stack: Stack) -> None:
    instance_id, guest = active(stack)
    guest.waiting.add("start_db_with_conf_changes")
    operation = resize(stack, instance_id)
    stack.run(60)
    begun = stack.kernel.now
    generations.expel(instance_id, Asked())
    stored, row = ended(stack, operation)
    assert (stored.status, row.status, row.held["ram"]) == ("CANCELLED", Status.ERROR, 512)
    assert servers.find(instance_id)[0].flavor == TINY.name
    assert stack.kernel.now - begun < 180


def test_a_flavor_that_was_made_anew_under_its_name_is_another_one(stack: Stack) -> None:
    instance_id, _ = active(stack)
    anew = msgspec.structs.replace(MORE, name=TINY.name)
    known = stack.cloud.compute.flavors.flavors
    known[MORE.id] = dataclasses.replace(known[MORE.id], name=TINY.name)
    stack.job("mirror_flavors")
    operation = resize(stack, instance_id, anew)
    stored, row = ended(stack, operation)
    assert stored.status == OperationStatus.SUCCEEDED
    assert (row.flavor_id, row.flavor_ram) == (MORE.id, 1024)
    assert stack.log.count("servers.resize") == 1


def test_a_start_does_not_take_a_flavor_for_its_namesake(stack: Stack) -> None:
    instance_id, _ = active(stack)
    Flavor("9", name=TINY.name, ram=4096, vcpus=4, disk=5).save()
    for flow in (STOP, START):
        _, row = ended(stack, stack.accept(instance_id, flow))
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ACTIVE, "1", 512)


def test_what_somebody_has_reverted_before_it_was_confirmed_is_not_told_as_done(
    stack: Stack,
) -> None:
    instance_id, guest = active(stack)
    guest.waiting.add("start_db_with_conf_changes")
    operation = resize(stack, instance_id)
    stack.run(60)
    (server,) = stack.servers
    servers.revert_resize(server.id)
    guest.waiting.clear()
    stored, row = ended(stack, operation)
    assert "has taken the resize back" in str(stored.reason)
    assert (row.status, row.flavor_id, row.held["ram"]) == (Status.ACTIVE, "1", 512)
    stack.check()


def test_a_server_that_somebody_confirmed_and_switched_off_is_switched_on_again(
    stack: Stack,
) -> None:
    """It is what was asked for; nothing else would end the wait before the operation's bound."""
    instance_id, guest = active(stack)
    guest.waiting.add("start_db_with_conf_changes")
    operation = resize(stack, instance_id)
    stack.run(60)
    (server,) = stack.servers
    servers.confirm_resize(server.id)
    stack.run(10)
    guest.waiting.clear()
    stack.interruptions["servers.get"] = lambda: servers.stop(server.id)
    stored, row = ended(stack, operation)
    assert (stored.status, row.status, row.flavor_id) == ("SUCCEEDED", Status.ACTIVE, "4")
    assert stored.updated - stored.created < moves.BOOT_SECONDS
    stack.check()
