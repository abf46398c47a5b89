"""Backups in the simulator: shipped handlers, agents, writers and readers, and a simulated S3."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chalicelib.bus import commands
from simulator.fleet import backups as guests
from simulator.fleet.datastore import Contents
from simulator.template import BACKUPS_BUCKET
from tests.simulator.backing_up import Backups, whole
from tests.support import damage

HOUR = 3600.0


@pytest.fixture
def stack() -> Iterator[Backups]:
    with whole({"COFFER_BACKUP_TIMEOUT_SECONDS": "86400"}) as made:
        yield made


def test_each_of_a_chain_is_restored_to_its_own_point(stack: Backups) -> None:
    instance_id = stack.begin()
    stack.write(instance_id, "1", "2")
    points: dict[str, Contents] = {}
    for more in ({}, {"incremental": 1}, {"incremental": 1}):
        made = stack.back_up(instance_id, **more)
        assert stack.row(made)["status"] == "COMPLETED", stack.row(made)
        points[made] = stack.held(instance_id)
        stack.write(instance_id, f"behind {made}")
    first, second, third = points
    assert [stack.row(each).get("children", 0) for each in points] == [1, 1, 0]
    for made, point in points.items():
        again = stack.restore(made)
        assert stack.held(again).same_as(point)
        assert not stack.held(again).same_as(stack.held(instance_id))
    assert stack.ask("DELETE", f"/backups/{second}").status == 409
    for each in (third, second, first):  # nobody waits for one before the next is asked for
        assert stack.ask("DELETE", f"/backups/{each}").status == 202
    stack.settle()
    assert stack.keys == []


def test_of_a_chain_whose_last_is_named_first_all_go(stack: Backups) -> None:
    """Each is asked for while what builds on it goes still: a clause of the transaction looks."""
    instance_id = stack.begin()
    chain = [stack.back_up(instance_id, incremental=1) for _ in range(3)]
    told: list[int] = []

    def delete_all() -> None:
        asked = [stack.tenant("DELETE", f"/backups/{each}") for each in reversed(chain)]
        told.extend(reply.status for reply in asked)

    stack.do(delete_all)
    assert told == [202, 202, 202]
    stack.settle()
    assert stack.keys == []


def test_a_chain_is_restored_to_the_volume_that_it_says(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "INCREMENT_GIB", 0.5)
    instance_id = stack.begin()
    chain = [stack.back_up(instance_id, incremental=1) for _ in range(4)]
    assert [len(json.loads(stack.row(each)["parents"])) for each in chain] == [0, 1, 2, 0]
    wanted = {"name": "again", "flavorRef": "1", "restorePoint": {"backupRef": chain[2]}}
    for size, status in ((1, 403), (2, 200)):
        made = stack.ask("POST", "/instances", {"instance": {**wanted, "volume": {"size": size}}})
        assert made.status == status, made.body
    stack.settle()
    assert stack.held(made.document["instance"]["id"]).same_as(stack.held(instance_id))


def test_what_is_whole_is_called_sound_and_what_is_not_damaged(stack: Backups) -> None:
    instance_id = stack.begin()
    stack.write(instance_id, "1")
    chain = [stack.back_up(instance_id, incremental=1) for _ in range(2)]
    shown = stack.verify(chain[-1])
    assert (shown["verdict"], shown["verdict_reason"]) == ("passed", None)
    assert shown["verified_at"] is not None
    (guest,) = stack.fleet.of_instance(instance_id)
    assert guest.volume is not None
    assert not guest.volume.trial
    stack.invariants.hub.spoiled[chain[0]] = None
    stored = stack.region.s3.buckets[BACKUPS_BUCKET]
    key = next(key for key in stack.keys if key.endswith("/0") and chain[0] in key.split("/")[2])
    held = stored.get(key)
    assert held is not None
    for body, why in (
        (damage.changed(held.body), "part 0 is not what was written"),
        (None, "0 are"),
    ):
        if body is None:
            stored.delete(key)
        else:
            stored.put(key, held._replace(body=body))
        shown = stack.verify(chain[-1])
        assert shown["verdict"] == "failed"
        assert why in shown["verdict_reason"]
    stored.put(key, held)
    assert stack.verify(chain[0])["verdict"] == "passed"
    told = stack.ask("GET", f"/instances/{instance_id}/events").document["events"]
    verdicts = [each["kind"].rpartition("_")[2] for each in told if "verification" in each["kind"]]
    assert sorted(verdicts) == ["failed", "failed", "passed", "passed"]


def test_an_instance_is_deleted_when_its_last_backup_is_complete(stack: Backups) -> None:
    instance_id = stack.begin()
    stack.write(instance_id, "1")
    held = stack.held(instance_id)
    path = f"/instances/{instance_id}"
    assert stack.ask("DELETE", f"{path}?final_backup=true&backup_name=last").status == 202
    stack.settle()
    assert stack.ask("GET", path).status == 404
    (shown,) = stack.ask("GET", "/backups").document["backups"]
    assert (shown["name"], shown["status"]) == ("last", "COMPLETED")
    assert stack.held(stack.restore(shown["id"])).same_as(held)


def test_one_that_is_given_up_leaves_nothing(stack: Backups) -> None:
    made = stack.give_up(stack.begin())
    assert stack.row(made)["status"] == "FAILED"
    assert stack.keys == []


def test_a_guest_that_is_silent_for_an_hour_is_not_waited_for(stack: Backups) -> None:
    instance_id = stack.begin()
    (guest,) = stack.fleet.of_instance(instance_id)
    stack.fleet.partition(guest.server_id)
    made = stack.back_up(instance_id)
    row = stack.row(made)
    assert row["status"] == "FAILED"
    assert "has reported nothing for" in row["fault_message"]
    stack.fleet.heal()
    stack.run(300.0)


def test_a_command_that_is_lost_is_not_waited_for_until_the_bound(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its guest reports all the time, and nobody else would notice before a day is over."""
    instance_id = stack.begin()
    with monkeypatch.context() as patch:
        patch.setattr(commands, "send", lambda *_: None)
        began = stack.kernel.now
        row = stack.row(stack.back_up(instance_id))
    assert row["status"] == "FAILED"
    assert "has told nothing of 'create_backup'" in row["fault_message"]
    assert stack.kernel.now - began < 3 * HOUR
    assert stack.row(stack.back_up(instance_id))["status"] == "COMPLETED"
