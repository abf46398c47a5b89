"""What the control plane lends for one backup: a place, credentials for it, and the data keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from chalicelib import aws
from guest_agent.backups.asking import Words, asked
from guest_agent.backups.store import StoreFailed
from guest_agent.enrolment import Credentials

KEY_BYTES: Final = 32


class Lent(msgspec.Struct, frozen=True):
    """`keys` are the data keys, in base64, by backup; `writes`: one may be written, else read."""

    writes: bool
    keys: dict[str, str]

    @property
    def ends_at(self) -> float:
        """When it is over, on the services' clock."""
        raise NotImplementedError

    def key_of(self, backup_id: str) -> bytes:
        """The key of a backup; `StoreFailed` when it is not among those that were lent."""
        try:
            key = base64.b64decode(self.keys.get(backup_id, ""), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise StoreFailed(f"the control plane has lent no key for the backup {backup_id}")
        return key


class Grant(Lent, frozen=True, kw_only=True):
    """A place in S3. Without an `endpoint` the bucket is the region's own."""

    bucket: str
    region: str
    endpoint: str | None
    credentials: Credentials

    def __repr__(self) -> str:
        return f"Grant(bucket={self.bucket!r}, writes={self.writes})"

    @property
    def ends_at(self) -> float:
        return self.credentials.expires_at.timestamp()


class LentContainer(msgspec.Struct, frozen=True):
    """Signatures of temporary URLs below a prefix of a container, by method, until a time."""

    url: str
    prefix: str
    signatures: dict[str, str]
    expires_at: int

    def __repr__(self) -> str:
        return f"LentContainer(url={self.url!r}, prefix={self.prefix!r})"


class ContainerGrant(Lent, frozen=True, kw_only=True):
    """A place in Swift; the attempt that each backup lies in which is to be read."""

    container: LentContainer
    attempts: dict[str, str]

    def __repr__(self) -> str:
        return f"ContainerGrant({self.container!r}, writes={self.writes})"

    @property
    def ends_at(self) -> float:
        return float(self.container.expires_at)


class LentObject(msgspec.Struct, frozen=True):
    """A temporary URL to read an object by, until a time."""

    url: str
    expires_at: int

    def __repr__(self) -> str:
        return "LentObject()"


class ObjectGrant(Lent, frozen=True, kw_only=True):
    """The one object that a backup was imported as."""

    object: LentObject

    @property
    def ends_at(self) -> float:
        return float(self.object.expires_at)


AnyGrant: TypeAlias = Grant | ContainerGrant | ObjectGrant


class _Kind(msgspec.Struct):
    container: LentContainer | None = None
    object: LentObject | None = None


def _decoded(lent: bytes) -> AnyGrant:
    kind = msgspec.json.decode(lent, type=_Kind)
    if kind.object is not None:
        return msgspec.json.decode(lent, type=ObjectGrant)
    if kind.container is None:
        return msgspec.json.decode(lent, type=Grant)
    return msgspec.json.decode(lent, type=ContainerGrant)


_WORDS: Final = Words(
    over="no operation of the instance needs this backup any more",
    unknown="what the control plane lends for a backup is not known",
    none="nothing was lent for the backup",
)


def obtain(ask: Callable[[], bytes], stop: aws.Event) -> AnyGrant:
    """Ask for a grant (`ask` does so once); raises as `asking.asked` does."""
    return asked(lambda: _decoded(ask()), stop, _WORDS)
