"""What lies in a tenant's container is found and removed without a list, whoever dies meanwhile."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec
import pytest
from pynamodb.expressions.update import Action

from chalicelib import aws, containers
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.manifest import Manifest, StoredPart, place_in_container
from chalicelib.domain import attempts
from chalicelib.domain.attempts import Attempt
from chalicelib.settings import settings
from chalicelib.store import operations
from chalicelib.store.models import Backup, Operation
from functions import container_objects
from functions.outcomes import Failed, Outcome, Wait
from simulator.cloud.model.object_store import ObjectStore
from tests.functions.test_restoration_of_backups import asked_for, deleting, made, now
from tests.functions.test_restoration_of_backups import instance_id as instance_id  # a fixture
from tests.support.bare import World

ACCOUNT, NAME = "AUTH_tenant-1", "mine"
FIRST, SECOND = Attempt("first", 0.0), Attempt("second", 0.0)
PART = b"part"


class Kept:
    """A backup in a container, and what lies there."""

    def __init__(self, world: World, row: Backup, operation: Operation) -> None:
        self.world, self.row, self.operation = world, row, operation
        self.swift = world.swift
        place = self.swift.reach("token", "tenant-1", NAME, True)
        assert place is not None
        self.place = place
        self.know(FIRST)

    @property
    def store(self) -> ObjectStore:
        return self.swift.store

    def know(self, *known: Attempt) -> None:
        actions: list[Action] = [
            Backup.container_url.set(self.place.url),
            Backup.container_key.set(self.place.key),
            Backup.attempts.set(attempts.plain(known)),
        ]
        self.row.update(actions=actions)

    def put(self, attempt: Attempt, *names: str, body: bytes = PART) -> None:
        for name in names:
            key = f"{self.row.location}/{attempt.id}/{name}"
            self.store.put(ACCOUNT, NAME, key, body, "", "text/plain")

    def parts(self, attempt: Attempt, number: int) -> None:
        self.put(attempt, *map(str, range(number)))

    def names(self) -> list[str]:
        """What lies there, below the backup."""
        found = sorted(self.store.container(ACCOUNT, NAME).objects)
        return [name.removeprefix(f"{self.row.location}/") for name in found]

    def whole(self, written: Attempt, number: int, **changes: Any) -> BackedUp:
        """An attempt with its manifest, and what its guest says of it."""
        self.parts(written, number)
        part = StoredPart(len(PART), hashlib.sha256(PART).hexdigest())
        told = Manifest(1, self.row.id, written.id, [part] * number, 1, "ab" * 32, "10.11")
        content = msgspec.json.encode(msgspec.structs.replace(told, **changes))
        self.put(written, "manifest", body=content)
        return BackedUp(hashlib.sha256(content).hexdigest(), 1, 1, "10.11")

    def check(self, said: BackedUp) -> Manifest | Outcome:
        return container_objects.whole(self.leased("check"), now(self.row), said)

    def remove(self, **how: bool) -> Outcome | None:
        return container_objects.remove(self.leased("remove"), now(self.row), **how)

    def leased(self, step: str) -> Operation:
        if self.operation.step != step:
            self.operation = operations.take_lease(self.operation.id, step)
        return self.operation


@pytest.fixture
def kept(world: World, instance_id: str) -> Kept:
    row, operation = asked_for(instance_id)
    return Kept(world, row, operation)


@pytest.fixture
def deleted(world: World, instance_id: str) -> Kept:
    row = made(instance_id)
    return Kept(world, row, deleting(row))


@pytest.mark.parametrize("number", [*range(1, 18), 31, 32, 33, 100])
def test_where_the_parts_end_is_found_by_halving(kept: Kept, number: int) -> None:
    for count in (number - 1, number):
        kept.parts(FIRST, count)
        before = kept.world.calls["swift.HeadObject"]
        assert container_objects._end(kept.place, kept.row, FIRST.id) == count
        asked = kept.world.calls["swift.HeadObject"] - before
        assert asked <= 2 * math.ceil(math.log2(count + 2)) + 1


def test_all_goes_the_last_part_first_whoever_is_cut_off(
    deleted: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted.know(FIRST, SECOND)
    deleted.parts(FIRST, 5)
    deleted.whole(SECOND, 7)
    monkeypatch.setattr(container_objects, "SLICE_SECONDS", -1.0)
    looks = 0
    with monkeypatch.context() as patch:
        patch.setattr(container_objects, "SLICE_SECONDS", 0.0)
        while (outcome := deleted.remove()) is not None:
            assert isinstance(outcome, Wait)
            assert outcome.seconds == 1, "whoever removes goes on at once"
            for attempt in (FIRST, SECOND):
                held = [each for each in deleted.names() if each.startswith(f"{attempt.id}/")]
                numbers = sorted(int(each.rpartition("/")[2]) for each in held)
                assert numbers == list(range(len(numbers))), "the first so many"
            looks += 1
            aws.sleep(0.001)
            patch.setattr(container_objects, "SLICE_SECONDS", 0.001 if looks < 100 else 8.0)
    assert deleted.names() == []


def test_nothing_is_removed_before_nobody_can_send(kept: Kept) -> None:
    until = aws.clock() + containers.LENT_SECONDS
    kept.know(Attempt("first", until), Attempt("second", until))
    kept.parts(FIRST, 2)
    for answered in (False, True):  # the one before may still be at work
        outcome = kept.remove(answered=answered)
        assert isinstance(outcome, Wait)
        assert "may still be sending" in outcome.note
    assert len(kept.names()) == 2
    kept.world.run_until(until + containers.REQUEST_SECONDS + 1)
    assert kept.remove() is None
    assert kept.names() == []


def test_a_guest_that_has_answered_sends_nothing_more(kept: Kept) -> None:
    kept.know(Attempt("first", aws.clock() + containers.LENT_SECONDS))
    kept.parts(FIRST, 2)
    assert kept.remove(answered=True) is None
    assert kept.names() == []


def test_what_is_whole_is_looked_at_part_by_part(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = kept.whole(FIRST, 3)
    monkeypatch.setattr(container_objects, "SLICE_SECONDS", -1.0)
    for number in (1, 2, 3):
        outcome = kept.check(said)
        assert isinstance(outcome, Wait)
        assert outcome.resources == {"check": {"part": number}}
        kept.operation.update(actions=[Operation.resources["check"].set({"part": number})])
    told = kept.check(said)
    assert isinstance(told, Manifest)
    assert container_objects.remaining(told) == [{"id": "first", "until": 0.0}]


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda kept: kept.put(FIRST, "1", body=b"x"), "part 1 is another one"),
        (lambda kept: kept.put(FIRST, "manifest", body=b"{}"), "not the one that was written"),
        (lambda kept: kept.know(), "its manifest is not there"),
        (lambda kept: kept.know(SECOND), "its manifest is not there"),
    ],
)
def test_what_is_not_whole_is_told(kept: Kept, harm: Any, why: str) -> None:
    said = kept.whole(FIRST, 3)
    harm(kept)
    outcome = kept.check(said)
    assert isinstance(outcome, Failed)
    assert f"not whole in the container {NAME}" in outcome.reason
    assert why in outcome.reason


def test_a_part_that_is_missing_and_a_manifest_of_another_attempt_are_told(kept: Kept) -> None:
    said = kept.whole(FIRST, 3)
    kept.store.delete(ACCOUNT, NAME, f"{kept.row.location}/first/2")
    outcome = kept.check(said)
    assert isinstance(outcome, Failed)
    assert "part 2 is not there" in outcome.reason
    outcome = kept.check(kept.whole(FIRST, 3, attempt="second"))
    assert isinstance(outcome, Failed)
    assert "another attempt" in outcome.reason


def test_what_former_attempts_have_left_goes_before_a_backup_is_complete(kept: Kept) -> None:
    until = aws.clock() + containers.LENT_SECONDS
    kept.know(Attempt("first", until), Attempt("second", until))
    kept.parts(FIRST, 4)
    said = kept.whole(SECOND, 2)
    assert isinstance(kept.check(said), Wait)
    kept.world.run_until(until + containers.REQUEST_SECONDS + 1)
    assert isinstance(kept.check(said), Manifest)
    assert kept.names() == ["second/0", "second/1", "second/manifest"]


def test_a_key_that_is_gone_is_waited_for_and_said(deleted: Kept) -> None:
    deleted.parts(FIRST, 1)
    deleted.store.container(ACCOUNT, NAME).meta.clear()
    outcome = deleted.remove()
    assert isinstance(outcome, Wait)
    assert f"refuses the deployment's key of container {NAME}" in outcome.note
    deleted.swift.reach("token", "tenant-1", NAME, True)
    assert deleted.remove() is None


def test_a_removal_tells_whether_it_goes_on(deleted: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is refused for long, and removes nothing, does not wait for what nobody mends."""
    deleted.parts(FIRST, 3)
    aws.sleep(containers.REQUEST_SECONDS + 60)
    remove, calls = containers.remove, list[str]()

    def refusing(place: Any, key: str) -> None:
        calls.append(key)
        if len(calls) > 2:
            raise containers.Refused("its key is another one")
        remove(place, key)

    monkeypatch.setattr(containers, "remove", refusing)
    told = deleted.remove()
    assert isinstance(told, Wait)
    assert told.progress
    told = deleted.remove()
    assert isinstance(told, Wait)
    assert not told.progress
    aws.sleep(settings().delete_timeout_seconds + 1)
    assert deleted.remove() == Failed(
        "The object store does not remove the backup: its key is another one."
    )


def test_a_manifest_lies_where_a_guest_puts_it(kept: Kept) -> None:
    kept.whole(FIRST, 1)
    assert place_in_container("", "first")[1:] in kept.names()
