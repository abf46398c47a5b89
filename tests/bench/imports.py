"""Cold starts: the import time of each package's entry points, and the zips' sizes."""

from __future__ import annotations

import statistics
import subprocess
import zipfile
from pathlib import Path

ENTRIES = {
    "api, conductor, dispatcher, …": ("deployment.zip", "app"),
    "taskmanager": ("functions.zip", "functions.handler"),
    "taskmanager-cloud (first cloud call)": (
        "functions.zip",
        "functions.handler, openstack.connection, openstack.compute.v2._proxy, "
        "openstack.block_storage.v3._proxy, openstack.network.v2._proxy",
    ),
}
PROGRAM = (
    "import time; began = time.perf_counter(); import {modules}; "
    "print(round((time.perf_counter() - began) * 1000))"
)


def import_ms(python: Path, folder: Path, modules: str, runs: int) -> float:
    """Median import time in ms over fresh processes, bytecode compiled."""
    environment = {"PYTHONPATH": str(folder), "AWS_DEFAULT_REGION": "us-east-1"}
    command = [str(python), "-c", PROGRAM.format(modules=modules)]
    times = []
    for _ in range(runs + 1):
        done = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
    return statistics.median(times[1:])


def unpack(build: Path, name: str, into: Path) -> Path:
    """Unpack a zip of the build."""
    folder = into / name.removesuffix(".zip")
    with zipfile.ZipFile(build / name) as archive:
        archive.extractall(folder)
    return folder
