"""Settings of a local stack: where they come from, and who may read the secrets."""

import json
import os
import stat
from pathlib import Path

import pytest

from chalicelib import parameters
from infra.errors import BusyError, StackError
from infra.keyrings import RINGS
from infra.local import settings as module
from infra.local.lock import exclusive
from infra.local.settings import (
    StackSettings,
    load_secrets,
    others_can_enter,
    resolve,
    state_folder,
)
from tests.infra.test_cli import coffer


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("COFFER_STATE", str(folder))
    return folder


def test_a_given_port_wins_over_the_recorded_one(state: Path) -> None:
    StackSettings(state, aws_port=5000, cloud_port=5001).record()
    assert (resolve().aws_port, resolve().cloud_port) == (5000, 5001)
    assert (resolve(aws_port=6000).aws_port, resolve(aws_port=6000).cloud_port) == (6000, 5001)


def test_recording_keeps_what_others_recorded(state: Path) -> None:
    settings = StackSettings(state)
    settings.record(endpoint="http://127.0.0.1/api")
    settings.record(seeded="a digest")
    assert settings.recorded()["endpoint"] == "http://127.0.0.1/api"


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("network", ["10.0.0.0/16", "127.1", "nonsense"])
def test_guests_live_on_loopback_only(network: str) -> None:
    with pytest.raises(StackError, match=r"127\.0\.0\.0/8"):
        resolve(guest_network=network)


def test_secrets_are_made_once_and_for_their_owner_only(state: Path) -> None:
    settings = StackSettings(state)
    secrets = load_secrets(settings)
    assert load_secrets(settings) == secrets
    assert stat.S_IMODE((state / "secrets.json").stat().st_mode) == 0o600
    assert {*secrets.credentials(), *RINGS} == set(parameters.NAMES)
    passwords = [each.password for each in secrets.credentials().values()]
    assert secrets.admin_password not in passwords


def test_a_deployments_id_is_made_once_also_for_secrets_that_are_older(
    state: Path, tmp_path: Path
) -> None:
    settings = StackSettings(state)
    made = load_secrets(settings)
    assert load_secrets(StackSettings(tmp_path / "other")).deployment_id != made.deployment_id
    file = state / "secrets.json"
    older = json.loads(file.read_text())
    del older["deployment_id"]
    file.write_text(json.dumps(older))
    mended = load_secrets(settings)
    assert mended.admin_password == made.admin_password
    assert load_secrets(settings).deployment_id == mended.deployment_id


def test_a_broken_record_is_told_with_what_to_do(state: Path) -> None:
    state.mkdir()
    (state / "config.json").write_text("{")
    with pytest.raises(StackError) as raised:
        resolve()
    assert "Remove it" in raised.value.advice


def test_the_state_is_here_when_others_can_enter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COFFER_STATE", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "others_can_enter", lambda _: True)
    assert state_folder() == tmp_path / ".coffer"


def test_the_state_of_root_is_elsewhere_when_the_database_user_cannot_enter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COFFER_STATE", raising=False)
    closed = tmp_path / "closed" / "project"
    closed.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.chdir(closed)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not others_can_enter(closed)
    assert state_folder().parent == Path("/var/tmp")
    assert state_folder() == state_folder()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert state_folder() == closed / ".coffer"


def test_two_commands_do_not_work_on_one_state_folder(state: Path) -> None:
    with exclusive(state), pytest.raises(BusyError, match=str(os.getpid())), exclusive(state):
        pytest.fail("the lock was given twice")
    with exclusive(state):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts databases as another user")
def test_a_state_folder_that_the_database_cannot_enter_is_told_before_anything_starts(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = coffer(closed / "state", "up")
    assert done.returncode == 1
    assert "cannot enter" in done.stderr
    assert "chmod o+x" in done.stderr
    assert not (closed / "state" / "config.json").exists()
