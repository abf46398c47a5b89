"""S3: objects in buckets; checked and conditional writes, ranges, listings, deletes of many.

What is written is read and listed at once, as S3 promises since 2020.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from simulator.aws.errors import Exceptions, client_error

MOST_KEYS: Final = 1000
MOST_PUT_BYTES: Final = 5 * 1024**3
MOST_KEY_BYTES: Final = 1024

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML can hold, as which the keys of a delete of many are sent."""
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
Answer = dict[str, Any]


class Object(NamedTuple):
    """An object as it was written."""

    body: bytes
    etag: str
    written_at: float
    metadata: dict[str, str]
    sha256: str | None = None
    """What its writer has said and S3 has checked, in base64."""
    storage_class: str = "STANDARD"


class Objects:
    """The objects of a bucket, and their keys in order."""

    def __init__(self) -> None:
        self._by_key: dict[str, Object] = {}
        self._keys: list[str] = []

    def get(self, key: str) -> Object | None:
        """An object, or None."""
        return self._by_key.get(key)

    def put(self, key: str, written: Object) -> None:
        """Write an object, or write over it."""
        if key not in self._by_key:
            insort(self._keys, key)
        self._by_key[key] = written

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is fine."""
        if self._by_key.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def behind(self, prefix: str, after: str) -> Iterator[tuple[str, Object]]:
        """The objects with a prefix that come behind a key, which need not be there."""
        start = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        for place in range(start, len(self._keys)):
            key = self._keys[place]
            if not key.startswith(prefix):
                return
            yield key, self._by_key[key]


class S3:
    """One account's buckets."""

    calls: Mapping[str, str] = {
        "create_bucket": "CreateBucket",
        "delete_object": "DeleteObject",
        "delete_objects": "DeleteObjects",
        "generate_presigned_url": "GetObject",
        "get_object": "GetObject",
        "head_object": "HeadObject",
        "list_objects_v2": "ListObjectsV2",
        "put_object": "PutObject",
    }
    exceptions = Exceptions(NoSuchBucket="NoSuchBucket", NoSuchKey="NoSuchKey")

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.buckets: dict[str, Objects] = {}

    def create_bucket(self, *, Bucket: str, **_: Any) -> Answer:  # noqa: N803
        """Make a bucket, or find it: in us-east-1 that is no error for its owner."""
        self.buckets.setdefault(Bucket, Objects())
        return _answer(Location=f"/{Bucket}")

    def has(self, *, Bucket: str, Key: str, **_: Any) -> bool:  # noqa: N803
        """Whether there is such an object."""
        return Bucket in self.buckets and self.buckets[Bucket].get(Key) is not None

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: Any = b"",  # noqa: N803
        Metadata: Mapping[str, str] | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        ContentMD5: str | None = None,  # noqa: N803
        ChecksumSHA256: str | None = None,  # noqa: N803
    ) -> Answer:
        """Write an object; with IfNoneMatch="*" only a new one, with IfMatch only over that one.

        With a sum only what was sent whole: nothing is written of anything else.
        """
        operation = "PutObject"
        objects = self._bucket(Bucket, operation)
        if len(Key.encode()) > MOST_KEY_BYTES:
            raise client_error("KeyTooLongError", operation, "Your key is too long")
        before = objects.get(Key)
        if IfMatch is not None and before is None:
            raise self.exceptions.make("NoSuchKey", operation, _NO_KEY, status=404)
        taken = IfNoneMatch is not None and before is not None
        if taken or (IfMatch is not None and before is not None and before.etag != IfMatch):
            message = "At least one of the pre-conditions you specified did not hold"
            raise client_error("PreconditionFailed", operation, message, status=412)
        body = _bytes(Body)
        if len(body) > MOST_PUT_BYTES:
            message = "Your proposed upload exceeds the maximum allowed size"
            raise client_error("EntityTooLarge", operation, message)
        _check(body, ContentMD5, ChecksumSHA256)
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        objects.put(Key, Object(body, etag, self.now(), dict(Metadata or {}), ChecksumSHA256))
        sums = {"ChecksumSHA256": ChecksumSHA256} if ChecksumSHA256 else {}
        return {**_answer(ETag=etag), **sums}

    def get_object(self, *, Bucket: str, Key: str, Range: str | None = None) -> Answer:  # noqa: N803
        """Read an object, or `bytes=first-last` of it."""
        found = self._bucket(Bucket, "GetObject").get(Key)
        if found is None:
            raise self.exceptions.make("NoSuchKey", "GetObject", _NO_KEY, status=404)
        if found.storage_class in _ARCHIVES:
            message = "The operation is not valid for the object's storage class"
            raise client_error("InvalidObjectState", "GetObject", message, status=403)
        body = found.body if Range is None else _part(found.body, Range)
        return _answer(**_facts(found), Body=io.BytesIO(body), ContentLength=len(body))

    def generate_presigned_url(
        self,
        *,
        ClientMethod: str,  # noqa: N803
        Params: Mapping[str, str],  # noqa: N803
        ExpiresIn: int,  # noqa: N803
    ) -> str:
        """An address of an object, whether it is there or not: its maker's rights are lent."""
        assert ClientMethod == "get_object", "nothing else is lent"
        host = f"https://{Params['Bucket']}.s3.amazonaws.com"
        return f"{host}/{Params['Key']}?X-Amz-Expires={ExpiresIn}"

    def head_object(self, *, Bucket: str, Key: str) -> Answer:  # noqa: N803
        """What is known of an object without its body."""
        found = self._bucket(Bucket, "HeadObject").get(Key)
        if found is None:
            raise client_error("404", "HeadObject", "Not Found", status=404)
        return _answer(**_facts(found), ContentLength=len(found.body))

    def delete_object(self, *, Bucket: str, Key: str) -> Answer:  # noqa: N803
        """Delete an object; one that is not there is fine."""
        self._bucket(Bucket, "DeleteObject").delete(Key)
        return _answer(status=204)

    def delete_objects(self, *, Bucket: str, Delete: Mapping[str, Any]) -> Answer:  # noqa: N803
        """Delete many objects, also such as are not there; `Quiet`, only what failed is told."""
        objects = self._bucket(Bucket, "DeleteObjects")
        keys = [each["Key"] for each in Delete["Objects"]]
        if not 1 <= len(keys) <= MOST_KEYS or any(map(_NO_XML.search, keys)):
            message = "The XML you provided was not well-formed or did not validate"
            raise client_error("MalformedXML", "DeleteObjects", message)
        for key in keys:
            objects.delete(key)
        if Delete.get("Quiet"):
            return _answer()
        return _answer(Deleted=[{"Key": key} for key in keys])

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str = "",  # noqa: N803
        Delimiter: str = "",  # noqa: N803
        MaxKeys: int = MOST_KEYS,  # noqa: N803
        ContinuationToken: str = "",  # noqa: N803
        StartAfter: str = "",  # noqa: N803
    ) -> Answer:
        """A page of keys in their order; keys with a delimiter behind the prefix are one entry."""
        objects = self._bucket(Bucket, "ListObjectsV2")
        most = min(MaxKeys, MOST_KEYS)
        after = ContinuationToken or StartAfter
        contents: list[Answer] = []
        prefixes: dict[str, None] = {}
        last, truncated = "", False
        for key, found in objects.behind(Prefix, after) if most else ():
            end = key.find(Delimiter, len(Prefix)) if Delimiter else -1
            group = key[: end + len(Delimiter)] if end >= 0 else ""
            if group and (group in prefixes or after.startswith(group)):
                last = key
                continue
            if len(contents) + len(prefixes) == most:
                truncated = True
                break
            last = key
            if group:
                prefixes[group] = None
            else:
                contents.append({"Key": key, **_listed(found)})
        answer = _answer(
            IsTruncated=truncated, KeyCount=len(contents) + len(prefixes), MaxKeys=most, Name=Bucket
        )
        if contents:
            answer["Contents"] = contents
        if prefixes:
            answer["CommonPrefixes"] = [{"Prefix": each} for each in prefixes]
        return {**answer, "NextContinuationToken": last} if truncated else answer

    def _bucket(self, name: str, operation: str) -> Objects:
        found = self.buckets.get(name)
        if found is None:
            message = "The specified bucket does not exist"
            raise self.exceptions.make("NoSuchBucket", operation, message, status=404)
        return found


_NO_KEY: Final = "The specified key does not exist."


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())


def _check(body: bytes, md5: str | None, sha256: str | None) -> None:
    """Refuse a body that is not what its writer has sent, by either sum in base64."""
    operation = "PutObject"
    if md5 is not None:
        if _decoded(md5, 16) is None:
            message = "The Content-MD5 you specified is not valid."
            raise client_error("InvalidDigest", operation, message)
        if _decoded(md5, 16) != hashlib.md5(body, usedforsecurity=False).digest():
            message = "The Content-MD5 you specified did not match what we received."
            raise client_error("BadDigest", operation, message)
    if sha256 is not None:
        if _decoded(sha256, 32) is None:
            message = "Value for x-amz-checksum-sha256 header is invalid."
            raise client_error("InvalidRequest", operation, message)
        if _decoded(sha256, 32) != hashlib.sha256(body).digest():
            message = "The SHA256 you specified did not match the calculated checksum."
            raise client_error("BadDigest", operation, message)


def _decoded(text: str, size: int) -> bytes | None:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return found if len(found) == size else None


def _facts(found: Object) -> Answer:
    return {
        "ETag": found.etag,
        "LastModified": datetime.fromtimestamp(int(found.written_at), UTC),
        "Metadata": dict(found.metadata),
    }


def _listed(found: Object) -> Answer:
    facts = _facts(found)
    del facts["Metadata"]
    return {**facts, "Size": len(found.body), "StorageClass": found.storage_class}


def _part(body: bytes, asked: str) -> bytes:
    match = _RANGE.fullmatch(asked)
    if match is None or not (match[1] or match[2]):
        return body
    first = int(match[1]) if match[1] else max(0, len(body) - int(match[2]))
    last = int(match[2]) if match[1] and match[2] else len(body) - 1
    if first >= len(body):
        message = "The requested range is not satisfiable"
        raise client_error("InvalidRange", "GetObject", message, status=416)
    return body[first : last + 1]


def _answer(*, status: int = 200, **content: Any) -> Answer:
    return {**content, "ResponseMetadata": {"HTTPStatusCode": status}}
