"""A refused enrolment: what it does to the create that waits, and what it never does."""

from __future__ import annotations

import base64

import pytest

from chalicelib import errors
from chalicelib.bus import keys
from chalicelib.conductor import enrolment
from chalicelib.domain.operations import OperationStatus
from chalicelib.store import guests, instances, operations
from chalicelib.store.base import as_dict
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Operation
from tests.conductor.conftest import Built, new_guest
from tests.support.bare import World


def stored(operation: Operation) -> Operation:
    row = operations.get_operation(operation.id)
    assert row is not None
    return row


def server_made(operation: Operation, server_id: str) -> None:
    """The step `server` has recorded the server that the create goes on with."""
    lease = operations.take_lease(operation.id, "server")
    operations.release_lease(lease, "server", ended=True, resources={"server_id": server_id})


def ask(world: World, built: Built, server_id: str) -> None:
    """Another guest of the same generation, with a key of its own, is refused."""
    asking = new_guest(world, built.instance, built.operation)
    with pytest.raises(errors.Conflict):
        enrolment.enrol(asking.enrolment(server_id=server_id))


def hints(world: World) -> int:
    (url,) = [url for url in world.sqs.queues if url.endswith("coffer-taskmanager")]
    return len(world.sqs.records(url))


def test_a_create_whose_own_server_came_second_is_told_to_go_back(
    world: World, built: Built
) -> None:
    server_made(built.operation, "server-2")
    for _ in range(2):
        ask(world, built, "server-2")
        row = stored(built.operation)
        assert row.compensating
        assert row.reason == "Server server-2 cannot enrol: another server, server-1, came first."
    assert hints(world) == 1


def test_one_that_lies_about_its_server_changes_only_what_is_told(
    world: World, built: Built
) -> None:
    server_made(built.operation, "server-1")
    ask(world, built, "server-2")
    row = stored(built.operation)
    assert not row.compensating
    assert as_dict(row.notes)["prepare"] == (
        "server server-2 was refused, since server server-1 is enrolled"
    )
    assert hints(world) == 0


def test_another_key_of_the_creates_own_server_ends_nothing(world: World, built: Built) -> None:
    server_made(built.operation, "server-1")
    ask(world, built, "server-1")
    row = stored(built.operation)
    assert not row.compensating
    assert as_dict(row.notes)["prepare"] == (
        "server server-1 was refused with a key other than its first"
    )


def test_before_the_creates_server_is_known_nothing_ends(world: World, built: Built) -> None:
    ask(world, built, "server-2")
    row = stored(built.operation)
    assert (row.compensating, row.enrolled_server) == (False, "server-1")


def test_a_token_that_the_control_plane_did_not_make_changes_nothing(
    world: World, built: Built
) -> None:
    server_made(built.operation, "server-2")
    before = list(world.dynamodb.rows(Operation.Meta.table_name))
    forged = "1." + base64.urlsafe_b64encode(b"x" * 80).decode()
    other = keys.protect("operation", "", b"{}")
    for token in (forged, other):
        with pytest.raises(errors.Unauthorized):
            enrolment.enrol(built.guest.enrolment(token=token, server_id="server-2"))
    assert list(world.dynamodb.rows(Operation.Meta.table_name)) == before


def test_a_zombie_of_an_older_generation_ends_nothing(world: World, built: Built) -> None:
    server_made(built.operation, "server-2")
    row = instances.get_instance(built.instance.id)
    row.generation = 2
    row.save()
    zombie = built.guest
    with pytest.raises(errors.Gone):
        enrolment.enrol(zombie.enrolment(server_id="server-2"))
    assert not stored(built.operation).compensating


def test_a_refusal_that_meets_the_end_of_the_create_ends_nothing(
    world: World, built: Built
) -> None:
    server_made(built.operation, "server-2")
    world.interruptions["dynamodb.PutItem"] = lambda: end_operation(
        stored(built.operation), Ending(OperationStatus.SUCCEEDED)
    )
    ask(world, built, "server-2")
    row = stored(built.operation)
    assert (row.status, row.compensating, row.reason) == ("SUCCEEDED", False, None)


def test_a_place_that_is_given_up_meanwhile_is_still_a_conflict(world: World, built: Built) -> None:
    server_made(built.operation, "server-2")
    world.interruptions["dynamodb.PutItem"] = lambda: guests.forget(built.instance.id, 1)
    ask(world, built, "server-2")
    assert not stored(built.operation).compensating


@pytest.mark.parametrize("server_id", ["server\n1", "\x1b[2J"])
def test_a_server_id_that_would_move_a_terminals_cursor_is_refused(
    built: Built, server_id: str
) -> None:
    with pytest.raises(errors.BadRequest):
        enrolment.enrol(built.guest.enrolment(server_id=server_id))
