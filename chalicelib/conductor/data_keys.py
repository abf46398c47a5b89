"""The keys that backups and logs are encrypted with: one for each, kept in its row, sealed.

    3.…             by a key made of the ring, bound to what it is of    before projects had keys
    project:3.…     by a key made of the ring for its project,           where the ring seals
                    bound to the project and to what it is of
    kms:…           by KMS under the deployment's key, bound to the      where that key seals
                    same and to the deployment

The ring is `backup-keys`, of which no version is retired, and the key is kept: each form is opened
for good, whichever seals what is new. What is sealed for one project is opened for no other, also
when its text lies in a row of that one.
"""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import Final, NamedTuple

from chalicelib import aws, kms, parameters
from chalicelib.bus import keys
from chalicelib.bus.envelope import BadSeal
from chalicelib.settings import settings
from chalicelib.store.models import Archive, Backup

KEY_BYTES: Final = 32
OF_PROJECT: Final = "project:"
BY_KMS: Final = "kms:"


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
    """A new key, as a row keeps it; `Unavailable` while KMS is away."""
    if settings().seal_backups_with == "key":
        return BY_KMS + base64.b64encode(kms.new_key(_context(owner))).decode()
    return sealed(owner, aws.token_bytes(KEY_BYTES))


def sealed(owner: Owner, plain: bytes) -> str:
    """A key as a row keeps it that the ring has sealed."""
    purpose, context = _bound_to(owner)
    return OF_PROJECT + keys.protect(purpose, context, plain, parameters.BACKUP_KEYS)


def opened(owner: Owner, text: str) -> bytes:
    """The key that a row keeps.

    Raises `BadSeal` when it is of another owner, or of a ring that is lost; `NotYetKnown`, and
    `Unavailable` while KMS is away.
    """
    if text.startswith(BY_KMS):
        return kms.opened(_blob(text.removeprefix(BY_KMS)), _context(owner))
    if not text.startswith(OF_PROJECT):
        return keys.reveal(owner.kind, owner.id, text, parameters.BACKUP_KEYS)
    purpose, context = _bound_to(owner)
    return keys.reveal(purpose, context, text.removeprefix(OF_PROJECT), parameters.BACKUP_KEYS)


def _bound_to(owner: Owner) -> tuple[str, str]:
    """What the key of a project is made of beside the ring, and what it binds a key to."""
    return f"{owner.kind}/{owner.tenant_id}", f"{owner.tenant_id}/{owner.id}"


def _context(owner: Owner) -> dict[str, str]:
    """What KMS binds a key to, and writes down whenever it is opened."""
    deployment = settings().deployment_id
    return {"deployment": deployment, "project": owner.tenant_id, owner.kind.value: owner.id}


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadSeal("not a key of KMS") from None
