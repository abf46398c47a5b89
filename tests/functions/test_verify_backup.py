"""What lies in a tenant's container is looked at before a guest is asked to try it out."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import containers
from chalicelib.domain.backups import FAILED
from chalicelib.domain.flows import VERIFY_BACKUP
from chalicelib.store import instances
from chalicelib.store.ending_backups import VERDICT
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import operation_of
from functions import verify_backup
from functions.outcomes import Done, Failed, Outcome, Wait
from tests.functions.test_container_objects import ACCOUNT, FIRST, NAME, Kept
from tests.functions.test_restoration_of_backups import deleting, made, now
from tests.functions.test_restoration_of_backups import instance_id as instance_id  # a fixture
from tests.support.bare import World

PARTS = 5


@pytest.fixture
def kept(world: World, instance_id: str) -> Kept:
    row = made(instance_id)
    found = Kept(world, row, deleting(row))
    said = found.whole(FIRST, PARTS)
    row.update(
        actions=[Backup.checksum.set(said.checksum), Backup.status.set("COMPLETED")],
    )
    return found


def look(kept: Kept, **seen: Any) -> Outcome:
    row = now(kept.row)
    source = instances.get_instance(row.instance_id)
    operation: Operation = operation_of(source, VERIFY_BACKUP, arguments={"backup": row.id})
    operation.resources = {"look": seen} if seen else {}
    return verify_backup.look(operation, None)


def asked(kept: Kept, call: str) -> int:
    return int(kept.world.calls[f"swift.{call}"])


def test_the_manifest_is_read_once_for_all_parts_of_a_look(kept: Kept) -> None:
    """It may have megabytes, and a terabyte is tens of thousands of parts."""
    before = asked(kept, "GetObject"), asked(kept, "HeadObject")
    assert look(kept) == Done()
    after = asked(kept, "GetObject"), asked(kept, "HeadObject")
    assert (after[0] - before[0], after[1] - before[1]) == (1, PARTS)


def test_a_look_that_is_cut_short_goes_on_where_it_was(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_backup, "SLICE_SECONDS", -1.0)
    seen: dict[str, Any] = {}
    for number in range(1, PARTS + 1):
        outcome = look(kept, **seen)
        assert isinstance(outcome, Wait)
        seen = dict(outcome.resources["look"])
        assert seen == {"at": 0, "found": number, "after": None}
    outcome = look(kept, **seen)
    assert isinstance(outcome, Wait)
    assert outcome.resources["look"] == {"at": 1, "found": 0, "after": None}
    assert look(kept, **outcome.resources["look"]) == Done()


@pytest.mark.parametrize("number", [0, PARTS - 1])
def test_a_part_that_is_gone_is_a_verdict(kept: Kept, number: int) -> None:
    kept.store.delete(ACCOUNT, NAME, f"{kept.row.location}/first/{number}")
    outcome = look(kept)
    assert isinstance(outcome, Done)
    verdict = outcome.resources[VERDICT]
    assert verdict["verdict"] == FAILED
    assert f"part {number} is not what was written" in verdict["reason"]


def test_a_store_that_refuses_is_no_verdict(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise containers.Refused("The container has another key.")

    monkeypatch.setattr(containers, "read", refuse)
    told = "The object store does not give the backup: The container has another key.."
    assert look(kept) == Failed(told)


@pytest.mark.parametrize("waiting", [None, Wait(1, note="the guest agent is told to stop")])
def test_who_tries_it_out_is_told_to_stop(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, waiting: Wait | None
) -> None:
    told: list[tuple[str, str, str]] = []

    def tell(_: Operation, row: Backup, *, asked: str, step: str) -> Wait | None:
        told.append((row.id, asked, step))
        return waiting

    monkeypatch.setattr(verify_backup, "tell_to_stop", tell)
    source = instances.get_instance(kept.row.instance_id)
    operation = operation_of(source, VERIFY_BACKUP, arguments={"backup": kept.row.id})
    assert verify_backup.stop(operation, None) == (waiting or Done())
    assert told == [(kept.row.id, "try", "stop")]
    kept.row.delete()
    assert verify_backup.stop(operation, None) == Done()
    assert len(told) == 1
