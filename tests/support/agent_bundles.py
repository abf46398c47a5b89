"""Bundles of the guest agent like those of `coffer image`, but for their wheels.

Their installer makes an environment that finds the sources here, broken as a test wants.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
INSTALLER: Final = """#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
release=$2/releases/$(cat "$here/VERSION")
rm -rf "$release"
"$PYTHON" -m venv --without-pip "$release"
cp "$here"/site/* "$release"/lib/python3*/site-packages/
touch "$release/complete"
"""
SOUND: Final = ""
DIES: Final = "import os; os._exit(0)"
"""As if it had nothing to do any more: no supervisor may believe that."""
SILENT: Final = "import time, guest_agent.loop as loop; loop.run = lambda _: time.sleep(600)"


def packed(version: str, breaks: str = SOUND) -> bytes:
    """A bundle of that version with that fault in it."""
    found = [str(REPOSITORY), *(each for each in sys.path if each.endswith("site-packages"))]
    files = {
        "VERSION": f"{version}\n",
        "install.sh": INSTALLER,
        "site/sources.pth": "\n".join(found),
        "site/sitecustomize.py": breaks,
    }
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        folder = tarfile.TarInfo("bundle")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name, text in files.items():
            member = tarfile.TarInfo(f"bundle/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return whole.getvalue()
