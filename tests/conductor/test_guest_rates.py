"""What one guest can ask for over HTTPS: so many requests a minute, whatever it asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib import aws, errors
from chalicelib.api.guests import ROUTES
from chalicelib.bus import proofs
from chalicelib.conductor import enrolment, storage
from chalicelib.store import events
from chalicelib.store.guests import REQUESTS_A_MINUTE
from tests.conductor.conftest import Built, new_guest
from tests.support.bare import World

Call = Callable[[int], object]

MANY = 2 * REQUESTS_A_MINUTE
WRITES = ("dynamodb.UpdateItem", "dynamodb.PutItem", "dynamodb.TransactWriteItems")
READS = ("dynamodb.GetItem", "dynamodb.Query")


def calls(built: Built) -> dict[str, Call]:
    """Each route, asked with the guest's own key; a call takes the time of the request (ms)."""
    guest, unknown = built.guest, aws.new_id()

    def own(issued_at_ms: int, **more: Any) -> dict[str, Any]:
        place = {"instance_id": built.instance.id, "generation": 1}
        return {**place, "issued_at_ms": issued_at_ms, **more}

    def renew(at: int) -> object:
        asked = own(at, start=False)
        signature = guest.sign(proofs.of_renewal(**asked))
        return enrolment.renew(enrolment.Renew(**asked, signature=signature))

    def lend(at: int) -> object:
        asked = own(at, backup_id=unknown)
        signature = guest.sign(proofs.of_storage(**asked))
        return storage.storage(storage.Ask(**asked, signature=signature))

    def pieces(at: int) -> object:
        asked = own(at, archive_id=unknown, behind="")
        signature = guest.sign(proofs.of_pieces(**asked))
        return storage.list_pieces(storage.AskPieces(**asked, signature=signature))

    return {
        "/guest/v1/enrol": lambda at: enrolment.enrol(guest.enrolment(issued_at_ms=at)),
        "/guest/v1/renew": renew,
        "/guest/v1/storage": lend,
        "/guest/v1/pieces": pieces,
    }


ROUTE = pytest.mark.parametrize("route", [each.path for each in ROUTES])


def answered(call: Call, times: Iterator[int] | range) -> Counter[str]:
    """How many of such requests ended how."""
    ends: Counter[str] = Counter()
    for at in times:
        try:
            call(at)
            ends["given"] += 1
        except errors.CofferError as error:
            ends[type(error).__name__] += 1
    return ends


def spent(world: World) -> tuple[int, int, int]:
    """Writes, reads and credentials so far."""
    made = world.calls
    return sum(made[each] for each in WRITES), sum(made[each] for each in READS), len(world.assumed)


def later(world: World, count: int = MANY) -> range:
    """Times of so many requests, each later than all before."""
    begin = int(world.now * 1000) + 1
    return range(begin, begin + count)


@ROUTE
def test_a_guest_at_full_speed_is_refused_before_it_costs_a_write(
    world: World, built: Built, route: str
) -> None:
    before = spent(world)
    ends = answered(calls(built)[route], later(world))
    wrote, read, lent = (now - was for now, was in zip(spent(world), before, strict=True))
    assert ends["OverLimit"] == MANY - REQUESTS_A_MINUTE
    assert wrote == REQUESTS_A_MINUTE
    assert lent <= REQUESTS_A_MINUTE
    answered(calls(built)[route], later(world, 2 * MANY)[MANY:])
    again = tuple(now - was for now, was in zip(spent(world), before, strict=True))
    assert again[0] == wrote
    assert again[1] - read <= 2 * MANY  # an enrolment reads its instance first
    assert again[2] == lent


def test_all_routes_share_what_a_guest_may_ask_for(world: World, built: Built) -> None:
    times = iter(later(world))
    for call in calls(built).values():
        answered(call, (next(times) for _ in range(REQUESTS_A_MINUTE // 4 + 1)))
    for call in calls(built).values():
        with pytest.raises(errors.OverLimit):
            call(next(times))


@ROUTE
def test_nobody_else_is_held_up_by_it(world: World, built: Built, other: Built, route: str) -> None:
    answered(calls(built)[route], later(world))
    assert "OverLimit" not in answered(calls(other)[route], later(world, 3))


@ROUTE
def test_who_waits_as_long_as_it_was_told_is_heard(world: World, built: Built, route: str) -> None:
    call = calls(built)[route]
    answered(call, later(world))
    with pytest.raises(errors.OverLimit) as refused:
        call(later(world, MANY + 1)[-1])
    assert refused.value.retry_after_seconds == 2
    world.run(2)
    assert "OverLimit" not in answered(call, later(world, 1))


@ROUTE
def test_a_request_that_is_sent_again_and_again_costs_no_write(
    world: World, built: Built, route: str
) -> None:
    call, at = calls(built)[route], later(world, 1)[0]
    answered(call, iter([at]))
    before = spent(world)[0]
    assert answered(call, iter([at] * MANY)) == {"BadRequest": MANY}
    assert spent(world)[0] == before


def test_who_was_refused_a_place_is_recorded_now_and_then(world: World, built: Built) -> None:
    """Whoever has read the token can ask as often as it likes, and the row of whom it asks for has
    said already that somebody does."""
    thief = new_guest(world, built.instance, built.operation)

    def enrol(_: int) -> object:
        return enrolment.enrol(thief.enrolment())

    assert answered(enrol, range(1)) == {"Conflict": 1}
    before = spent(world)[0]
    assert answered(enrol, range(MANY)) == {"Conflict": MANY}
    assert spent(world)[0] == before
    world.run(enrolment.REFUSED_SECONDS + 1)
    answered(enrol, range(MANY))
    told = [each.kind for each in events.events_of(built.instance.id)]
    assert told.count("enrolment.refused") == 2
