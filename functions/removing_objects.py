"""Removing all that lies below a location of the object store, some pages in each look."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import objects
from chalicelib.store.models import Operation
from functions.outcomes import Done, Outcome, Wait, not_yet

PAGES_AT_ONCE: Final = 5


def below(operation: Operation, location: str) -> Outcome:
    """Done when nothing is left; whatever the store refuses, or is not there for, comes again."""
    try:
        for _ in range(PAGES_AT_ONCE):
            page = objects.page(location)
            if not page.sizes:
                return Done()
            objects.remove(list(page.sizes))
    except (ClientError, BotoCoreError, OSError) as error:
        return not_yet(operation, f"the object store refuses ({_told(error)})")
    return Wait(1, note="its objects are being removed")  # soon: terabytes are hundreds of looks


def _told(error: Exception) -> str:
    """A code, which quotes nothing."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    return str(error) if isinstance(error, OSError) else type(error).__name__
