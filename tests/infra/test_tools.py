"""The environments of tools: one for each content of its list, whole or not there.

Nothing is installed: `make test` runs with such environments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra import commands
from infra.errors import PackageError
from infra.package.tools import environment


class Commands:
    """What would make an environment and install into it."""

    def __init__(self) -> None:
        self.installed: list[list[str]] = []
        self.fails = False

    def run(self, command: list[str], *_: Any, **__: Any) -> None:
        if "venv" in command:
            Path(command[-1]).mkdir()
        elif self.fails:
            raise PackageError("it could not be installed", "try again")
        else:
            self.installed.append(command)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands()
    monkeypatch.setattr(commands, "run", made.run)
    return made


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("tool==1\n")
    return file


def test_a_changed_list_has_an_environment_of_its_own(
    made: Commands, tmp_path: Path, wanted: Path
) -> None:
    """Who runs in the first one keeps it."""
    first = environment("tool", wanted, tmp_path / "cache")
    (first / "used").touch()
    assert environment("tool", wanted, tmp_path / "cache") == first
    wanted.write_text("tool==2\n")
    assert environment("tool", wanted, tmp_path / "cache") != first
    assert (first / "used").exists()
    assert len(made.installed) == 2


def test_one_that_was_moved_is_made_anew(made: Commands, tmp_path: Path, wanted: Path) -> None:
    """Its commands name the folder that it was made in."""
    first = environment("tool", wanted, tmp_path / "cache")
    (tmp_path / "cache").rename(tmp_path / "moved")
    assert environment("tool", wanted, tmp_path / "moved").name != first.name
    assert len(made.installed) == 2


def test_one_whose_installation_failed_is_not_there(
    made: Commands, tmp_path: Path, wanted: Path
) -> None:
    made.fails = True
    with pytest.raises(PackageError):
        environment("tool", wanted, tmp_path / "cache")
    made.fails = False
    folder = environment("tool", wanted, tmp_path / "cache")
    assert len(made.installed) == 1
    assert environment("tool", wanted, tmp_path / "cache") == folder
    assert len(made.installed) == 1


@pytest.mark.parametrize("whole", [False, True])
def test_of_a_whole_list_pip_looks_for_nothing_else(
    made: Commands, tmp_path: Path, wanted: Path, whole: bool
) -> None:
    environment("tool", wanted, tmp_path / "cache", whole=whole)
    assert ("--no-deps" in made.installed[0]) is whole
