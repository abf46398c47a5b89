"""Kept replies: one a key, for a day, whoever asks at the same time."""

from __future__ import annotations

import pytest
from pynamodb.transactions import TransactWrite

from chalicelib.store import replies
from chalicelib.store.base import Claimed, ConditionFailed, transact
from chalicelib.store.models import Quota
from chalicelib.store.replies import KEEP_SECONDS, Keeping
from tests.support.bare import World


def nothing(_: TransactWrite) -> None:
    """A transaction of the claim alone."""


def test_a_transaction_keeps_a_reply_once(world: World) -> None:
    first, second = Keeping("p/k", "one"), Keeping("p/k", "two")
    transact(nothing, claim=first)
    with pytest.raises(Claimed):
        transact(nothing, claim=second)
    assert (first.kept, second.kept) == (True, False)
    found = replies.find("p/k")
    assert found is not None
    assert found.sealed == "one"


def test_what_is_accepted_without_its_claim_is_not_accepted(world: World) -> None:
    Keeping("p/k", "one").put_alone()

    def build(write: TransactWrite) -> None:
        write.save(Quota("p"))

    with pytest.raises(Claimed):
        transact(build, claim=Keeping("p/k", "two"))
    assert Quota.count() == 0


def test_another_clause_that_fails_is_told_as_such(world: World) -> None:
    def build(write: TransactWrite) -> None:
        write.save(Quota("p"), condition=Quota.tenant_id.exists())

    keeping = Keeping("p/k", "one")
    with pytest.raises(ConditionFailed):
        transact(build, claim=keeping)
    assert not keeping.kept
    assert replies.find("p/k") is None


def test_a_day_later_the_key_is_free_though_its_row_is_there(world: World) -> None:
    world.run_until(float(int(world.now)))
    Keeping("p/k", "one").put_alone()
    world.run(KEEP_SECONDS - 2)
    with pytest.raises(Claimed):
        Keeping("p/k", "two").put_alone()
    world.run(2)  # to the second
    assert replies.find("p/k") is None
    Keeping("p/k", "three").put_alone()
    found = replies.find("p/k")
    assert found is not None
    assert found.sealed == "three"


def test_of_two_who_ask_anew_one_is_the_first(world: World) -> None:
    Keeping("p/k", "one", "c-1").put_alone()
    one, other = replies.find("p/k"), replies.find("p/k")
    assert one is not None
    assert other is not None
    replies.ask_anew(one, "c-2")
    with pytest.raises(Claimed):
        replies.ask_anew(other, "c-3")
    assert one.command_id == "c-2"
