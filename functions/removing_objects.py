"""Removing all of a backup from where it lies, some pages of it in each look.

As long as something goes, it goes on; what the store refuses, or is away for, is asked for again
until the bound of the step.
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import objects
from chalicelib.bus.contract.pieces import parsed
from chalicelib.store.models import Backup, Operation
from functions import container_objects
from functions.outcomes import Done, Outcome, not_yet

PAGES_AT_ONCE: Final = 5


def of(operation: Operation, row: Backup) -> Outcome:
    """Done when nothing of a backup is left; what was imported is its tenant's, and stays."""
    if row.imported is not None:
        return Done()
    if row.container_url is None:
        return _below(operation, row.location)
    return container_objects.remove(operation, row) or Done()


def _below(operation: Operation, location: str) -> Outcome:
    """Done when nothing is left; whatever the store refuses, or is not there for, comes again."""
    went = 0
    try:
        for _ in range(PAGES_AT_ONCE):
            page = objects.page(location)
            if not page.sizes:
                return Done()
            went += (now := objects.remove(list(page.sizes)))
            if now < len(page.sizes):
                break
    except (ClientError, BotoCoreError, OSError) as error:
        return not_yet(operation, _refused(error), progress=went > 0)
    return not_yet(operation, "its objects are being removed", progress=went > 0)


def pieces(operation: Operation, location: str, floor: int) -> Outcome:
    """Done when no piece of a log is left with a number up to that one."""
    went = 0
    try:
        for _ in range(PAGES_AT_ONCE):
            page = objects.page(location)  # the lowest numbers come first
            named = {key: parsed(key.rpartition("/")[2]) for key in page.sizes}
            going = [key for key, name in named.items() if name is None or name.number <= floor]
            if not going:
                return Done()
            went += (now := objects.remove(going))
            if now < len(going):
                break
            if len(going) < len(named):
                return Done()
    except (ClientError, BotoCoreError, OSError) as error:
        return not_yet(operation, _refused(error), progress=went > 0)
    return not_yet(operation, "pieces of the log are being removed", progress=went > 0)


def _refused(error: Exception) -> str:
    """What the store did not do, by a code, which quotes nothing."""
    if isinstance(error, ClientError):
        told = str(error.response["Error"]["Code"])
    else:
        told = str(error) if isinstance(error, OSError) else type(error).__name__
    return f"the object store refuses ({told})"
