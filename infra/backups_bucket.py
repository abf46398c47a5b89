"""The bucket of a deployment's backups: made when it is deployed, kept when its stack goes.

It has no versions, so that a backup that is deleted is gone; S3 encrypts what lies in it with keys
of its own, and the guests have encrypted it before. An operator's own bucket (the template's
parameter `BackupsBucket`) is never changed here, nor removed.
"""

from typing import Any, Final

from botocore.exceptions import ClientError

from infra.buckets import Bucket
from infra.target import Target, account_of

PARAMETER: Final = "BackupsBucket"
UNFINISHED_DAYS: Final = 1
"""A backup's parts are whole objects: an upload in parts that is never completed is somebody's
mistake, which nobody sees and everybody pays."""


def name_of(target: Target, stack: str) -> str:
    """The bucket that is made for a stack: no two stacks of an account and region share a name."""
    return f"{stack}-backups-{account_of(target)}-{target.region}"


def ensure(target: Target, stack: str, name: str) -> bool:
    """Have the bucket as it has to be, if it is the one made for the stack; whether it is new."""
    if name != name_of(target, stack):
        return False
    bucket = Bucket(target, name)
    new = bucket.ensure()
    if new or not _lifecycle(bucket):  # an operator may have added to it since
        bucket.s3.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": [_unfinished_end()]}, **bucket.owner
        )
    return new


def _lifecycle(bucket: Bucket) -> list[dict[str, Any]]:
    """Its rules; none where nobody has given it any."""
    try:
        answer = bucket.s3.get_bucket_lifecycle_configuration(Bucket=bucket.name, **bucket.owner)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return []
        raise
    return [dict(rule) for rule in answer["Rules"]]


def _unfinished_end() -> dict[str, Any]:
    return {
        "ID": "unfinished-uploads-end",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_DAYS},
    }


def troubles(target: Target, name: str, *, ours: bool) -> list[str]:
    """What a bucket that is there does to backups that they can't bear, in words. `ours`: it is the
    stack's own, which gets the rules that it lacks."""
    bucket = Bucket(target, name)
    versioning = bucket.s3.get_bucket_versioning(Bucket=name, **bucket.owner).get("Status")
    found = []
    if versioning:
        found.append(f"its versioning is {versioning}: what is deleted stays, and is paid for")
    if _encryption(bucket) not in (None, "AES256"):
        found.append("it encrypts with KMS, whose keys guests have no right to use")
    rules = [rule for rule in _lifecycle(bucket) if rule["Status"] == "Enabled"]
    if not ours and not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
        found.append(
            "nothing ends uploads in parts that are never completed, which a guest that was broken "
            "into can begin, and no list shows"
        )
    if any(_archives(each) for rule in rules for each in rule.get("Transitions", ())):
        found.append("it moves objects to an archive, out of which nothing can be restored at once")
    return found


def _archives(transition: dict[str, Any]) -> bool:
    return transition.get("StorageClass") in ("GLACIER", "DEEP_ARCHIVE")


def _encryption(bucket: Bucket) -> str | None:
    """The algorithm that objects are encrypted with by default; None: nobody has chosen one."""
    try:
        answer = bucket.s3.get_bucket_encryption(Bucket=bucket.name, **bucket.owner)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ServerSideEncryptionConfigurationNotFoundError":
            return None
        raise
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    return str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])
