"""`coffer rollout`: what it asks for, what it tells, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import typer

from infra.cli import deployments, rollout
from infra.cli.deployments import Deployment
from infra.errors import StackError
from infra.target import Target

BEGUN = {"id": "rollout-1", "rebuilt": 0, "failed": 0, "skipped": 0, "under_way": []}


class Api:
    """Answers what it was given, one after the other."""

    def __init__(self, *seen: dict[str, Any] | Exception) -> None:
        self.asked: list[Any] = []
        self._seen = list(seen)

    def call(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        self.asked.append((method, path, json))
        if method == "POST":
            return {"rollout": BEGUN}
        seen = self._seen.pop(0)
        if isinstance(seen, Exception):
            raise seen
        return {"rollout": BEGUN | seen}


def watched(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *apis: Api, **options: Any
) -> str:
    sessions = iter(apis)
    meant = Deployment("coffer", Target("nowhere"), "/coffer", lambda: next(sessions))
    patch.setattr(deployments, "chosen", lambda *_: meant)
    patch.setattr(rollout, "LOOK_SECONDS", 0)
    rollout.command("image-1", "10.11", **options)
    return capsys.readouterr().out


def test_it_is_watched_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = {"status": "RUNNING", "under_way": [{}, {}]}
    left = {"skipped": 1, "skipped_instances": ["in-error"]}
    api = Api(running, running, {"status": "COMPLETED", "rebuilt": 2, **left})
    said = watched(monkeypatch, capsys, api, at_once=2, project="mine")
    asked = {"image_id": "image-1", "datastore_version": "10.11", "at_once": 2, "tolerate": 0}
    body = {"rollout": asked | {"project_id": "mine"}}
    assert api.asked[0] == ("POST", "/mgmt/rollouts", body)
    assert api.asked[1:] == [("GET", "/mgmt/rollouts/rollout-1", None)] * 3
    assert said.count("2 under way") == 1, "what has not changed is not told again"
    assert "2 rebuilt, 0 failed, 1 skipped" in said
    assert "skipped: in-error" in said


def test_one_that_was_stopped_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api({"status": "STOPPED", "failed": 1, "fault": {"message": "1 rebuilds failed"}})
    with pytest.raises(typer.Exit) as ended:
        watched(monkeypatch, capsys, api)
    assert ended.value.exit_code == 1
    assert "STOPPED: 1 rebuilds failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [StackError("was answered 401"), requests.ConnectionError("the endpoint is away")]
)
def test_a_token_that_has_expired_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    first = Api({"status": "RUNNING", "rebuilt": 1}, error)
    second = Api({"status": "COMPLETED", "rebuilt": 2})
    assert "2 rebuilt" in watched(monkeypatch, capsys, first, second)
    assert second.asked == [("GET", "/mgmt/rollouts/rollout-1", None)]


def test_an_endpoint_that_stays_away_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rollout, "MOST_FAILED", 2)
    sessions = [Api(StackError("it is away")) for _ in range(4)]
    with pytest.raises(StackError):
        watched(monkeypatch, capsys, *sessions)
    assert [len(each.asked) for each in sessions] == [2, 1, 1, 0]
