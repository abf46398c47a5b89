"""What a step that asks its guest does when it is too late to ask."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.bus import commands, contract
from chalicelib.bus.contract.arguments import Nothing
from chalicelib.domain.flows import RESTART
from functions.asking import ask
from functions.outcomes import Failed
from tests.support.simulated import Stack


def test_nobody_is_asked_when_the_steps_bound_is_over(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, _ = stack.create()
    stack.settle()
    operation = stack.accept(instance.id, RESTART)
    sent: list[Any] = []
    monkeypatch.setattr(commands, "send", lambda *given: sent.append(given))
    stack.kernel.now = operation.deadline + 1
    outcome = ask(operation, "token", "restart", contract.RESTART, lambda _: Nothing())
    assert outcome == Failed("The database was not started again in time")
    assert sent == []
