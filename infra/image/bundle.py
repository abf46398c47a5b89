"""The guest agent as one file: its wheel, the wheels that it needs, its unit and an installer.

A server installs it without a network, and whoever hands it on hands on one digest. Of the control
plane it holds the modules that the agent imports and no others. The same sources make the same
bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Final, NamedTuple

from infra.errors import PackageError
from infra.package.sources import digest_of, source_files

NAME: Final = "coffer-guest-agent"
AGENT: Final = "guest_agent"
DATA: Final = "chalicelib/engines/parameters"
"""What the modules read beside themselves."""
GUEST_FILES: Final = "infra/image/guest"
REQUIRED: Final = ("cryptography", "msgspec", "PyMySQL", "pg8000", "urllib3", "zstandard")
PYTHON_VERSION: Final = "3.11"
"""Debian 12's. The wheels with machine code are for one version."""
PLATFORM_TAG: Final = "manylinux2014_{machine}"
PIP_SECONDS: Final = 300
_EPOCH: Final = 315532800  # 1980, the first time that a zip can hold


class Bundle(NamedTuple):
    """A bundle, and what identifies it."""

    file: Path
    version: str
    sha256: str


def make(root: Path, folder: Path, python: str = PYTHON_VERSION) -> Bundle:
    """Make the bundle of the sources below `root` in a folder; `PackageError` with pip's words."""
    version = _version(root, python)
    with tempfile.TemporaryDirectory(prefix="coffer-bundle-") as scratch:
        inside = Path(scratch) / f"{NAME}-{version}"
        wheels = inside / "wheels"
        wheels.mkdir(parents=True)
        _build_wheel(root, version, Path(scratch) / "project", wheels)
        _download(root, wheels, python)
        for file in source_files(root, [GUEST_FILES]):
            shutil.copy(file, inside / file.name)
        (inside / "VERSION").write_text(f"{version}\n")
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{inside.name}.tar.gz"
        _pack(inside, target)
    return Bundle(target, version, hashlib.sha256(target.read_bytes()).hexdigest())


def read(file: Path) -> Bundle:
    """The bundle in a file; `PackageError` when it is none."""
    try:
        with tarfile.open(file) as archive:
            first = archive.next()
            found = archive.extractfile(f"{first.name}/VERSION") if first else None
            version = found.read().decode().strip() if found else ""
    except (OSError, KeyError, tarfile.TarError, UnicodeDecodeError):
        version = ""
    if not version:
        raise PackageError(f"{file} is no bundle of the guest agent.", "coffer image makes one.")
    return Bundle(file, version, hashlib.sha256(file.read_bytes()).hexdigest())


def modules(root: Path) -> Iterator[Path]:
    """The files of the agent: all of its package, what that imports of others, and the rules."""
    yield from source_files(root, [AGENT])
    finder = ModuleFinder(path=[str(root)])
    finder.run_script(str(root / AGENT / "__main__.py"))
    found = (getattr(module, "__file__", None) for module in finder.modules.values())
    for path in sorted(Path(name) for name in found if name):
        if path.relative_to(root).parts[0] != AGENT:
            yield path
    yield from sorted((root / DATA).glob("*.json"))


def _version(root: Path, python: str) -> str:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = [str(file.relative_to(root)) for file in modules(root)]
    pins = "requirements-dev.txt"
    digest = digest_of(root, [*names, GUEST_FILES, pins], python, platform.machine())
    return f"{project['version']}+{digest[:8]}"


def _build_wheel(root: Path, version: str, project: Path, wheels: Path) -> None:
    for file in modules(root):
        copy = project / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{NAME}"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
        f"dependencies = {list(_pins(root))}\n"
        '[tool.setuptools.packages.find]\ninclude = ["*"]\n'
        '[tool.setuptools.package-data]\n"*" = ["*.cnf", "*.json"]\n'
    )
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(project))


def _download(root: Path, wheels: Path, python: str) -> None:
    _pip(
        *("download", "--only-binary=:all:", "--implementation", "cp", "--dest", str(wheels)),
        *("--python-version", python, "--constraint", str(root / "requirements-dev.txt")),
        *("--platform", PLATFORM_TAG.format(machine=platform.machine()), *_pins(root)),
    )


def _pins(root: Path) -> Iterator[str]:
    for line in (root / "requirements-dev.txt").read_text().splitlines():
        if line.partition("==")[0] in REQUIRED:
            yield line


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH)},
    )
    if done.returncode != 0:
        last_words = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise PackageError(
            f"pip could not {arguments[0]} what the guest agent needs:\n{last_words}",
            "Check that pip reaches its package index, then run the command again.",
        )


def _pack(inside: Path, target: Path) -> None:
    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid, member.uname, member.gname = _EPOCH, 0, 0, "", ""
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=_EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in (inside, *sorted(inside.rglob("*"))):
            name = str(path.relative_to(inside.parent))
            archive.add(path, name, recursive=False, filter=anonymous)
