"""A new deployment's first call of its cloud, made by a function that starts cold."""

from __future__ import annotations

import pytest

from infra.deployment import introduction
from infra.deployment.introduction import MIRROR_ATTEMPTS, mirror_flavors
from infra.errors import StackError
from infra.target import Target


def test_a_mirror_that_outlives_its_function_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[str | None] = ["Task timed out after 20.00 seconds", None]
    monkeypatch.setattr(introduction, "invoke", lambda *_: answers.pop(0))
    mirror_flavors(Target("us-east-1"), "taskmanager")
    assert answers == []


def test_one_that_never_ends_well_is_told_after_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*arguments: object) -> str:
        asked.append(arguments)
        return "Nova is away"

    monkeypatch.setattr(introduction, "invoke", refuse)
    with pytest.raises(StackError, match="Nova is away"):
        mirror_flavors(Target("us-east-1"), "taskmanager")
    assert len(asked) == MIRROR_ATTEMPTS
