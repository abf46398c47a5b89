"""The keys that backups and logs are encrypted with: one for each, kept in its row, sealed.

    3.…             by a key made of the ring, bound to what it is of    before projects had keys
    project:3.…     by a key made of the ring for its project,           since then
                    bound to the project and to what it is of

The ring is `backup-keys`, of which no version is retired: each form is opened for good. What is
sealed for one project is opened for no other, also when its text lies in a row of that one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from chalicelib import aws, parameters
from chalicelib.bus import keys
from chalicelib.store.models import Archive, Backup

KEY_BYTES: Final = 32
OF_PROJECT: Final = "project:"


class Kind(StrEnum):
    """What a key is of; a part of what its sealing key is made of."""

    BACKUP = "backup"
    LOG = "log"


class Owner(NamedTuple):
    """What a key is of, and whose that is."""

    kind: Kind
    tenant_id: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def owner_of(row: Backup | Archive) -> Owner:
    """Whose key a row keeps."""
    return Owner(Kind.LOG if isinstance(row, Archive) else Kind.BACKUP, row.tenant_id, row.id)


def new_key(owner: Owner) -> str:
    """A new key, as a row keeps it."""
    return sealed(owner, aws.token_bytes(KEY_BYTES))


def sealed(owner: Owner, plain: bytes) -> str:
    """A key as a row keeps it."""
    purpose, context = _bound_to(owner)
    return OF_PROJECT + keys.protect(purpose, context, plain, parameters.BACKUP_KEYS)


def opened(owner: Owner, text: str) -> bytes:
    """The key that a row keeps.

    Raises `BadSeal` when it is of another owner or of a ring that is lost, and `NotYetKnown`.
    """
    if not text.startswith(OF_PROJECT):
        return keys.reveal(owner.kind, owner.id, text, parameters.BACKUP_KEYS)
    purpose, context = _bound_to(owner)
    return keys.reveal(purpose, context, text.removeprefix(OF_PROJECT), parameters.BACKUP_KEYS)


def _bound_to(owner: Owner) -> tuple[str, str]:
    """What the key of a project is made of beside the ring, and what it binds a key to."""
    return f"{owner.kind}/{owner.tenant_id}", f"{owner.tenant_id}/{owner.id}"
