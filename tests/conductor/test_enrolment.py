"""Enrolment and renewal: who is let in, who is not, and what it is given."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib import errors
from chalicelib.bus import keys, proofs
from chalicelib.bus.envelope import Direction
from chalicelib.conductor import enrolment
from chalicelib.conductor.enrolment import Enrol, Renew
from chalicelib.domain.operations import OperationStatus
from chalicelib.parameters import REFRESH_SECONDS
from chalicelib.store import events, guests, instances
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import TABLES, Guest
from tests.conductor.conftest import Built, new_guest
from tests.support.bare import Fault, World

TABLE_NAMES = [model.Meta.table_name for model in TABLES]

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def renewal(built: Built, *, issued_at_ms: int, start: bool = False, **changes: Any) -> Renew:
    fields: dict[str, Any] = {
        "instance_id": built.instance.id,
        "generation": 1,
        "issued_at_ms": issued_at_ms,
        "start": start,
    }
    signature = built.guest.sign(proofs.of_renewal(**fields))
    return Renew(**({**fields, "signature": signature} | changes))


def next_ms(world: World) -> int:
    """A time that is later than that of the enrolment, which was just now."""
    return int(world.now * 1000) + 1


def activate(built: Built) -> None:
    ending = Ending(OperationStatus.SUCCEEDED)
    end_operation(built.operation, ending)


def test_a_guest_receives_its_keys_its_queues_and_short_credentials(
    world: World, built: Built
) -> None:
    given = built.guest.admission
    assert given is not None
    assert (given["instance_id"], given["generation"]) == (built.instance.id, 1)
    assert (given["epoch"], given["key_version"], given["heartbeat_seconds"]) == (1, 1, 60)
    for direction in Direction:
        epoch = given["epoch"] if direction is Direction.TO_CONTROL else 0
        key = keys.guest_key(built.instance.id, 1, direction, 1, epoch)
        assert base64.b64decode(given["keys"][direction]) == key
    assert given["queues"]["guest"].endswith(f"/coffer-guest-{built.instance.id}-1")
    assert given["queues"]["conductor"].endswith("/coffer-conductor")
    assert given["queues"]["heartbeats"].endswith("/coffer-heartbeats")
    assert set(given["credentials"]) == {
        "access_key_id",
        "secret_access_key",
        "session_token",
        "expires_at",
    }
    assert given["credentials"]["expires_at"] == "2027-01-15T09:00:00Z"


def test_the_credentials_reach_its_own_queue_and_the_conductors_two(
    world: World, built: Built
) -> None:
    (asked,) = world.assumed
    arn = "arn:aws:sqs:us-east-1:123456789012"
    assert json.loads(asked["Policy"])["Statement"] == [
        {
            "Effect": "Allow",
            "Action": [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
            ],
            "Resource": f"{arn}:coffer-guest-{built.instance.id}-1",
        },
        {
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": [f"{arn}:coffer-conductor", f"{arn}:coffer-heartbeats"],
        },
    ]
    assert len(asked["Policy"]) < 2048
    assert len(asked["RoleSessionName"]) <= 64
    assert asked["DurationSeconds"] <= 3600


def test_the_same_pair_may_ask_again_and_starts_a_new_epoch(world: World, built: Built) -> None:
    again = enrolment.enrol(built.guest.enrolment())
    assert again.epoch == 2
    first = built.guest.admission or {}
    assert again.keys["to_guest"] == first["keys"]["to_guest"]
    assert again.keys["to_control"] != first["keys"]["to_control"]
    assert events.events_of(built.instance.id)[0].kind == "create_instance.accepted"


@pytest.mark.parametrize("field", ["public_key", "server_id"])
def test_another_key_or_another_server_is_refused_and_recorded(
    world: World, built: Built, field: str
) -> None:
    thief = new_guest(world, built.instance, built.operation)
    world.run(1)
    asking = thief if field == "public_key" else built.guest
    changed = {"server_id": "other"} if field == "server_id" else {}
    with pytest.raises(errors.Conflict, match="another key or server"):
        enrolment.enrol(asking.enrolment(**changed))
    assert events.events_of(built.instance.id)[0].kind == "enrolment.refused"
    assert Guest.get(built.instance.id, 1).public_key == built.guest.public_key
    assert len(world.assumed) == 1


def without_its_private_key(world: World, built: Built) -> dict[str, Any]:
    """What somebody sends who has the token and the public key: signed with another key."""
    wanted = built.guest.enrolment()
    stranger = new_guest(world, built.instance, built.operation)
    forged = stranger.enrolment(public_key=wanted.public_key, issued_at_ms=wanted.issued_at_ms)
    return msgspec.structs.asdict(forged)


def test_a_public_key_without_its_private_key_binds_nothing(world: World, built: Built) -> None:
    guests.forget(built.instance.id, 1)
    given = len(world.assumed)
    with pytest.raises(errors.Unauthorized, match="signature"):
        enrolment.enrol(Enrol(**without_its_private_key(world, built)))
    assert guests.find(built.instance.id, 1) is None
    assert len(world.assumed) == given


def test_a_guests_public_key_gives_nobody_its_keys(world: World, built: Built) -> None:
    """The same pair may ask again, but only with the private key: no epoch, no event, no keys."""
    with pytest.raises(errors.Unauthorized, match="signature"):
        enrolment.enrol(Enrol(**without_its_private_key(world, built)))
    assert int(Guest.get(built.instance.id, 1).epoch) == 1
    assert len(world.assumed) == 1
    assert events.events_of(built.instance.id)[0].kind == "create_instance.accepted"


@pytest.mark.parametrize("enrolled", [True, False])
@pytest.mark.parametrize("field", ["token", "public_key", "server_id", "issued_at_ms", "signature"])
def test_an_enrolment_that_was_changed_under_its_signature_changes_nothing(
    world: World, built: Built, field: str, enrolled: bool
) -> None:
    if not enrolled:
        guests.forget(built.instance.id, 1)
    before = copy.deepcopy({model: list(world.dynamodb.rows(model)) for model in TABLE_NAMES})
    world.run(1)
    other_token = enrolment.new_token(built.instance.id, 1, built.operation.deadline)
    signed = built.guest.enrolment()
    changed: dict[str, Any] = {
        "token": other_token,
        "public_key": new_guest(world, built.instance, built.operation).public_key,
        "server_id": "server-2",
        "issued_at_ms": signed.issued_at_ms + 1,
        "signature": "not base64",
    }
    with pytest.raises(errors.Unauthorized):
        enrolment.enrol(msgspec.structs.replace(signed, **{field: changed[field]}))
    assert {model: list(world.dynamodb.rows(model)) for model in TABLE_NAMES} == before
    assert len(world.assumed) == 1


def test_a_signature_of_a_renewal_is_none_of_an_enrolment(world: World, built: Built) -> None:
    renewed = renewal(built, issued_at_ms=next_ms(world), start=True)
    asked = built.guest.enrolment(issued_at_ms=renewed.issued_at_ms)
    with pytest.raises(errors.Unauthorized):
        enrolment.enrol(msgspec.structs.replace(asked, signature=renewed.signature))


def test_a_replayed_enrolment_is_refused_and_is_nobodys_attempt(world: World, built: Built) -> None:
    again = built.guest.enrolment()
    assert enrolment.enrol(again).epoch == 2
    with pytest.raises(errors.BadRequest, match="seen before"):
        enrolment.enrol(again)
    assert int(Guest.get(built.instance.id, 1).epoch) == 2
    assert events.events_of(built.instance.id)[0].kind == "create_instance.accepted"


def test_an_older_enrolment_is_refused_though_its_writer_was_the_first(
    world: World, built: Built
) -> None:
    older = built.guest.enrolment()
    assert enrolment.enrol(built.guest.enrolment()).epoch == 2
    with pytest.raises(errors.BadRequest, match="seen before"):
        enrolment.enrol(older)


@pytest.mark.parametrize("call", ["enrol", "renew"])
def test_a_lost_reply_of_the_table_is_no_replay(world: World, built: Built, call: str) -> None:
    """The client sends the update again, and it meets the row that it has written itself."""
    renewed = renewal(built, issued_at_ms=next_ms(world), start=True)
    if call == "enrol":
        guests.forget(built.instance.id, 1)
    now = len(world.log)
    world.faults = dict.fromkeys(range(now, now + 20), Fault.REPLY_LOST)
    if call == "enrol":
        given = enrolment.enrol(built.guest.enrolment())
    else:
        given = enrolment.renew(renewed)
    assert given.epoch == int(Guest.get(built.instance.id, 1).epoch)


@pytest.mark.parametrize("skew_ms", [-300_001, 300_001])
def test_an_enrolment_of_another_time_binds_nothing(
    world: World, built: Built, skew_ms: int
) -> None:
    guests.forget(built.instance.id, 1)
    asked = built.guest.enrolment(issued_at_ms=int(world.now * 1000) + skew_ms)
    with pytest.raises(errors.BadRequest, match="another time"):
        enrolment.enrol(asked)
    assert guests.find(built.instance.id, 1) is None


def test_a_token_expires_with_the_operation(world: World, built: Built) -> None:
    world.run_until(built.operation.deadline + 1)
    with pytest.raises(errors.Unauthorized, match="expired"):
        enrolment.enrol(built.guest.enrolment())


@shared
@given(st.text() | st.binary().map(lambda raw: "1." + base64.urlsafe_b64encode(raw).decode()))
def test_any_other_token_is_refused(world: World, built: Built, token: str) -> None:
    with pytest.raises(errors.Unauthorized):
        enrolment.enrol(built.guest.enrolment(token=token))


def test_what_was_protected_for_something_else_is_no_token(world: World, built: Built) -> None:
    vouched = msgspec.json.encode(enrolment.Token(built.instance.id, 1, world.now + 60))
    with pytest.raises(errors.Unauthorized):
        enrolment.enrol(built.guest.enrolment(token=keys.protect("operation", "", vouched)))


@shared
@given(st.text())
def test_any_other_public_key_is_a_bad_request(world: World, built: Built, key: str) -> None:
    with pytest.raises(errors.BadRequest):
        enrolment.enrol(built.guest.enrolment(public_key=key))


@pytest.mark.parametrize("server_id", ["", "x" * 65, "sérver"])
def test_a_server_id_that_is_none_is_a_bad_request(built: Built, server_id: str) -> None:
    with pytest.raises(errors.BadRequest):
        enrolment.enrol(built.guest.enrolment(server_id=server_id))


def test_a_guest_of_an_older_generation_is_gone(world: World, built: Built) -> None:
    row = instances.get_instance(built.instance.id)
    row.generation = 2
    row.save()
    with pytest.raises(errors.Gone, match="superseded"):
        enrolment.enrol(built.guest.enrolment())
    with pytest.raises(errors.Gone, match="superseded"):
        enrolment.renew(renewal(built, issued_at_ms=next_ms(world)))


def test_a_guest_of_a_deleted_instance_is_gone_even_when_its_key_is_forgotten(
    world: World, built: Built
) -> None:
    end_operation(
        built.operation,
        Ending(OperationStatus.FAILED, reason="x", undone=True),
    )
    row = instances.get_instance(built.instance.id)
    row.status = "SHUTDOWN"
    row.save()
    guests.forget(built.instance.id, 1)
    with pytest.raises(errors.Gone):
        enrolment.enrol(built.guest.enrolment())
    with pytest.raises(errors.Gone):
        enrolment.renew(renewal(built, issued_at_ms=next_ms(world)))


def test_nobody_enrols_once_the_instance_is_built(built: Built) -> None:
    activate(built)
    with pytest.raises(errors.Gone):
        enrolment.enrol(built.guest.enrolment())


def test_a_renewal_gives_new_credentials_and_keeps_the_epoch(world: World, built: Built) -> None:
    activate(built)
    given = enrolment.renew(renewal(built, issued_at_ms=next_ms(world)))
    assert given.epoch == 1
    assert msgspec.to_builtins(given.credentials) != (built.guest.admission or {})["credentials"]


def test_a_start_gets_a_new_epoch(world: World, built: Built) -> None:
    now_ms = next_ms(world)
    assert enrolment.renew(renewal(built, issued_at_ms=now_ms, start=True)).epoch == 2
    assert enrolment.renew(renewal(built, issued_at_ms=now_ms + 1, start=True)).epoch == 3


@pytest.mark.parametrize("difference", [0, -1])
def test_a_replayed_renewal_is_refused(world: World, built: Built, difference: int) -> None:
    now_ms = next_ms(world)
    enrolment.renew(renewal(built, issued_at_ms=now_ms, start=True))
    with pytest.raises(errors.BadRequest, match="seen before"):
        enrolment.renew(renewal(built, issued_at_ms=now_ms + difference, start=True))
    assert int(Guest.get(built.instance.id, 1).epoch) == 2


@pytest.mark.parametrize("skew_ms", [-300_001, 300_001, 2**53 - 1_800_000_000_000])
def test_a_renewal_of_another_time_is_refused(world: World, built: Built, skew_ms: int) -> None:
    with pytest.raises(errors.BadRequest, match="another time"):
        enrolment.renew(renewal(built, issued_at_ms=int(world.now * 1000) + skew_ms))


@shared
@given(st.data())
def test_a_renewal_that_was_changed_under_its_signature_is_refused(
    world: World, built: Built, data: st.DataObject
) -> None:
    signed = renewal(built, issued_at_ms=next_ms(world))
    field = data.draw(st.sampled_from(["issued_at_ms", "start", "signature"]))
    value: Any = {
        "issued_at_ms": st.integers(0, 2**53).filter(lambda each: each != signed.issued_at_ms),
        "start": st.just(True),
        "signature": st.text()
        | st.binary(min_size=64, max_size=64).map(lambda raw: base64.b64encode(raw).decode()),
    }[field]
    with pytest.raises(errors.Unauthorized):
        enrolment.renew(msgspec.structs.replace(signed, **{field: data.draw(value)}))


def test_a_guest_that_never_enrolled_cannot_renew(world: World, built: Built) -> None:
    guests.forget(built.instance.id, 1)
    with pytest.raises(errors.Unauthorized):
        enrolment.renew(renewal(built, issued_at_ms=next_ms(world)))


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_id": ""},
        {"instance_id": "x" * 65},
        {"generation": 10**40},
        {"generation": -1},
        {"issued_at_ms": 10**400},
    ],
)
def test_a_renewal_with_values_that_no_table_holds_does_not_decode(
    built: Built, changes: dict[str, Any]
) -> None:
    document = msgspec.to_builtins(renewal(built, issued_at_ms=1)) | changes
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(document), type=Renew)


def test_a_guest_is_given_the_keys_of_every_version_that_may_seal_its_commands(
    world: World, built: Built
) -> None:
    world.ring = world.ring.with_new(bytes([3]) * 32, world.now)
    world.run(REFRESH_SECONDS)
    given = enrolment.enrol(built.guest.enrolment())
    assert given.key_version == 1
    assert set(given.other_keys) == {"2", "3"}
    wanted = keys.guest_key(built.instance.id, 1, Direction.TO_GUEST, 3)
    assert base64.b64decode(given.other_keys["3"]) == wanted
