"""What lies in the store is compared with what its guest has said before a backup is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from chalicelib import objects
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.arguments import CreateBackup
from functions import create_backup
from guest_agent.manager import Progress
from simulator.aws.s3 import Object, Objects
from simulator.fleet.backups import WithSimBackups
from simulator.template import BACKUPS_BUCKET
from tests.simulator.backing_up import Backups, whole
from tests.support import damage

HOUR = 3600.0
Harm = Callable[[Objects, str], None]


class Beside:
    """Somebody who does something to the store once a backup's manifest is there."""

    def __init__(self, stack: Backups, harm: Harm) -> None:
        self._store, self._harm = stack.region.s3.buckets[BACKUPS_BUCKET], harm
        self._done = False
        stack.region.effects.hooks.append(self)

    def before(self, effect: Any) -> None:
        return

    def after(self, effect: Any) -> None:
        if effect.call == "PutObject" and "/manifest." in effect.what["Key"] and not self._done:
            self._done = True
            self._harm(self._store, effect.what["Key"].rpartition("/")[0])


@pytest.fixture
def stack() -> Iterator[Backups]:
    with whole() as made:
        yield made


def part_of(store: Objects, location: str) -> tuple[str, Object]:
    parts = (each for each in store.behind(f"{location}/", "") if "/manifest." not in each[0])
    return next(parts)


def changed(store: Objects, location: str) -> None:
    key, found = part_of(store, location)
    body = damage.changed(found.body)
    store.put(key, found._replace(body=body, etag='"0123456789abcdef0123456789abcdef"'))


def lost(store: Objects, location: str) -> None:
    store.delete(part_of(store, location)[0])


def beside(store: Objects, location: str, number: int) -> None:
    """Attempts that have died, and one part too many in its own."""
    key, found = part_of(store, location)
    store.put(f"{key}9", found)
    for each in range(number):
        store.put(f"{location}/another/{each}", found)


def archived(store: Objects, location: str) -> None:
    """The manifest, to where S3 reads nothing at once; who writes an object chooses that."""
    (key, found) = next(store.behind(f"{location}/manifest.", ""))
    store.put(key, found._replace(storage_class="DEEP_ARCHIVE"))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (changed, "its part 0 is another one"),
        (lost, "of 1 parts 0 are there"),
        (archived, "cannot be read as it lies there (InvalidObjectState)"),
    ],
)
def test_what_was_changed_before_the_end_is_seen_at_the_end(
    stack: Backups, harm: Harm, told: str
) -> None:
    """Not when it is restored, months later."""
    instance_id = stack.begin()
    Beside(stack, harm)
    row = stack.row(stack.back_up(instance_id))
    assert row["status"] == "FAILED"
    assert told in row["fault_message"]
    assert stack.keys == []
    assert stack.row(stack.back_up(instance_id))["status"] == "COMPLETED"


def test_a_guest_says_no_size_that_its_volume_cannot_have(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore would be asked for a volume of it, and the lists would show it."""
    honest = WithSimBackups.create_backup

    def lies(guest: WithSimBackups, request: CreateBackup, progress: Progress) -> BackedUp:
        return msgspec.structs.replace(honest(guest, request, progress), data_size=2**50)

    instance_id = stack.begin()
    with monkeypatch.context() as patched:
        patched.setattr(WithSimBackups, "create_backup", lies)
        row = stack.row(stack.back_up(instance_id))
    assert row["status"] == "FAILED"
    assert "more than a volume of 1 GiB can give" in row["fault_message"]
    assert stack.row(stack.back_up(instance_id))["status"] == "COMPLETED"


def test_one_that_lies_in_an_archive_is_not_tried_out_and_no_verdict_is_made_up(
    stack: Backups,
) -> None:
    """A rule of the bucket has put it there, months later: who takes it out again has it whole."""
    instance_id = stack.begin()
    made = stack.back_up(instance_id)
    store, location = stack.region.s3.buckets[BACKUPS_BUCKET], stack.row(made)["location"]
    key, before = next(store.behind(f"{location}/manifest.", ""))
    archived(store, location)
    assert stack.verify(made)["verdict"] is None
    path = f"/instances/{instance_id}/operations?limit=1"
    (trial,) = stack.ask("GET", path).document["operations"]
    assert trial["status"] == "FAILED"
    assert "cannot be read as it lies there (InvalidObjectState)" in trial["reason"]
    store.put(key, before)
    assert stack.verify(made)["verdict"] == "passed"


def test_what_attempts_have_left_is_removed(stack: Backups) -> None:
    instance_id = stack.begin()
    Beside(stack, lambda store, location: beside(store, location, 500))
    row = stack.row(stack.back_up(instance_id))
    assert row["status"] == "COMPLETED"
    assert len(stack.keys) == 2
    assert any(f"/{row['attempt']}/0" in key for key in stack.keys)


def test_what_no_list_can_tell_goes_one_by_one_and_nothing_breaks_by_it(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guest that was broken into writes what it likes; only what is unexpected is an error."""
    monkeypatch.setattr(objects, "MOST_ALONE", 3)
    remove, went = objects.remove, list[int | None]()

    def counted(keys: list[str]) -> int:
        went.append(None)
        went[-1] = gone = remove(keys)
        return gone

    def odd(store: Objects, location: str) -> None:
        _, found = part_of(store, location)
        for each in range(10):
            store.put(f"{location}/\x01{each}", found)

    instance_id = stack.begin()
    Beside(stack, odd)
    monkeypatch.setattr(objects, "remove", counted)
    row = stack.row(stack.back_up(instance_id))
    assert (row["status"], len(stack.keys)) == ("COMPLETED", 2)
    assert [each for each in went if each != 0] == [3, 3, 3, 1]


def test_a_guest_that_fills_its_location_has_made_no_backup(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = create_backup.MOST_ATTEMPTS + create_backup.SPARE_OBJECTS
    instance_id = stack.begin()
    Beside(stack, lambda store, location: beside(store, location, most))
    row = stack.row(stack.back_up(instance_id))
    assert row["status"] == "FAILED"
    assert "than attempts at it can have left" in row["fault_message"]
    monkeypatch.setattr(create_backup, "MOST_VOLUMES", 0)
    monkeypatch.setattr(create_backup, "SPARE_BYTES", 100)
    row = stack.row(stack.back_up(instance_id))
    assert "more than a volume of 1 GiB can give" in row["fault_message"]
    assert stack.keys == []
