"""The flow `delete_backup`: its objects go, then its row says so."""

from __future__ import annotations

from typing import Final

from chalicelib.store import backups
from chalicelib.store.models import Operation
from functions import removing_objects
from functions.outcomes import Done, Outcome


def remove(operation: Operation, _: str | None) -> Outcome:
    """Remove all that lies below its location, and see that nothing is left."""
    row = backups.find_backup(operation.subject_id)
    return Done() if row is None else removing_objects.below(operation, row.location)


STEPS: Final = {"remove": remove}
