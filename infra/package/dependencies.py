"""The third-party part of a Lambda package: wheels for the runtime, without what it has already.

Installed once for each content of the requirements file and kept in the cache folder.
"""

import compileall
import hashlib
import os
import platform
import py_compile
import shutil
import sys
from pathlib import Path

from infra import commands
from infra.package import tools

# The Lambda runtime for Python 3.11 is Amazon Linux 2 (glibc 2.26): newer wheels don't load there.
PLATFORM_TAG = "manylinux2014_{machine}"
PYTHON_VERSION = "3.11"
INSTALL_TIMEOUT_SECONDS = 300

# boto3, its data and its own dependencies come with the runtime; setuptools is named by pbr and not
# imported by it, cffi by cryptography (whose own extension is loaded instead).
IN_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil")
NOT_NEEDED = ("setuptools", "pkg_resources", "_distutils_hack", "cffi", "pycparser", "bin")


def lambda_architecture() -> str:
    """The architecture of both packages: this machine's, so that the emulator can run them."""
    return "arm64" if platform.machine() == "aarch64" else "x86_64"


def install(requirements: Path, constraints: Path, cache: Path) -> Path:
    """Return a folder with the pruned dependencies of `requirements`, built when missing.

    Raises PackageError with pip's last words.
    """
    target = cache / f"{requirements.stem}-{_digest(requirements, constraints)}"
    if target.is_dir():
        return target
    building = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.parent.mkdir(parents=True, exist_ok=True)
    _pip_install(requirements, constraints, building)
    _prune(building)
    compile_all(building)
    try:
        building.rename(target)
    except OSError:
        # Another `coffer up` finished the same folder first: its content is the same.
        shutil.rmtree(building)
    return target


def compile_all(folder: Path) -> None:
    """Add byte code that is valid whatever the files' times: a package is read-only on Lambda."""
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(folder),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _digest(requirements: Path, constraints: Path) -> str:
    total = hashlib.sha256(platform.machine().encode())
    for file in (
        *sorted(requirements.parent.glob("requirements*.txt")),
        constraints,
        Path(__file__),
    ):
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def _pip_install(requirements: Path, constraints: Path, target: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--target", str(target), "--only-binary=:all:", "--implementation", "cp"),
        *("--platform", PLATFORM_TAG.format(machine=platform.machine())),
        *("--python-version", PYTHON_VERSION),
        *("--requirement", str(requirements), "--constraint", str(constraints)),
    ]
    commands.run(
        command,
        f"pip could not install {requirements.name} for Lambda",
        tools.PIP_ADVICE,
        seconds=INSTALL_TIMEOUT_SECONDS,
    )


def _prune(folder: Path) -> None:
    for name in (*IN_THE_RUNTIME, *NOT_NEEDED):
        for path in (folder / name, *folder.glob(f"{name}-*.dist-info")):
            shutil.rmtree(path, ignore_errors=True)
    for path in list(folder.rglob("*")):
        unwanted_folder = path.name in {"__pycache__", "tests"} and path.is_dir()
        if unwanted_folder:
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix in {".pyi", ".pth", ".pyx", ".c", ".h"} or path.name == "RECORD":
            path.unlink(missing_ok=True)
