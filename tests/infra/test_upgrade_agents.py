"""`coffer upgrade-agents`: what is put into the bucket, asked for and told."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import typer

from infra import packages_bucket
from infra.cli import deployments, rollout, upgrade_agents
from infra.cli.deployments import Deployment
from infra.errors import PackageError, UnusableInputError
from infra.image import bundle
from infra.target import Target


class Api:
    """Answers what it was given for each path."""

    def __init__(self, *statuses: str) -> None:
        self.asked: list[Any] = []
        self._statuses = list(statuses)

    def call(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        if method == "POST":
            self.asked.append((path, json))
            return {"rollout": {"id": "rollout-1"}}
        if path.startswith("/mgmt/rollouts"):
            counted = {"rebuilt": 1, "failed": 0, "skipped": 0, "under_way": []}
            return {"rollout": {"status": self._statuses.pop(0), **counted}}
        if path.endswith("limit=1"):
            return {"operations": [{"status": self._statuses.pop(0)}]}
        return {"instance": {"fault": {"message": "release 2 ended by itself"}}}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A bundle, as far as its name goes."""
    file = tmp_path / "bundle.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, text in (
            ("agent-1", None),
            ("agent-1/VERSION", b"1\n"),
        ):
            member = tarfile.TarInfo(name)
            member.type = tarfile.REGTYPE if text else tarfile.DIRTYPE
            member.size = len(text or b"")
            archive.addfile(member, io.BytesIO(text or b""))
    return file


def run(patch: pytest.MonkeyPatch, api: Api, **options: Any) -> list[bundle.Bundle]:
    lent: list[bundle.Bundle] = []
    meant = Deployment("coffer", Target("nowhere"), "/coffer", lambda: api)
    patch.setattr(deployments, "chosen", lambda *_: meant)
    for module in (upgrade_agents, rollout):
        patch.setattr(module, "LOOK_SECONDS", 0)
    patch.setattr(packages_bucket, "lend_agent", lambda _, __, made: lent.append(made))
    upgrade_agents.command(**options)
    return lent


def test_instances_are_upgraded_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api("RUNNING", "SUCCEEDED", "FAILED")
    with pytest.raises(typer.Exit):
        run(monkeypatch, api, instances=["one", "two", "three"], file=packed)
    content = packed.read_bytes()
    named = {"version": "1", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    asked = {"upgrade_agent": named}
    assert api.asked == [(f"/mgmt/instances/{each}/action", asked) for each in ("one", "two")]
    said = capsys.readouterr().out
    assert "one has 1" in said
    assert "two: release 2 ended by itself" in said


def test_a_fleet_is_a_rollout(monkeypatch: pytest.MonkeyPatch, packed: Path) -> None:
    api = Api("RUNNING", "COMPLETED")
    (lent,) = run(monkeypatch, api, everywhere=True, file=packed, at_once=5, project="mine")
    named = {"version": "1", "sha256": lent.sha256, "size": packed.stat().st_size}
    asked = {"agent": named, "at_once": 5, "tolerate": 0, "project_id": "mine"}
    assert api.asked == [("/mgmt/rollouts", {"rollout": asked})]


@pytest.mark.parametrize("options", [{}, {"instances": ["one"], "everywhere": True}])
def test_it_is_said_whose_agents(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    with pytest.raises(UnusableInputError, match="or give --all"):
        run(monkeypatch, Api(), **options)


def test_what_is_no_bundle_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PackageError, match="is no bundle"):
        run(monkeypatch, Api(), everywhere=True, file=Path(__file__))
