"""Telling a guest at once for which archive its log is kept; its credentials tell it, too.

So nothing depends on it: a guest that does not hear, or a request that ends here, costs half an
hour of log, and not the archive.
"""

from __future__ import annotations

import logging
from typing import Final

from chalicelib.bus import commands, contract
from chalicelib.bus.ability import require_able, require_heard
from chalicelib.bus.contract import arguments
from chalicelib.conductor.logs_archived import as_told
from chalicelib.errors import CofferError
from chalicelib.lifecycle import READY, ServiceStatus
from chalicelib.store import archives, instances

_ANSWERING: Final = READY | {ServiceStatus.RUNNING}
"""A volume that is full may be so by the log that is not wanted any more."""

log = logging.getLogger(__name__)


def tell(instance_id: str, until: float) -> None:
    """Tell it by then what its instance wants now, and note it when this waits for a restart."""
    instance = instances.find_instance(instance_id)
    if instance is None:
        return
    row = archives.find_archive(instance.archive_id) if instance.archive_id else None
    try:
        require_able(instance, [contract.KEEP_LOG])
        if require_heard(instance) not in _ANSWERING:
            return
        wanted = arguments.KeepLog(as_told(row))
        answer = commands.call(instance, contract.KEEP_LOG, wanted, until=until)
    except CofferError as error:
        log.warning("the guest was not told of its archive: %s", error.message)
        return
    if answer.restart_required and row is not None:
        archives.note_restart(instance, row)
