"""Builds what is deployed: Chalice's package and template, and the task manager's zip.

A build is kept under the digest of its sources in the cache folder, so that the same sources are
built once. The third-party part goes in as Chalice's `vendor/` folder: `chalice package` would
otherwise fetch it anew each time.
"""

import contextlib
import json
import os
import shutil
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from infra import commands
from infra.package import dependencies
from infra.package.sources import (
    DEPLOYED,
    FROM_THE_PROJECT,
    PROJECT_ROOT,
    digest_of,
    source_files,
)
from infra.package.template import compose

CHALICE_STAGE = "api"
CHALICE_TIMEOUT_SECONDS = 120
KEPT_BUILDS = 4
ABANDONED_SECONDS = 3600


class Build(NamedTuple):
    """A finished build: its digest, the SAM template and the two zips."""

    digest: str
    template: Path
    chalice_zip: Path
    functions_zip: Path


def build(root: Path, cache: Path) -> Build:
    """Build the sources below `root`, or return the build of the same sources from the cache."""
    architecture = dependencies.lambda_architecture()
    digest = digest_of(root, DEPLOYED, architecture, sys.version)
    folder = cache / "builds" / digest
    finished = Build(
        digest, folder / "sam.json", folder / "deployment.zip", folder / "functions.zip"
    )
    if finished.template.exists():
        os.utime(folder)
        return finished
    building = folder.with_name(f"{digest}.{os.getpid()}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        _build_into(building, root, cache, architecture)
        # Another command may have finished the same build, and use it: then ours is thrown away.
        with contextlib.suppress(OSError):
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _forget_old(folder.parent)
    return finished


def _build_into(building: Path, root: Path, cache: Path, architecture: str) -> None:
    given = root / FROM_THE_PROJECT.relative_to(PROJECT_ROOT)
    constraints = given / "requirements-dev.txt"
    with ThreadPoolExecutor(max_workers=2) as pool:
        functions = pool.submit(
            dependencies.install, given / "requirements-functions.txt", constraints, cache
        )
        api = dependencies.install(given / "requirements.txt", constraints, cache)
        packed = pool.submit(_pack_functions, root, functions.result(), building / "functions.zip")
        _chalice_package(building, root, given / "chalice.json", api, architecture)
        packed.result()


def _chalice_package(
    building: Path, root: Path, config_file: Path, vendor: Path, architecture: str
) -> None:
    """Run `chalice package` on a copy of the project; leaves sam.json and deployment.zip."""
    stage = building / "project"
    _copy(root, stage, ("app.py", "chalicelib"))
    dependencies.compile_all(stage / "chalicelib")
    (stage / "requirements.txt").touch()
    (stage / "vendor").symlink_to(vendor.resolve())
    config = json.loads(config_file.read_text()) | {"architecture": architecture}
    (stage / ".chalice").mkdir()
    (stage / ".chalice" / "config.json").write_text(json.dumps(config))
    merge_template = building / "merge.json"
    merge_template.write_text(json.dumps(compose(root, architecture)))
    chalice = Path(sys.executable).with_name("chalice")
    command = [
        *(str(chalice), "--project-dir", str(stage), "package", "--stage", CHALICE_STAGE),
        *("--merge-template", str(merge_template), str(building)),
    ]
    environment = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ}
    commands.run(
        command,
        "chalice package failed",
        "The lines above name the file to look at (app.py is imported by this step).",
        seconds=CHALICE_TIMEOUT_SECONDS,
        environment=environment,
    )
    shutil.rmtree(stage)


def _pack_functions(root: Path, vendor: Path, target: Path) -> None:
    """Zip functions/ and chalicelib/ (with byte code) beside their dependencies."""
    stage = target.with_suffix("")
    _copy(root, stage, ("functions", "chalicelib"))
    dependencies.compile_all(stage)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        for folder in (vendor, stage):
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    package.write(file, file.relative_to(folder))
    shutil.rmtree(stage)


def _copy(root: Path, target: Path, names: tuple[str, ...]) -> None:
    for file in source_files(root, names):
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _forget_old(builds: Path) -> None:
    """Keep the builds that were used last; an old part was left by a command that was killed."""
    ages = {path: time.time() - path.stat().st_mtime for path in builds.iterdir()}
    finished = sorted((path for path in ages if path.suffix != ".part"), key=ages.__getitem__)
    abandoned = [path for path in ages if path.suffix == ".part" and ages[path] > ABANDONED_SECONDS]
    for old in (*finished[KEPT_BUILDS:], *abandoned):
        shutil.rmtree(old, ignore_errors=True)
