"""Backups in a container of their tenant's: shipped handlers and agents, and a simulated Swift."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chalicelib import containers
from chalicelib.auth.containers import SLOTS
from chalicelib.domain import attempts
from chalicelib.domain.containers import DEFAULT
from simulator.cloud.model.object_store import META
from tests.simulator.backing_up import Backups, whole

CONTAINER = "nightly backups"


@pytest.fixture
def stack() -> Iterator[Backups]:
    with whole({"COFFER_BACKUP_TIMEOUT_SECONDS": "86400"}) as made:
        yield made


def lie(stack: Backups) -> list[str]:
    """What lies in Swift."""
    return stack.region.swift.urls()


def test_a_chain_is_made_restored_and_deleted(stack: Backups) -> None:
    instance_id = stack.begin()
    stack.write(instance_id, "1", "2")
    full = stack.back_up(instance_id, swift_container=CONTAINER)
    stack.write(instance_id, "3")
    more = stack.back_up(instance_id, swift_container=CONTAINER, incremental=1)
    assert stack.keys == []
    shown = [stack.ask("GET", f"/backups/{each}").document["backup"] for each in (full, more)]
    assert [each["status"] for each in shown] == ["COMPLETED"] * 2, shown
    assert {each["swift_container"] for each in shown} == {CONTAINER}
    assert shown[1]["parent_id"] == full
    assert shown[1]["locationRef"] in lie(stack)
    assert "/nightly%20backups/" in shown[1]["locationRef"]
    again = stack.restore(more)
    assert stack.held(again).same_as(stack.held(instance_id))
    assert stack.ask("DELETE", f"/backups/{full}?cascade=true").status == 202
    stack.settle()
    assert lie(stack) == []
    assert {stack.row(each)["status"] for each in (full, more)} == {"DELETED"}


def test_one_that_is_given_up_leaves_nothing(stack: Backups) -> None:
    instance_id = stack.begin()
    made = stack.give_up(instance_id, storage_driver="swift")
    assert stack.row(made)["status"] == "FAILED"
    assert stack.row(made)["container_url"].endswith(f"/{DEFAULT}")
    assert lie(stack) == []


def test_an_agent_that_dies_begins_another_attempt_and_leaves_one(stack: Backups) -> None:
    instance_id = stack.begin()
    (guest,) = stack.fleet.of_instance(instance_id)
    died: list[str] = []

    class Death:
        def before(self, effect: object) -> None:
            pass

        def after(self, effect: object) -> None:
            if getattr(effect, "call", "") == "PutObject" and not died:
                died.append("x")
                stack.kernel.call_later(0.0, stack.fleet.crash, guest.server_id)

    stack.region.effects.hooks.append(Death())
    made = stack.back_up(instance_id, swift_container=CONTAINER)
    row = stack.row(made)
    assert row["status"] == "COMPLETED", row
    (kept,) = attempts.of(json.loads(row["attempts"]))
    assert {name.split("/")[-2] for name in lie(stack)} == {kept.id}


def test_a_container_that_was_deleted_is_told_and_its_backups_can_be_deleted(
    stack: Backups,
) -> None:
    instance_id = stack.begin()
    made = stack.back_up(instance_id, swift_container=CONTAINER)
    (known,) = stack.region.swift.store.accounts.values()
    known.clear()
    stack.invariants.hub.spoiled[made] = None
    body = {
        "name": "again",
        "flavorRef": "1",
        "volume": {"size": 1},
        "restorePoint": {"backupRef": made},
    }
    refused = stack.ask("POST", "/instances", {"instance": body})
    assert refused.status == 404
    assert f"container {CONTAINER} is gone" in str(refused.document)
    assert stack.ask("DELETE", f"/backups/{made}").status == 202
    stack.settle()
    assert stack.row(made)["status"] == "DELETED"


def test_a_key_that_was_removed_is_put_back_by_who_deletes(stack: Backups) -> None:
    instance_id = stack.begin()
    made = stack.back_up(instance_id, swift_container=CONTAINER)
    (known,) = stack.region.swift.store.accounts.values()
    known[CONTAINER].meta.clear()
    assert stack.ask("DELETE", f"/backups/{made}").status == 202
    stack.settle()
    assert lie(stack) == []
    assert SLOTS[-1].lower().removeprefix(META) in known[CONTAINER].meta


def test_what_guests_may_do_ends_before_anything_is_removed() -> None:
    """A discard has ten minutes: a guest that nobody hears has lost its rights by then."""
    assert containers.LENT_SECONDS + containers.REQUEST_SECONDS < 600
