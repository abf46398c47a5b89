"""`coffer rollout`: what it asks for, what it tells, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from infra.cli import rollout

BEGUN = {"id": "rollout-1", "rebuilt": 0, "failed": 0, "skipped": 0, "under_way": []}


class Api:
    """Answers what it was given, one after the other."""

    def __init__(self, *seen: dict[str, Any]) -> None:
        self.asked: list[Any] = []
        self._seen = [BEGUN | each for each in seen]

    def call(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        self.asked.append((method, path, json))
        return {"rollout": BEGUN if method == "POST" else self._seen.pop(0)}


def watched(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], api: Api, **options: Any
) -> str:
    patch.setattr(rollout, "deployment", lambda _: (None, api))
    patch.setattr(rollout, "LOOK_SECONDS", 0)
    rollout.command("image-1", "10.11", **options)
    return capsys.readouterr().out


def test_it_is_watched_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = {"status": "RUNNING", "under_way": [{}, {}]}
    api = Api(running, running, {"status": "COMPLETED", "rebuilt": 2})
    said = watched(monkeypatch, capsys, api, at_once=2, project="mine")
    asked = {"image_id": "image-1", "datastore_version": "10.11", "at_once": 2, "tolerate": 0}
    body = {"rollout": asked | {"project_id": "mine"}}
    assert api.asked[0] == ("POST", "/mgmt/rollouts", body)
    assert api.asked[1:] == [("GET", "/mgmt/rollouts/rollout-1", None)] * 3
    assert said.count("2 under way") == 1, "what has not changed is not told again"
    assert "2 rebuilt, 0 failed" in said


def test_one_that_was_stopped_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api({"status": "STOPPED", "failed": 1, "fault": {"message": "1 rebuilds failed"}})
    with pytest.raises(typer.Exit) as ended:
        watched(monkeypatch, capsys, api)
    assert ended.value.exit_code == 1
    assert "STOPPED: 1 rebuilds failed" in capsys.readouterr().out
