"""The guest image: its bundle holds what the agent imports, its unit is what user data starts."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from chalicelib.domain import user_data
from guest_agent.config import AGENT_FILE
from infra.errors import PackageError
from infra.image import bundle, disk
from infra.package.sources import PROJECT_ROOT

GUEST: Final = PROJECT_ROOT / bundle.GUEST_FILES
UNIT: Final = GUEST / "coffer-guest-agent.service"
HIDES_MOUNTS: Final = {
    *("BindPaths", "InaccessiblePaths", "MountFlags", "ReadOnlyPaths", "ReadWritePaths"),
    *("PrivateDevices", "PrivateMounts", "PrivateTmp", "ProcSubset", "RootDirectory"),
    *("ProtectControlGroups", "ProtectHome", "ProtectKernelLogs", "ProtectKernelModules"),
    *("ProtectKernelTunables", "ProtectProc", "ProtectSystem", "TemporaryFileSystem"),
}
"""What gives a unit a mount namespace of its own (systemd.exec(5))."""
MOST_EXPOSED: Final = 5.2
NOBODY: Final = 65_534
FINDS_AND_ENDS: Final = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from guest_agent.datastores import processes, tool
folder, program, pid = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
owner = os.stat(f"/proc/{pid}").st_uid
assert processes.at_work_in(folder, program, owner) == [pid]
assert "read_bytes" in tool._done_by(SimpleNamespace(pid=pid))
processes.kill_all_below(folder, owner)
"""
IMPORT_ALL: Final = """
import guest_agent, importlib, pkgutil, sys
for found in pkgutil.walk_packages(guest_agent.__path__, "guest_agent."):
    importlib.import_module(found.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip would do, without it: a wheel is a file."""

    def pip(*arguments: str) -> None:
        option = "--wheel-dir" if arguments[0] == "wheel" else "--dest"
        folder = Path(arguments[arguments.index(option) + 1])
        (folder / f"{arguments[0]}.whl").write_text("a wheel")

    monkeypatch.setattr(bundle, "_pip", pip)


def test_the_bundle_has_all_that_the_agent_imports_and_nothing_of_the_control_plane(
    tmp_path: Path,
) -> None:
    for file in bundle.modules(PROJECT_ROOT):
        copy = tmp_path / file.relative_to(PROJECT_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(ran.stdout.split())
    packages = metadata.packages_distributions()
    needed = {packages[name][0] for name in imported if name in packages}
    # msgspec takes the one where it is; the other is in each interpreter of its environment.
    needed -= {"coffer", "typing_extensions", "setuptools"}
    brought, left = set[str](), set(bundle.REQUIRED)
    while left:
        name = left.pop()
        brought.add(name)
        requires = metadata.requires(name) or []
        left |= {_name_of(each) for each in requires if "extra" not in each} - brought
    assert set(bundle.REQUIRED) <= needed <= brought
    assert not imported & {"functions", "infra", "simulator"}
    packed = {path.name for path in (tmp_path / "chalicelib").iterdir()}
    assert not packed & {"api", "auth", "cloud", "conductor", "store", "taskmanager"}


def _name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found[0]


@pytest.mark.usefixtures("no_wheels")
def test_the_same_sources_make_the_same_bundle(tmp_path: Path) -> None:
    first = bundle.make(PROJECT_ROOT, tmp_path / "one")
    again = bundle.make(PROJECT_ROOT, tmp_path / "two")
    assert (first.version, first.sha256) == (again.version, again.sha256)
    assert first.sha256 == hashlib.sha256(first.file.read_bytes()).hexdigest()
    assert bundle.make(PROJECT_ROOT, tmp_path, "3.12").version != first.version
    with tarfile.open(first.file) as archive:
        members = {member.name.partition("/")[2]: member for member in archive}
        assert {"VERSION", "install.sh", UNIT.name, "wheels/wheel.whl"} <= set(members)
        assert members["install.sh"].mode == 0o755
        assert {(member.uid, member.uname, member.mtime) for member in archive} == {
            (0, "", bundle._EPOCH)
        }


def test_an_image_holds_no_secret() -> None:
    names = {path.name for path in GUEST.iterdir()}
    assert names == {"install.sh", UNIT.name}
    for pattern in ("password", "token", "secret", "key"):
        assert not any(pattern in path.read_text().lower() for path in GUEST.iterdir())


class Unit(configparser.RawConfigParser):
    """A directive's name is as it is written."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit() -> dict[str, dict[str, str]]:
    """The last value of each directive of the unit."""
    parser = Unit(strict=False, delimiters=("=",))
    parser.read_string(UNIT.read_text())
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_unit_is_the_one_that_the_user_data_configures_and_starts() -> None:
    configuration = user_data.GuestConfiguration("i", 1, "u", "t", "mariadb", "10.11", "r", None)
    document = json.loads(user_data.for_guest(configuration).partition("\n")[2])
    (started,) = document["runcmd"]
    assert started[-1] == UNIT.stem
    assert document["write_files"][0]["path"] == unit()["Unit"]["ConditionPathExists"]
    assert unit()["Unit"]["ConditionPathExists"] == f"/{AGENT_FILE}"
    assert "base=/opt/coffer\n" in (GUEST / "install.sh").read_text()
    assert unit()["Service"]["ExecStart"].startswith("/opt/coffer/current/")


def test_the_sandbox_leaves_the_agent_its_mounts_and_the_database_its_life() -> None:
    service = unit()["Service"]
    assert not HIDES_MOUNTS & set(service)
    assert (service["KillMode"], service["OOMPolicy"]) == ("process", "continue")
    assert service["NoNewPrivileges"] == "yes"
    assert "MemoryDenyWriteExecute" not in service, "PostgreSQL compiles queries"
    assert "time-sync.target" in unit()["Unit"]["After"]


def test_the_sandbox_leaves_the_agent_the_sight_of_its_databases_processes(tmp_path: Path) -> None:
    """They are another user's, and root without a capability may not look at those."""
    is_root = os.geteuid() == 0
    program = shutil.which("sleep")
    assert program
    owner = NOBODY if is_root else None
    bounds = re.findall(r"CAP_(\w+)", " ".join(_lines_of("CapabilityBoundingSet")))
    bounded = [
        "setpriv",
        "--bounding-set",
        ",".join(["-all", *(f"+{each.lower()}" for each in bounds)]),
    ]
    with subprocess.Popen([program, "600"], cwd=tmp_path, user=owner, group=owner) as database:
        looks = [sys.executable, "-c", FINDS_AND_ENDS, str(tmp_path), program, str(database.pid)]
        try:
            subprocess.run([*(bounded if is_root else ()), *looks], cwd=PROJECT_ROOT, check=True)
            assert database.wait(60) == -signal.SIGKILL
        finally:
            database.kill()


def _lines_of(directive: str) -> list[str]:
    """All values of one that may stand several times."""
    return re.findall(rf"(?m)^{directive}=(.*)$", UNIT.read_text())


def test_systemd_takes_the_unit_and_finds_it_closed_enough() -> None:
    """On a machine without systemd the unit cannot be asked about, nor could it run."""
    analyze = shutil.which("systemd-analyze")
    assert analyze, "apt install systemd"
    exposed = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert exposed.returncode == 0, exposed.stdout + exposed.stderr


TOOLS: Final = ("python3", "mkfs.ext4", "resize2fs", "blkid", "mount", "setpriv", "systemctl")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((), "python3 is missing"),
        (TOOLS, "no database server is there"),
        ((*TOOLS, "mariadbd"), "mariadb-backup is missing"),
        ((*TOOLS, "mariadbd", "mariadb-backup"), "python3 -m venv does not work"),
        ((*TOOLS, "redis-server"), "python3 -m venv does not work"),
        ((*TOOLS, "postgresql/16/bin/postgres"), "python3 -m venv does not work"),
    ],
)
def test_the_installer_names_what_is_missing(
    tmp_path: Path, there: tuple[str, ...], said: str
) -> None:
    """Any engine will do; the next thing that is missing then is what the stand-in for Python has
    not."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for tool in ("dirname", "cat", "id", "sh", "rm", "mkdir"):
        found = shutil.which(tool)
        assert found
        (programs / tool).symlink_to(found)
    for tool in there:
        program = programs / tool
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\ncase $* in *venv*) exit 1 ;; esac\n")
        program.chmod(0o755)
    (tmp_path / "VERSION").write_text("1\n")
    script = (GUEST / "install.sh").read_text()
    for path, instead in (
        (":/usr/local/sbin:/usr/sbin:/sbin", ""),
        ("/usr/lib/postgresql", f"{programs}/postgresql"),
        ("base=/opt/coffer", f"base={tmp_path}/opt"),
    ):
        assert path in script
        script = script.replace(path, instead)
    (tmp_path / "install.sh").write_text(script)
    ran = subprocess.run(
        [str(programs / "sh"), str(tmp_path / "install.sh")],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert (said if os.geteuid() == 0 else "has to run as root") in ran.stderr


def test_a_disk_that_cannot_be_built_says_what_it_needs(tmp_path: Path) -> None:
    builder = tmp_path / disk.BUILDER
    builder.parent.mkdir(parents=True)
    builder.write_text("#!/bin/sh\necho 'build-debian: sfdisk is missing' >&2\nexit 1\n")
    builder.chmod(0o755)
    with pytest.raises(PackageError, match="sfdisk is missing") as error:
        disk.build(tmp_path, tmp_path / "bundle", tmp_path / "image")
    assert "debootstrap" in error.value.advice
