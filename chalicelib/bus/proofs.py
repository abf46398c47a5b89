"""The texts that a guest signs with its key when it enrols and when it renews.

Both sides import it. Each text begins with its purpose and release, so that a signature for one is
none for another; its parts hold no line break.
"""

from __future__ import annotations

import hashlib


def of_enrolment(token: str, public_key: str, server_id: str, issued_at_ms: int) -> bytes:
    """That whoever has the token has the private key too; of the token only its hash is in it."""
    token_hash = hashlib.sha256(token.encode()).hexdigest()
    return _text("coffer-enrol/1", token_hash, public_key, server_id, issued_at_ms)


def of_renewal(instance_id: str, generation: int, issued_at_ms: int, start: bool) -> bytes:
    """That the enrolled guest asks, and whether it starts."""
    return _text("coffer-renew/1", instance_id, generation, issued_at_ms, int(start))


def of_storage(
    instance_id: str, generation: int, issued_at_ms: int, backup_id: str, attempt: str | None = None
) -> bytes:
    """That the enrolled guest asks for what it needs to write a backup, or to read it; in a
    container it says in which attempt it writes."""
    text = _text("coffer-storage/1", instance_id, generation, issued_at_ms, backup_id)
    return text if attempt is None else text + b"\n" + attempt.encode()


def of_pieces(
    instance_id: str, generation: int, issued_at_ms: int, archive_id: str, behind: str
) -> bytes:
    """That the enrolled guest asks which pieces of an archive lie behind a name."""
    return _text("coffer-pieces/1", instance_id, generation, issued_at_ms, archive_id, behind)


def _text(*parts: str | int) -> bytes:
    return "\n".join(map(str, parts)).encode()
