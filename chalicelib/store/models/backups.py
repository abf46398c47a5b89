"""Backups, what makes them again and again, and archives of logs."""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.domain.operations import SubjectKind
from chalicelib.store.base import INDEXES, Table, optional, table_meta
from chalicelib.store.models.indexes import TenantIndex, VersionIndex
from chalicelib.store.models.subject import Subject


class SourceIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The backups of an instance by time; sparse, as `TenantIndex` is."""

    class Meta:
        index_name = INDEXES.SOURCE
        projection = AllProjection()

    index_source = UnicodeAttribute(hash_key=True)
    created = NumberAttribute(range_key=True)


class TimeIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The backups of a tenant by time; sparse, as `TenantIndex` is."""

    class Meta:
        index_name = INDEXES.TIME
        projection = AllProjection()

    index_tenant = UnicodeAttribute(hash_key=True)
    created = NumberAttribute(range_key=True)


class Backup(Subject):
    """A backup of an instance, which it outlives. Sizes are in bytes."""

    kind = SubjectKind.BACKUP

    class Meta:
        table_name, region = table_meta("backups")

    index_tenant = optional(UnicodeAttribute(null=True))
    tenant_index = TenantIndex()
    instance_id = UnicodeAttribute()  # "" of what was imported
    index_source = optional(UnicodeAttribute(null=True))
    source_index = SourceIndex()
    time_index = TimeIndex()
    version_index = VersionIndex()
    name = UnicodeAttribute()
    description = optional(UnicodeAttribute(null=True))
    datastore_version_id = UnicodeAttribute()
    datastore_name = UnicodeAttribute()
    datastore_version = UnicodeAttribute()
    datastore_version_number = UnicodeAttribute()
    manager = UnicodeAttribute()

    parents = JSONAttribute(default=list)  # the ids that it builds on, the full backup first
    children = NumberAttribute(default=0)  # so many build on it directly
    schedule_id = optional(UnicodeAttribute(null=True))  # what has made it, unless somebody asked
    readers = optional(JSONAttribute(null=True))  # restores that were begun with it, the last ones
    location = UnicodeAttribute()
    sealed_key = optional(UnicodeAttribute(null=True))  # what its objects are encrypted with
    container_url = optional(UnicodeAttribute(null=True))  # its tenant's, else it is our bucket
    container_key = optional(NumberAttribute(null=True))  # version of what URLs of it are signed by
    attempts = optional(JSONAttribute(null=True))  # in a container: `chalicelib.domain.attempts`
    imported = optional(JSONAttribute(null=True))  # somebody else's: `chalicelib.domain.imports`

    # Of one that is a snapshot in Cinder: the volume that it is of, and itself when it is there.
    volume_id = optional(UnicodeAttribute(null=True))
    snapshot_id = optional(UnicodeAttribute(null=True))
    snapshot_gib = optional(NumberAttribute(null=True))

    # What its guest told, when it was seen to lie in the store.
    checksum = optional(UnicodeAttribute(null=True))
    attempt = optional(UnicodeAttribute(null=True))  # the folder of its parts
    size = optional(NumberAttribute(null=True))
    data_size = optional(NumberAttribute(null=True))
    position = optional(UnicodeAttribute(null=True))
    engine_version = optional(UnicodeAttribute(null=True))
    volume_used = optional(NumberAttribute(null=True))  # GiB of its instance's volume, then
    needs_gib = optional(NumberAttribute(null=True))  # of a volume, with all that it builds on

    # What came of it when it was tried out last.
    verified_at = optional(NumberAttribute(null=True))
    verdict = optional(UnicodeAttribute(null=True))
    verdict_reason = optional(UnicodeAttribute(null=True))

    # Where the log goes on behind it: the archive that ran while it was made, the last piece that
    # was sent before (and its sum), its place in the log in the engine's words, and the moment
    # whose data it has (milliseconds) and the place, as customers name that.
    log_before = optional(JSONAttribute(null=True))  # when accepted: `domain.archives.Before`
    archive_id = optional(UnicodeAttribute(null=True))
    archive_number = optional(NumberAttribute(null=True))
    archive_sha256 = optional(UnicodeAttribute(null=True))
    log_position = optional(UnicodeAttribute(null=True))
    reached_ms = optional(NumberAttribute(null=True))
    reached_position = optional(UnicodeAttribute(null=True))

    @property
    def is_snapshot(self) -> bool:
        """Whether it is one in Cinder, and nothing of it lies in an object store."""
        return self.volume_id is not None

    @property
    def parent_id(self) -> str | None:
        """The backup that it builds on; None of a full one."""
        return self.parents[-1] if self.parents else None


class ScheduleIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The schedules of a tenant, those of an instance beside each other."""

    class Meta:
        index_name = INDEXES.TENANT
        projection = AllProjection()

    tenant_id = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)


class DueIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The schedules by the time at which they are looked at, in some partitions."""

    class Meta:
        index_name = INDEXES.DUE
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    due_at = NumberAttribute(range_key=True)


class BackupSchedule(Table):
    """When an instance is backed up, and which of those backups are kept."""

    class Meta:
        table_name, region = table_meta("backup-schedules")

    id = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute()
    place = UnicodeAttribute()  # instance/id
    tenant_index = ScheduleIndex()
    instance_id = UnicodeAttribute()
    shard = UnicodeAttribute()
    due_at = NumberAttribute()  # when it is looked at next, whatever for
    due_index = DueIndex()
    created = NumberAttribute()
    updated = NumberAttribute()
    revision = NumberAttribute(default=1)  # grows with each change by its tenant

    name = UnicodeAttribute()
    verify_every = optional(NumberAttribute(null=True))
    unverified = NumberAttribute(default=0)  # backups that it has made since one was tried out
    enabled = BooleanAttribute(default=True)
    cron = optional(UnicodeAttribute(null=True))
    interval_hours = optional(NumberAttribute(null=True))
    time_zone = UnicodeAttribute()
    full_every = NumberAttribute(default=1)
    keep_count = optional(NumberAttribute(null=True))
    keep_days = optional(NumberAttribute(null=True))
    point_in_time = BooleanAttribute(default=False)  # the log is archived between its backups

    next_at = optional(NumberAttribute(null=True))  # the slot; the run begins a little later
    last_at = optional(NumberAttribute(null=True))  # of the last run that was begun
    last_backup_id = optional(UnicodeAttribute(null=True))
    again = optional(UnicodeAttribute(null=True))  # the failed increment that a full one is due for
    reason = optional(UnicodeAttribute(null=True))  # why a slot waits, or has passed without a run
    reason_at = optional(NumberAttribute(null=True))

    @property
    def archives_log(self) -> bool:
        """Whether the log is archived: not while it is off, when it makes no backup that the log
        could go on from, and gives none up."""
        return bool(self.point_in_time and self.enabled)


class ArchiveIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The archives of an instance by time."""

    class Meta:
        index_name = INDEXES.SOURCE
        projection = AllProjection()

    instance_id = UnicodeAttribute(hash_key=True)
    created = NumberAttribute(range_key=True)


class Archive(Table):
    """A contiguous run of an instance's log in the object store. Moments are in milliseconds, by
    the clock of the instance's server."""

    class Meta:
        table_name, region = table_meta("archives")

    id = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute()
    instance_id = UnicodeAttribute()
    created = NumberAttribute()
    source_index = ArchiveIndex()
    updated = NumberAttribute()
    expires = optional(TTLAttribute(null=True))
    schedule_id = UnicodeAttribute()
    location = UnicodeAttribute()
    sealed_key = optional(UnicodeAttribute(null=True))  # what its pieces are encrypted with

    state = UnicodeAttribute()
    reason = optional(UnicodeAttribute(null=True))  # why it waits, or has ended
    ended = optional(NumberAttribute(null=True))

    # What its guest has told, the last in the order of heartbeats.
    generation = NumberAttribute(default=0)
    epoch = NumberAttribute(default=0)
    seq = NumberAttribute(default=0)
    number = NumberAttribute(default=0)  # of the last piece, 0 without any
    sha256 = optional(UnicodeAttribute(null=True))  # its sum
    from_ms = optional(NumberAttribute(null=True))
    until_ms = optional(NumberAttribute(null=True))
    until_position = optional(UnicodeAttribute(null=True))
    waiting_bytes = NumberAttribute(default=0)
