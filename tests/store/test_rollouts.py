"""Rollouts: which instances they begin with, a page of the fleet at a time."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import errors
from chalicelib.domain.agents import AgentBundle
from chalicelib.domain.rollouts import Progress, Wanted
from chalicelib.lifecycle import Status
from chalicelib.store import rollouts
from tests.support.rows import TENANT, new_instance

pytestmark = pytest.mark.usefixtures("plain_world")
IMAGE = "image-2"


@pytest.mark.parametrize(
    ("changes", "wanted", "fit"),
    [
        ({}, Wanted(IMAGE), True),
        ({}, Wanted(IMAGE, version_id="version-1"), True),
        ({}, Wanted(IMAGE, version_id="version-2"), False),
        ({"status": Status.STOPPED}, Wanted(IMAGE), True),
        ({"status": Status.ERROR}, Wanted(IMAGE), False),
        ({"image_id": IMAGE}, Wanted(IMAGE), False),
        ({"operation_id": "another"}, Wanted(IMAGE), False),
        ({"image_id": ""}, Wanted(agent=AgentBundle("2", "ab", 1)), True),
        ({"status": Status.STOPPED}, Wanted(agent=AgentBundle("2", "ab", 1)), False),
    ],
)
def test_what_fits_is_as_it_is_now_and_was_not_rebuilt_on_it(
    changes: dict[str, Any], wanted: Wanted, *, fit: bool
) -> None:
    assert rollouts.fits(new_instance(**{"status": Status.ACTIVE, **changes}), wanted) == fit


def test_a_look_names_as_many_as_there_is_room_for_and_goes_on_behind_them() -> None:
    for number in range(5):
        image = IMAGE if number == 1 else None
        new_instance(id=f"{number}", status=Status.ACTIVE, image_id=image).save()
    wanted, progress = Wanted(IMAGE, at_once=2), Progress()
    progress = rollouts.walk(wanted, progress)
    assert (len(progress.under_way), progress.walked) == (2, False)
    seen = list(progress.under_way)
    while not progress.walked:
        progress = Progress(behind=progress.behind, skipped=progress.skipped)
        progress = rollouts.walk(wanted, progress)
        seen += progress.under_way
    assert (sorted(seen), progress.skipped) == (["0", "2", "3", "4"], 1)


def test_one_without_a_row_that_nobody_is_at_is_not_there() -> None:
    row = rollouts.new_rollout(TENANT, Wanted(IMAGE))
    with pytest.raises(errors.NotFound):
        rollouts.get_rollout(row.id)
    row.save()
    assert rollouts.get_rollout(row.id).asked == row.asked
    assert [each.id for each in rollouts.newest_rollouts()] == [row.id]
