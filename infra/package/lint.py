"""Checks the packaged template with cfn-lint (`python -m infra.package.lint`)."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from infra.errors import PackageError
from infra.local.settings import REGION, cache_folder
from infra.package.build import build
from infra.package.sources import PROJECT_ROOT

TIMEOUT_SECONDS: Final = 120


def main() -> int:
    """Build (from the cache when nothing changed) and lint; the exit code is cfn-lint's."""
    try:
        template = build(PROJECT_ROOT, cache_folder()).template
    except PackageError as error:
        sys.stderr.write(f"{error.message}\n{error.advice}\n")
        return 1
    linter = Path(sys.executable).with_name("cfn-lint")
    return subprocess.run(
        [str(linter), "--regions", REGION, "--", str(template)],
        timeout=TIMEOUT_SECONDS,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
