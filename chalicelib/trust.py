"""Whose certificates the cloud may have: those of the public authorities or the operator's own."""

from __future__ import annotations

import tempfile

from chalicelib import aws
from chalicelib.settings import settings


def authority() -> str | None:
    """The file with the operator's own authority; None where the public ones are trusted."""
    return aws.remembered("authority", _written)


def _written() -> str | None:
    if not (certificate := settings().os_cacert):
        return None
    # The libraries take a file; the container's own folder is the only place to write one.
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(certificate)
    return file.name
