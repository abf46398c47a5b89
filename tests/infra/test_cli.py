"""The command line: help that suffices, errors that say what to do next."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli import COMMANDS
from infra.cli.console import failing_clearly

BOUND_SECONDS = 60


def coffer(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a state folder."""
    return subprocess.run(
        [sys.executable, "-c", "from infra.cli import main; main()", *arguments],
        env={
            "COFFER_STATE": str(state),
            "PATH": "/usr/bin:/bin",
            "HOME": str(state),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
    )


def test_help_lists_every_command_and_loads_no_api_for_it(tmp_path: Path) -> None:
    """What composes a template has the API's routes, and so all that the API stands on."""
    done = coffer(tmp_path, "--help", PYTHONPROFILEIMPORTTIME="1")
    assert all(name in done.stdout for name in COMMANDS)
    assert "infra.deploy\n" in done.stderr
    assert "chalicelib.api\n" not in done.stderr


@pytest.mark.parametrize("name", ["openrc", "logs"])
def test_without_a_stack_a_command_says_how_to_get_one(tmp_path: Path, name: str) -> None:
    done = coffer(tmp_path, name)
    assert done.returncode == 1
    assert "coffer up" in done.stderr
    assert done.stdout == ""


def test_down_without_a_stack_is_no_error(tmp_path: Path) -> None:
    done = coffer(tmp_path / "nothing", "down")
    assert done.returncode == 0
    assert "No stack is up" in done.stdout
    assert not (tmp_path / "nothing").exists()


def test_status_without_a_stack_fails_and_shows_the_parts(tmp_path: Path) -> None:
    done = coffer(tmp_path, "status")
    assert done.returncode == 1
    assert "MiniStack" in done.stdout


def test_an_unknown_part_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    done = coffer(tmp_path, "logs", "nope")
    assert done.returncode == 1
    assert "taskmanager-cloud" in done.stderr


def test_a_parameter_without_a_value_is_refused(tmp_path: Path) -> None:
    done = coffer(tmp_path, "up", "--parameter", "HeartbeatSeconds")
    assert done.returncode == 1
    assert "NAME=VALUE" in done.stderr


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_disk_and_a_closed_folder_are_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], code: int
) -> None:
    with pytest.raises(SystemExit) as ended, failing_clearly():
        raise OSError(code, os.strerror(code), "/there/build.zip")
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert f"/there/build.zip: {os.strerror(code)}" in said
    assert "run it again" in said
    with pytest.raises(ChildProcessError), failing_clearly():
        raise OSError(errno.ECHILD, "a defect of ours")
