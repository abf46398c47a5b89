"""Builds what would be deployed and says where it lies: `python -m infra.package`."""

import sys

from infra.errors import PackageError
from infra.local.settings import cache_folder
from infra.package.build import build
from infra.package.sources import PROJECT_ROOT


def main() -> int:
    """Build, from the cache when nothing has changed."""
    try:
        template = build(PROJECT_ROOT, cache_folder()).template
    except PackageError as error:
        sys.stderr.write(f"{error.message}\n{error.advice}\n")
        return 1
    sys.stdout.write(f"{template.parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
