"""Checks the packaged template and the workflows (`python -m infra.package.lint`).

Checkov sees the template as an account gets it by default, with its conditions decided, for it
reads none. What it finds and what stays so is excepted in the resource's metadata, with the reason.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from infra.errors import PackageError
from infra.local.settings import REGION, cache_folder
from infra.package import tools
from infra.package.build import build
from infra.package.conditions import Chosen
from infra.package.sources import PROJECT_ROOT

TIMEOUT_SECONDS: Final = 300
TOOLS: Final = Path(__file__).with_name("lint-requirements.txt")
WORKFLOWS: Final = ".github/workflows"
LONG_TEXTS: Final = frozenset(
    {"DashboardBody", "DefinitionBody", "DefinitionString", "GatewayResponses"}
)
"""Properties that no check reads and that take checkov three quarters of its time."""


def main() -> int:
    """Build (from the cache when nothing changed) and check; not 0 when one finds something."""
    cache = cache_folder()
    try:
        template = build(PROJECT_ROOT, cache).template
        tools_bin = tools.environment("lint", TOOLS, cache) / "bin"
    except PackageError as error:
        sys.stderr.write(f"{error.message}\n{error.advice}\n")
        return 1
    decided = template.with_name("decided.json")
    decided.write_text(json.dumps(as_deployed(json.loads(template.read_text()))))
    workflows = [str(file) for file in sorted((PROJECT_ROOT / WORKFLOWS).glob("*.yml"))]
    commands = (
        [
            *(str(Path(sys.executable).with_name("cfn-lint")), "--regions", REGION),
            *("--", str(template)),
        ],
        [
            *(str(tools_bin / "checkov"), "--file", str(decided), *workflows),
            *("--framework", "cloudformation", "github_actions"),
            *("--compact", "--quiet", "--skip-download"),
        ],
        [
            *(str(tools_bin / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows"),
            *workflows,
        ],
    )
    with ThreadPoolExecutor() as pool:
        return max(pool.map(_run, commands))


def as_deployed(template: dict[str, Any]) -> dict[str, Any]:
    """The template as an account gets it by default, without its long texts."""
    resources = Chosen(template).resources
    for resource in resources.values():
        properties = resource.get("Properties", {})
        resource["Properties"] = {
            name: value for name, value in properties.items() if name not in LONG_TEXTS
        }
    return template | {"Resources": resources}


def _run(command: list[str]) -> int:
    done = subprocess.run(
        command, timeout=TIMEOUT_SECONDS, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
