"""The replies that are kept with an Idempotency-Key: one a key, for a day.

A reply is written by the transaction that accepts what it tells of, so that there is neither one
without the other. DynamoDB removes what has expired within days: each look and each write decides
by the time itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pynamodb.exceptions import PutError
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.store.base import Claimed, ConditionFailed, condition_failed, update_if
from chalicelib.store.models import KeptReply

KEEP_SECONDS: Final = 86400


class Keeping:
    """A reply that is to be kept with its key. Clause: the key has none (the same request, asked
    twice at once), or none that is still kept."""

    def __init__(self, key_id: str, sealed: str, command_id: str | None = None) -> None:
        """`command_id` is the guest's command whose result decides, if the reply depends on it."""
        now = aws.clock()
        expires = datetime.fromtimestamp(int(now + KEEP_SECONDS), UTC)
        self._row = KeptReply(key_id, sealed=sealed, command_id=command_id, expires=expires)
        self._free = KeptReply.id.does_not_exist() | (
            KeptReply.expires <= datetime.fromtimestamp(int(now), UTC)
        )
        self.kept = False

    def put(self, write: TransactWrite) -> None:
        """Add the row to a transaction (`chalicelib.store.base.Claim`)."""
        write.save(self._row, condition=self._free)

    def taken(self) -> bool:
        """Whether the key has a reply meanwhile, perhaps the one that this was to be."""
        return find(self._row.id) is not None

    def put_alone(self) -> None:
        """Write the row by itself, where no transaction accepts anything; `Claimed`."""
        try:
            self._row.save(condition=self._free)
        except PutError as error:
            if condition_failed(error):
                raise Claimed from None
            raise
        self.kept = True


def find(key_id: str) -> KeptReply | None:
    """What is kept with a key, read consistently, or None."""
    try:
        row = KeptReply.get(key_id, consistent_read=True)
    except KeptReply.DoesNotExist:
        return None
    return row if row.expires.timestamp() > aws.clock() else None


def ask_anew(row: KeptReply, command_id: str) -> None:
    """Let another command decide, since the guest did nothing for the one before.

    Clause: that one still decides (two that try again at once). Raises `Claimed`.
    """
    try:
        update_if(
            row, [KeptReply.command_id.set(command_id)], KeptReply.command_id == row.command_id
        )
    except ConditionFailed:
        raise Claimed from None
