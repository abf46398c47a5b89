"""`coffer adopt` follows a job's pages to their end."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from functions import maintenance
from infra.cli import adopt
from infra.errors import StackError
from infra.target import Target


class Pages:
    """A Lambda client whose function has these answers, in this order."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.asked.append(json.loads(Payload))
        return {"Payload": io.BytesIO(json.dumps(self.answers.pop(0)).encode())}


def run(pages: Pages, monkeypatch: pytest.MonkeyPatch, *, check: bool = False) -> list[str]:
    monkeypatch.setattr(Target, "client", lambda self, service: pages)
    return adopt.run(Target("us-east-1"), "f", "adopt", check=check)


def test_pages_are_followed_and_a_line_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(
        {"told": ["a", "b"], "next": {"part": "volumes", "after": "7"}},
        {"told": ["b", "c"], "next": None},
    )
    assert run(pages, monkeypatch, check=True) == ["a", "b", "c"]
    assert pages.asked == [
        {"step": "adopt", "check": True},
        {"step": "adopt", "check": True, "part": "volumes", "after": "7"},
    ]


def test_a_cloud_that_is_away_stops_it_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StackError, match="adopt stopped: The cloud could not page"):
        run(Pages({"failed": "The cloud could not page"}), monkeypatch)


def test_every_job_is_one_of_the_task_managers() -> None:
    assert adopt.JOBS.keys() <= maintenance.JOBS.keys()
