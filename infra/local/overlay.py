"""The template of a local stack: the one for AWS, and what only the tests of this machine set."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

import yaml

from infra.package.build import Build
from infra.package.template import Document, merge

OVERLAY: Final = Path(__file__).with_name("template.yaml")


def parameters() -> Document:
    """The parameters that are only here."""
    found: Document = yaml.safe_load(OVERLAY.read_text())["Parameters"]
    return found


def overlaid(built: Build) -> Build:
    """The build with the overlay merged into its template, under a digest of its own."""
    text = OVERLAY.read_text()
    digest = hashlib.sha256(f"{built.digest}\0{text}".encode()).hexdigest()[:16]
    template = built.template.with_name(f"local-{digest}.json")
    if not template.exists():
        document: dict[str, Any] = json.loads(built.template.read_text())
        merge(document, yaml.safe_load(text))
        part = template.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(document))
        part.replace(template)
    return built._replace(digest=digest, template=template)
