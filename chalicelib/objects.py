"""The object store of the backups: what lies below a location, and that it is gone.

S3 in the bucket of the deployment. A list is a page of at most 1,000 keys, as S3 gives it, and one
call removes as many.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.settings import settings

PAGE_KEYS: Final = 1000
"""S3's limit of a list and of a delete of many."""
MOST_KEY: Final = 1024
"""S3's limit of a key, in bytes."""
MOST_ALONE: Final = 100
"""Objects that are removed by a call each, at once: some seconds."""
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a key may hold, and the document cannot in which many keys are told. A guest that was broken
into may write such keys."""

LOCATION_PARTS: Final = 3
"""Of a location: project, full backup, backup (`chalicelib.domain.backups.location`)."""


class Page(NamedTuple):
    """Keys below a location with their sizes in bytes; `after` is where the next page begins."""

    sizes: dict[str, int]
    after: str | None
    etags: dict[str, str]
    """In hex: of what was written in one piece, and not encrypted by KMS, its MD5."""


class NotStored(Exception):
    """No such object, or one that is larger than it may be."""


class Unreadable(NotStored):
    """One that nobody can read as it lies: whoever has put it there may take it out again."""


_UNREADABLE: Final = frozenset({"InvalidObjectState", "InvalidRequest"})
"""What S3 answers of an object in an archive, and of one that is encrypted with its writer's own
key: a guest that was broken into may write such ones."""


def page(location: str, after: str | None = None) -> Page:
    """The next keys below a location, in their order; consistent with every write before."""
    return _page(f"{location}/", after)


def page_of_all(after: str | None = None) -> Page:
    """The same of all that lies in the bucket."""
    return _page("", after)


def location_of(key: str) -> str | None:
    """The location of the backup that an object belongs to; None where it is no backup's."""
    parts = key.split("/", LOCATION_PARTS)
    return "/".join(parts[:LOCATION_PARTS]) if len(parts) > LOCATION_PARTS else None


def _page(prefix: str, after: str | None) -> Page:
    where: dict[str, Any] = {"StartAfter": after} if after is not None else {}
    answer = aws.client("s3").list_objects_v2(
        Bucket=settings().backups_bucket, Prefix=prefix, MaxKeys=PAGE_KEYS, **where
    )
    found = answer.get("Contents", [])
    sizes = {each["Key"]: int(each["Size"]) for each in found}
    etags = {each["Key"]: each["ETag"].strip('"') for each in found}
    return Page(sizes, max(sizes) if answer.get("IsTruncated") and sizes else None, etags)


def remove(keys: list[str]) -> int:
    """Remove objects, a page of them at most; those that are gone are fine. How many went: of those
    whose keys no list can tell `MOST_ALONE` go at once, and the others are the caller's to ask for
    again.

    Raises `OSError` naming how many the store has refused.
    """
    together = [key for key in keys if not _NO_XML.search(key)]
    alone = [key for key in keys if _NO_XML.search(key)]
    if together:
        _remove_together(together)
    for key in alone[:MOST_ALONE]:
        aws.client("s3").delete_object(Bucket=settings().backups_bucket, Key=key)
    return len(together) + len(alone[:MOST_ALONE])


def _remove_together(keys: list[str]) -> None:
    answer = aws.client("s3").delete_objects(
        Bucket=settings().backups_bucket,
        Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
    )
    if refused := answer.get("Errors"):
        raise OSError(f"{len(refused)} objects were not removed: {refused[0].get('Code')}")


def read(key: str, most: int) -> bytes:
    """The content of an object of at most that many bytes; `NotStored`."""
    try:
        answer = aws.client("s3").get_object(Bucket=settings().backups_bucket, Key=key)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("NoSuchKey", "404"):
            raise NotStored(f"{key} is not there") from None
        if code in _UNREADABLE:
            raise Unreadable(f"{key} cannot be read as it lies there ({code})") from None
        raise
    body = answer["Body"]
    content: bytes = body.read(most + 1)
    body.close()
    if len(content) > most:
        raise NotStored(f"{key} has more than {most} bytes")
    return content


def checksum(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
