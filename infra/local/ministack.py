"""The embedded AWS: MiniStack in an environment of its own, bound to loopback."""

import shutil
from pathlib import Path
from typing import Final

import requests

from infra.local.processes import PartProcess, require_free
from infra.local.settings import HOST, REGION, StackSettings
from infra.package import tools

REQUIREMENTS: Final = Path(__file__).with_name("ministack-requirements.txt")
EMULATOR: Final = Path(__file__).with_name("emulator.py")
START_TIMEOUT_SECONDS: Final = 60.0
# It keeps nothing that outlives it here, so there is nothing to wait for.
GRACE_SECONDS: Final = 0.5
WARM_SECONDS: Final = 60


def process(settings: StackSettings) -> PartProcess:
    """MiniStack as a part of the stack."""
    return PartProcess("MiniStack", settings.ministack, settings.state, grace_seconds=GRACE_SECONDS)


def ensure_installed(cache: Path) -> Path:
    """The folder of MiniStack's virtual environment, made once for each requirements file."""
    return tools.environment("ministack", REQUIREMENTS, cache)


def start(settings: StackSettings, cache: Path) -> PartProcess:
    """Start MiniStack and wait until it answers. Its state lives as long as the process."""
    require_free(settings.aws_port, "--aws-port")
    folder = ensure_installed(cache)
    temporary = settings.ministack / "tmp"
    # Code of Lambda workers that were killed: nobody else removes it.
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    environment = {
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(settings.aws_port),
        "MINISTACK_REGION": REGION,
        # Handlers and guests get their roles' sessions, and the policies in infra/policies decide.
        "AUTH": "true",
        "TMPDIR": str(temporary),
        # A burst's workers are given back soon: each holds some 70 MiB.
        "LAMBDA_WARM_TTL_SECONDS": str(WARM_SECONDS),
        "STATE_DIR": str(settings.ministack / "state"),
        "S3_DATA_DIR": str(settings.ministack / "s3"),
    }
    part = process(settings)
    # -P: the folder of this file, which has MiniStack's name too, is no place to import from.
    command = [str(folder / "bin" / "python"), "-P", str(EMULATOR)]
    part.start(command, environment, settings.ministack)
    part.wait_until(lambda: answers(settings), START_TIMEOUT_SECONDS)
    return part


def answers(settings: StackSettings) -> bool:
    """Whether MiniStack's health page answers."""
    try:
        return requests.get(f"{settings.aws_url}/_ministack/health", timeout=2).ok
    except requests.RequestException:
        return False
