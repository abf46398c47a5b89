"""Bundles of the agent that no guest will fetch any more: removed, and no other one."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from chalicelib.bus import bundles
from chalicelib.domain.agents import AgentBundle
from chalicelib.domain.flows import RESTART, ROLL_OUT, UPGRADE_AGENT
from chalicelib.domain.rollouts import Wanted
from chalicelib.store import accepting, operations, rollouts
from functions import handler, old_bundles
from simulator.template import PACKAGES_BUCKET
from tests.support.rows import WHO
from tests.support.simulated import Stack

KEPT = old_bundles.KEPT


class Shelf:
    """Bundles in the bucket of the packages, and the job that looks at them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.s3 = stack.region.s3
        stack.stop_schedules()

    def lend(self, number: int) -> AgentBundle:
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        self.put(bundles.key_of(sha256))
        return AgentBundle(f"1.0.{number}", sha256, 1)

    def put(self, key: str) -> None:
        self.s3.put_object(Bucket=PACKAGES_BUCKET, Key=key, Body=b"x")

    def pass_days(self, days: int = 0) -> None:
        """Time goes on, by a second at least: so exactly S3 tells when something was written."""
        self.stack.run(days * 86400 + 1)

    def look(self) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        event = {"step": "look_for_old_bundles"}
        self.stack.do(lambda: answers.append(handler.local(event, None)))
        return answers[0]

    def has(self, bundle: AgentBundle) -> bool:
        return bool(self.s3.has(Bucket=PACKAGES_BUCKET, Key=bundles.key_of(bundle.sha256)))


@pytest.fixture
def shelf(stack: Stack) -> Shelf:
    return Shelf(stack)


def test_those_go_that_are_a_month_old_and_not_among_the_newest(shelf: Shelf) -> None:
    first, again, *others = [shelf.lend(number) for number in range(KEPT + 3)]
    assert shelf.look() == {"seen": KEPT + 3, "removed": 0}
    shelf.pass_days(20)
    shelf.lend(1)  # by `coffer upgrade-agents` once more
    shelf.pass_days(9)
    assert shelf.look() == {"seen": KEPT + 3, "removed": 0}, "a month has not passed"
    shelf.pass_days(1)
    assert shelf.look() == {"seen": KEPT + 3, "removed": 3}
    assert shelf.has(again)
    left = [each for each in (first, *others) if shelf.has(each)]
    assert len(left) == KEPT - 1
    shelf.pass_days(365)
    assert shelf.look() == {"seen": KEPT, "removed": 0}, "the newest stay, however old"


def test_what_is_no_bundle_stays(shelf: Shelf) -> None:
    others = ["d1/sam.json", "agents/notes.txt", f"agents/{'0' * 64}.tar.gz.part"]
    for key in others:
        shelf.put(key)
    for number in range(KEPT + 1):
        shelf.lend(number)
    shelf.pass_days(31)
    assert shelf.look() == {"seen": KEPT + 1, "removed": 1}
    assert all(shelf.s3.has(Bucket=PACKAGES_BUCKET, Key=key) for key in others)


def test_one_stays_that_an_upgrade_or_a_rollout_under_way_names(shelf: Shelf) -> None:
    stack = shelf.stack
    named, rolled_out, nobodys = [shelf.lend(number) for number in range(3)]
    shelf.pass_days()
    for number in range(3, 3 + KEPT):
        shelf.lend(number)
    shelf.pass_days(31)  # before there are guests, who report all the time
    upgraded, restarted = stack.create()[0].id, stack.create()[0].id
    stack.settle()
    operation = stack.accept(upgraded, UPGRADE_AGENT, msgspec.to_builtins(named))
    stack.accept(restarted, RESTART)
    row = rollouts.new_rollout("operators", Wanted(agent=rolled_out))
    over_the_fleet = operations.operation_of(row, ROLL_OUT, arguments=row.asked, asked=WHO)
    accepting.accept_create(row, over_the_fleet, {})
    assert shelf.look() == {"seen": 3 + KEPT, "removed": 1}
    assert [shelf.has(each) for each in (named, rolled_out, nobodys)] == [True, True, False]
    stack.run(120)  # its guest is told that there is no such bundle: the simulated ones are others
    ended = operations.get_operation(operation.id)
    assert ended is not None
    assert ended.live is None
    assert shelf.look()["removed"] == 1
    assert not shelf.has(named)


def test_nothing_goes_while_more_is_under_way_than_a_run_reads(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_bundles, "MOST_LIVE", 1)
    for number in range(KEPT + 1):
        shelf.lend(number)
    shelf.pass_days(31)
    for _ in range(2):
        shelf.stack.create()
    assert shelf.look() == {"seen": KEPT + 1, "removed": 0}
    shelf.stack.settle()
    assert shelf.look() == {"seen": KEPT + 1, "removed": 1}


def test_a_run_removes_so_many_and_the_next_one_the_others(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_bundles, "MOST_REMOVED", 2)
    for number in range(KEPT + 3):
        shelf.lend(number)
    shelf.pass_days(31)
    assert [shelf.look()["removed"] for _ in range(3)] == [2, 1, 0]


def test_bundles_are_listed_page_by_page(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "PAGE_KEYS", 2)
    monkeypatch.setattr(bundles, "MOST_PAGES", 3)
    for number in range(7):
        shelf.lend(number)
    assert shelf.look()["seen"] == 6
