"""A backup that Trove has made: shipped handlers and agents, and the simulated Swift it lies in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from simulator.region import Reply
from tests.simulator.backing_up import Backups, whole
from tests.simulator.troves import KEPT, put_by_trove


@pytest.fixture
def stack() -> Iterator[Backups]:
    with whole() as made:
        yield made


def take_in(stack: Backups, url: str) -> Reply:
    version = stack.ask("GET", "/datastores/mariadb").document["datastore"]["default_version"]
    asked = {
        "remote_location": url,
        "local_datastore_version_id": version,
        "size": 0.5,
    }
    return stack.ask("POST", "/backups", {"backup": {"name": "trove's", "restore_from": asked}})


def imported(stack: Backups) -> str:
    reply = take_in(stack, put_by_trove(stack))
    assert reply.status == 202, reply.body
    return str(reply.document["backup"]["id"])


def beside(stack: Backups, act: Callable[[], object]) -> list[str]:
    """Have something happen once, when a guest has read the object; what has happened."""
    done: list[str] = []

    class Hook:
        def before(self, effect: object) -> None:
            pass

        def after(self, effect: object) -> None:
            if getattr(effect, "call", "") == "GetObject" and not done:
                done.append("x")
                act()

    stack.region.effects.hooks.append(Hook())
    return done


def test_it_is_taken_in_restored_and_deleted_and_its_object_stays(stack: Backups) -> None:
    backup_id = imported(stack)
    (url,) = stack.region.swift.urls()
    instance_id = stack.restore(backup_id)
    assert stack.held(instance_id).same_as(KEPT), "and nobody else comes in"
    more = stack.back_up(instance_id)
    assert stack.row(more)["status"] == "COMPLETED"
    assert stack.ask("DELETE", f"/backups/{backup_id}").status == 202
    stack.settle()
    assert stack.row(backup_id)["status"] == "DELETED"
    assert stack.region.swift.urls() == [url]


def test_an_agent_that_dies_on_the_way_begins_again(stack: Backups) -> None:
    backup_id = imported(stack)

    def dies() -> None:
        (guest,) = stack.fleet
        stack.kernel.call_later(0.0, stack.fleet.crash, guest.server_id)

    died = beside(stack, dies)
    instance_id = stack.restore(backup_id)
    assert died
    assert stack.held(instance_id).same_as(KEPT)


def test_what_is_changed_on_the_way_makes_no_data(stack: Backups) -> None:
    backup_id = imported(stack)
    stack.invariants.hub.spoiled[backup_id] = None
    wanted = {
        "name": "again",
        "flavorRef": "1",
        "volume": {"size": 1},
        "restorePoint": {"backupRef": backup_id},
    }
    made = stack.ask("POST", "/instances", {"instance": wanted})
    assert made.status == 200, made.body
    put_by_trove(stack, KEPT.with_row("shop", "2", "of somebody else"))
    stack.settle()
    shown = stack.ask("GET", f"/instances/{made.document['instance']['id']}").document["instance"]
    assert shown["status"] == "ERROR"
    assert "somebody has changed it" in shown["fault"]["message"]
    refused = stack.ask("POST", "/instances", {"instance": wanted})
    assert refused.status == 409
