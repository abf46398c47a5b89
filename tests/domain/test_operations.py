"""Operations: names that are unique and stable."""

from __future__ import annotations

import re

from chalicelib.domain.flows import REMOVALS
from chalicelib.domain.operations import (
    STARTABLE,
    TERMINAL,
    OperationStatus,
    command_id,
    execution_name,
)
from functions import handler

ID = "0b0e3a6c-6a3d-4a77-8f0e-1d2f3a4b5c6d"


def test_each_attempt_has_a_name_of_its_own_that_step_functions_takes() -> None:
    names = [execution_name(ID, attempt) for attempt in range(6)]
    assert len(set(names)) == 6
    assert names[0] == ID
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", name) for name in names)


def test_a_step_sends_the_same_command_each_time_it_runs() -> None:
    assert command_id(ID, "prepare") == command_id(ID, "prepare")
    assert command_id(ID, "prepare") != command_id(ID, "restart")


def test_a_status_is_startable_terminal_or_queued() -> None:
    assert {*STARTABLE, *TERMINAL, OperationStatus.QUEUED} == set(OperationStatus)
    assert not set(STARTABLE) & set(TERMINAL)


def test_every_removal_is_a_step_that_runs_backwards() -> None:
    steps = {**handler.CLOUD_STEPS, **handler.LOCAL_STEPS}
    assert all(steps[name].backwards and not steps[name].ends for name in REMOVALS)
    assert {name for name in steps if name.startswith("remove_")} == set(REMOVALS)
