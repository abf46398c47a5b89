"""The documentation's site: the pages of docs/, the README in front, the API from its own document.

    python -m infra.package.docs        (make docs)

Strict: a link or an anchor that leads nowhere, and a page that no reader comes to, end it.
"""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.api.application import ROUTES
from chalicelib.api.openapi import document
from infra import commands
from infra.errors import PackageError
from infra.package import api_docs, tools

ROOT: Final = Path(__file__).resolve().parents[2]
REQUIREMENTS: Final = Path(__file__).with_name("docs-requirements.txt")
BUILD_TIMEOUT_SECONDS: Final = 300
DOCUMENT: Final = "openapi.json"


def gather(pages: Path) -> None:
    """Put all pages into a new folder, as the site has them."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    front = (ROOT / "README.md").read_text()
    (pages / "index.md").write_text(re.sub(r"\]\(docs/", "](", front))
    for page in pages.glob("*.md"):
        page.write_text(page.read_text().replace("](../README.md", "](index.md"))
    told = document(ROUTES)
    (pages / DOCUMENT).write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    (pages / "api.md").write_text(api_docs.page(msgspec.to_builtins(told)))


def build() -> Path:
    """The folder of the site. Raises PackageError with what mkdocs complains of."""
    cache = ROOT / ".cache"
    tool = tools.environment("docs", REQUIREMENTS, cache)
    gather(cache / "docs")
    commands.run(
        [str(tool / "bin" / "python"), "-m", "mkdocs", "build", "--strict", "--quiet"],
        "The site was not built",
        "Mend the pages that are named.",
        seconds=BUILD_TIMEOUT_SECONDS,
        # Its theme prints an advertisement for a successor.
        environment={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        folder=ROOT,
    )
    return cache / "site"


def main() -> int:
    """Build it, and say where it is."""
    try:
        site = build()
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{site / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
