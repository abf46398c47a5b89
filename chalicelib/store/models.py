"""The tables. Times are seconds since the epoch, sizes GiB, memory MiB.

The template in `infra/` declares the same keys and indexes; a test compares the two.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import SubjectKind
from chalicelib.status import RESTART_REQUIRED, Status
from chalicelib.store.base import INDEXES, Table, entries, optional, table_meta


class Subject(Table):
    """What an operation is done to. `operation_id` is the one live operation, if any, and
    `next_operation_id` the one that takes it away when that has ended."""

    kind: ClassVar[SubjectKind]
    private: ClassVar[bool] = False
    """Whether its events are the administrators' alone, and in no tenant's feed."""

    id = UnicodeAttribute(hash_key=True)
    tenant_id = UnicodeAttribute()
    status = UnicodeAttribute()
    created = NumberAttribute()
    updated = NumberAttribute()
    expires = optional(TTLAttribute(null=True))

    operation_id = optional(UnicodeAttribute(null=True))
    next_operation_id = optional(UnicodeAttribute(null=True))
    held = JSONAttribute(default=dict)  # of its tenant's quota

    fault_message = optional(UnicodeAttribute(null=True))
    fault_created = optional(NumberAttribute(null=True))

    @property
    def told_to(self) -> str | None:
        """The tenant in whose feed its events are."""
        return None if self.private else self.tenant_id


class TenantIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The instances of a tenant by id; sparse: deleted rows have no `index_tenant`."""

    class Meta:
        index_name = INDEXES.TENANT
        projection = AllProjection()

    index_tenant = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class VersionIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The instances that have a datastore version; sparse, as `TenantIndex` is."""

    class Meta:
        index_name = INDEXES.VERSION
        projection = KeysOnlyProjection()

    datastore_version_id = UnicodeAttribute(hash_key=True)
    index_tenant = UnicodeAttribute(range_key=True)


class Instance(Subject):
    """A database instance."""

    kind = SubjectKind.INSTANCE

    class Meta:
        table_name, region = table_meta("instances")

    index_tenant = optional(UnicodeAttribute(null=True))
    tenant_index = TenantIndex()
    version_index = VersionIndex()
    name = UnicodeAttribute()
    description = optional(UnicodeAttribute(null=True))
    tags = optional(UnicodeSetAttribute(null=True))
    protected = optional(BooleanAttribute(null=True))  # against deletion; never False
    deleted_at = optional(NumberAttribute(null=True))

    generation = NumberAttribute(default=1)

    datastore_version_id = UnicodeAttribute()
    datastore_name = UnicodeAttribute()
    datastore_version = UnicodeAttribute()
    datastore_version_number = UnicodeAttribute()
    manager = UnicodeAttribute()
    image = JSONAttribute(default=dict)  # what the version says to boot: {"id", "tags"}
    image_id = optional(UnicodeAttribute(null=True))  # of its server, when a rebuild has told it
    flavor_id = UnicodeAttribute()
    flavor_ram = NumberAttribute()
    flavor_vcpus = NumberAttribute()
    volume_size = NumberAttribute()
    volume_type = optional(UnicodeAttribute(null=True))
    region = UnicodeAttribute()
    availability_zone = optional(UnicodeAttribute(null=True))
    locality = optional(UnicodeAttribute(null=True))  # the policy of its server group
    access = optional(JSONAttribute(null=True))
    backup_container = optional(JSONAttribute(null=True))  # `chalicelib.store.strategies`
    nics = optional(JSONAttribute(null=True))

    resources = JSONAttribute(default=dict)  # what it owns in the cloud
    addresses = JSONAttribute(default=list)

    root_enabled_at = optional(NumberAttribute(null=True))
    root_enabled_by = optional(UnicodeAttribute(null=True))

    # The group whose values it is to hold; what its guest holds, as `domain.configurations.held`
    # writes it; whether some of that waits for a restart (never False).
    configuration_id = optional(UnicodeAttribute(null=True))
    configuration_held = optional(UnicodeAttribute(null=True))
    restart_required = optional(BooleanAttribute(null=True))
    archive_id = optional(UnicodeAttribute(null=True))  # of its log, while one is wanted
    log_waits = optional(BooleanAttribute(null=True))  # for a start; never False

    @property
    def shown_status(self) -> str:
        """The status that clients see."""
        waits = (self.restart_required or self.log_waits) and self.status == Status.ACTIVE
        return RESTART_REQUIRED if waits else self.status


class GroupIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The configuration groups of a tenant by id; sparse: deleted rows have no `index_tenant`."""

    class Meta:
        index_name = INDEXES.TENANT
        projection = AllProjection()

    index_tenant = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class Configuration(Subject):
    """A configuration group: values that its instances hold, of one datastore version."""

    kind = SubjectKind.CONFIGURATION

    class Meta:
        table_name, region = table_meta("configurations")

    index_tenant = optional(UnicodeAttribute(null=True))
    tenant_index = GroupIndex()
    name = UnicodeAttribute()
    description = optional(UnicodeAttribute(null=True))
    datastore_version_id = UnicodeAttribute()
    datastore_name = UnicodeAttribute()
    datastore_version = UnicodeAttribute()
    datastore_version_number = UnicodeAttribute()
    manager = UnicodeAttribute()
    wanted = JSONAttribute()  # the values, by the names of parameters

    revision = NumberAttribute(default=1)  # grows with each change of the values
    applied = NumberAttribute(default=1)  # the last revision of which each instance was asked
    attached = NumberAttribute(default=0)  # grows with each attachment: how often, not to how many
    progress = optional(JSONAttribute(null=True))  # of the last application that has ended


class Attachment(Table):
    """That an instance has a group, or a group a datastore version. Written with the row of who has
    it, which alone decides: it may be left over from a row that is lost."""

    class Meta:
        table_name, region = table_meta("attachments")

    # The names of the attributes are those of the first of the two: rows and key keep them.
    had_id = UnicodeAttribute(attr_name="configuration_id", hash_key=True)
    by_id = UnicodeAttribute(attr_name="instance_id", range_key=True)


class BackupIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The backups of a tenant by id; sparse: deleted rows have no `index_tenant`."""

    class Meta:
        index_name = INDEXES.TENANT
        projection = AllProjection()

    index_tenant = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class SourceIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The backups of an instance by time; sparse, as `BackupIndex` is."""

    class Meta:
        index_name = INDEXES.SOURCE
        projection = AllProjection()

    index_source = UnicodeAttribute(hash_key=True)
    created = NumberAttribute(range_key=True)


class BackupVersionIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The backups that were made of a datastore version; sparse, as `BackupIndex` is."""

    class Meta:
        index_name = INDEXES.VERSION
        projection = KeysOnlyProjection()

    datastore_version_id = UnicodeAttribute(hash_key=True)
    index_tenant = UnicodeAttribute(range_key=True)


class Backup(Subject):
    """A backup of an instance, which it outlives. Sizes are in bytes."""

    kind = SubjectKind.BACKUP

    class Meta:
        table_name, region = table_meta("backups")

    index_tenant = optional(UnicodeAttribute(null=True))
    tenant_index = BackupIndex()
    instance_id = UnicodeAttribute()  # "" of what was imported
    index_source = optional(UnicodeAttribute(null=True))
    source_index = SourceIndex()
    version_index = BackupVersionIndex()
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

    # What its guest told, when it was seen to lie in the store.
    checksum = optional(UnicodeAttribute(null=True))
    attempt = optional(UnicodeAttribute(null=True))  # the folder of its parts
    size = optional(NumberAttribute(null=True))
    data_size = optional(NumberAttribute(null=True))
    position = optional(UnicodeAttribute(null=True))
    engine_version = optional(UnicodeAttribute(null=True))
    volume_used = optional(NumberAttribute(null=True))  # GiB of its instance's volume, then

    # What came of it when it was tried out last.
    verified_at = optional(NumberAttribute(null=True))
    verdict = optional(UnicodeAttribute(null=True))
    verdict_reason = optional(UnicodeAttribute(null=True))

    # Where the log goes on behind it: the archive that ran while it was made, the last piece that
    # was sent before, its place in the log, and the moment whose data it has (milliseconds).
    archive_id = optional(UnicodeAttribute(null=True))
    archive_number = optional(NumberAttribute(null=True))
    log_position = optional(UnicodeAttribute(null=True))
    reached_ms = optional(NumberAttribute(null=True))

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
    waiting_bytes = NumberAttribute(default=0)


class Rollout(Subject):
    """Instances that are rebuilt on an image; its tenant is the project of who asked for it."""

    kind = SubjectKind.ROLLOUT
    private = True

    class Meta:
        table_name, region = table_meta("rollouts")

    asked = JSONAttribute()  # `chalicelib.domain.rollouts.Wanted`
    progress = optional(JSONAttribute(null=True))  # when it has ended; before, its operation's


class LiveIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The operations that are not terminal, by the time at which the sweeper looks at them."""

    class Meta:
        index_name = INDEXES.LIVE
        projection = KeysOnlyProjection()

    live = UnicodeAttribute(hash_key=True)
    check_at = NumberAttribute(range_key=True)


class SubjectIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The operations of a subject, by time."""

    class Meta:
        index_name = INDEXES.SUBJECT
        projection = AllProjection()

    subject_id = UnicodeAttribute(attr_name="instance_id", hash_key=True)
    created = NumberAttribute(range_key=True)


class Operation(Table):
    """One accepted change of its subject and how far it has come."""

    class Meta:
        table_name, region = table_meta("operations")

    id = UnicodeAttribute(hash_key=True)
    # The name of the attribute is from when each was an instance's: rows and index keep it.
    subject_id = UnicodeAttribute(attr_name="instance_id")
    tenant_id = UnicodeAttribute()
    subject_index = SubjectIndex()
    action = UnicodeAttribute()
    status = UnicodeAttribute()
    created = NumberAttribute()
    updated = NumberAttribute()
    deadline = NumberAttribute()
    expires = optional(TTLAttribute(null=True))
    live = optional(UnicodeAttribute(null=True))
    check_at = optional(NumberAttribute(null=True))
    live_index = LiveIndex()

    parent_id = optional(UnicodeAttribute(null=True))  # the operation that has begun it
    generation = NumberAttribute(default=1)
    attempt = NumberAttribute(default=0)
    request_id = optional(UnicodeAttribute(null=True))
    user_id = optional(UnicodeAttribute(null=True))
    user_tenant_id = optional(UnicodeAttribute(null=True))  # the project of that user's token
    traceparent = optional(UnicodeAttribute(null=True))  # unless the request has begun the trace
    sealed_args = optional(UnicodeAttribute(null=True))  # in rows of the release before
    secret = BooleanAttribute(default=False)  # what was asked for stands sealed in `arguments`
    arguments = optional(JSONAttribute(null=True))  # what was asked for, when none of it is secret

    cancelled = optional(UnicodeAttribute(null=True))  # why; the next step compensates
    compensating = BooleanAttribute(default=False)
    reason = optional(UnicodeAttribute(null=True))  # why it failed, for the user
    alone = optional(UnicodeAttribute(null=True))  # the step whose guest has no server any more
    enrolled_server = optional(UnicodeAttribute(null=True))  # noted when another was refused

    step = optional(UnicodeAttribute(null=True))
    lease_id = optional(UnicodeAttribute(null=True))
    lease_until = optional(NumberAttribute(null=True))
    # By step; written key by key, so that two writers do not overwrite each other.
    started = entries()
    ended = entries()
    notes = entries()
    resources = entries()

    @property
    def kind(self) -> SubjectKind:
        """The kind of its subject: its flow's, so that no row can tell another one."""
        return FLOWS[self.action].subject

    @property
    def instance_id(self) -> str:
        """The subject of a flow on instances."""
        assert self.kind is SubjectKind.INSTANCE, f"{self.action} is no operation of an instance"
        return self.subject_id


class Arguments(Table):
    """What an operation was asked for, sealed, while it lives: apart, since each lease of a step
    is paid by the size of the operation's row, and it is read once."""

    class Meta:
        table_name, region = table_meta("arguments")

    id = UnicodeAttribute(hash_key=True)
    sealed = UnicodeAttribute()
    expires = TTLAttribute()


class Command(Table):
    """A command to a guest and its answer. `token` is the task token that waits for it."""

    class Meta:
        table_name, region = table_meta("commands")

    id = UnicodeAttribute(hash_key=True)
    instance_id = UnicodeAttribute()
    generation = NumberAttribute()
    method = UnicodeAttribute()
    operation_id = optional(UnicodeAttribute(null=True))
    backwards = BooleanAttribute(default=False)  # its step is one of the operation's undoing
    created = NumberAttribute()
    deadline = NumberAttribute()
    expires = TTLAttribute()
    traceparent = optional(UnicodeAttribute(null=True))  # what has asked for it, in its trace
    token = optional(UnicodeAttribute(null=True))
    answered = optional(NumberAttribute(null=True))
    result = optional(JSONAttribute(null=True))
    error = optional(JSONAttribute(null=True))
    stage = optional(UnicodeAttribute(null=True))  # how far the guest is, while it runs
    progress_epoch = optional(NumberAttribute(null=True))
    progress_seq = optional(NumberAttribute(null=True))
    again = optional(NumberAttribute(null=True))  # by then its guest tells of it again


class CallsRow(Table):
    """The synchronous calls of a tenant that are in flight, by id: instance and deadline."""

    class Meta:
        table_name, region = table_meta("calls")

    tenant_id = UnicodeAttribute(hash_key=True)
    version = NumberAttribute(default=0)  # grows with each slot that is taken
    slots = entries()
    expires = optional(TTLAttribute(null=True))


class KeptReply(Table):
    """What was answered to a POST that had an Idempotency-Key, kept with the key for a day."""

    class Meta:
        table_name, region = table_meta("kept-replies")

    id = UnicodeAttribute(hash_key=True)  # project/key
    sealed = UnicodeAttribute()  # the request's digest and the reply, which may tell a password
    command_id = optional(UnicodeAttribute(null=True))  # of the guest whose result decides
    expires = TTLAttribute()


class Guest(Table):
    """The enrolled agent of one generation of an instance."""

    class Meta:
        table_name, region = table_meta("guests")

    instance_id = UnicodeAttribute(hash_key=True)
    generation = NumberAttribute(range_key=True)
    public_key = UnicodeAttribute()
    server_id = UnicodeAttribute()
    epoch = NumberAttribute(default=0)
    enrolled = NumberAttribute()
    issued_at_ms = NumberAttribute(default=0)  # of its last request: strictly increasing
    writer = optional(UnicodeAttribute(null=True))  # the call that wrote the row last
    quiet_at_ms = NumberAttribute(default=0)  # when its bucket of requests will be empty
    # When another key was last told of that asked for its place, and when Nova was asked about one.
    stranger_at = optional(NumberAttribute(null=True))
    questioned_at = optional(NumberAttribute(null=True))


class ServiceStatusRow(Table):
    """What the guest reported last, ordered by (generation, epoch, seq), never by a clock."""

    class Meta:
        table_name, region = table_meta("service-statuses")

    instance_id = UnicodeAttribute(hash_key=True)
    generation = NumberAttribute()
    epoch = NumberAttribute(default=0)
    seq = NumberAttribute(default=0)
    status = UnicodeAttribute()
    status_reason = optional(UnicodeAttribute(null=True))
    updated = NumberAttribute()
    volume_used = optional(NumberAttribute(null=True))
    volume_total = optional(NumberAttribute(null=True))
    metrics = optional(UnicodeAttribute(null=True))  # `EngineMetrics` as JSON
    rejected = NumberAttribute(default=0)
    agent_release = NumberAttribute(default=0)  # of the guest contract; 0 when it does not say
    agent_version = UnicodeAttribute(default="")  # of its bundle; "" when it was not installed
    stale_reports = NumberAttribute(default=0)


class Quota(Table):
    """What a tenant uses and, where it differs from the default, what it may use."""

    class Meta:
        table_name, region = table_meta("quotas")

    tenant_id = UnicodeAttribute(hash_key=True)
    instances = NumberAttribute(default=0)
    ram = NumberAttribute(default=0)
    volumes = NumberAttribute(default=0)
    backups = NumberAttribute(default=0)
    limits = optional(JSONAttribute(null=True))
    backup_container = optional(JSONAttribute(null=True))  # `chalicelib.store.strategies`


class Datastore(Table):
    """A kind of database on offer; `revision` grows with each change of it or of its versions."""

    class Meta:
        table_name, region = table_meta("datastores")

    id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    revision = NumberAttribute(default=0)
    default_version_id = optional(UnicodeAttribute(null=True))


class DatastoreVersion(Table):
    """A version of a datastore: which manager runs it and from which image."""

    class Meta:
        table_name, region = table_meta("datastore-versions")

    id = UnicodeAttribute(hash_key=True)
    datastore_id = UnicodeAttribute()
    datastore_name = UnicodeAttribute()
    name = UnicodeAttribute()
    version = UnicodeAttribute()
    manager = UnicodeAttribute()
    image_id = optional(UnicodeAttribute(null=True))
    image_tags = JSONAttribute(default=list)
    packages = UnicodeAttribute(default="")
    active = BooleanAttribute(default=True)
    # What its instances may be made of, by id and by name; empty: whatever there is.
    flavors = JSONAttribute(default=list)
    volume_types = JSONAttribute(default=list)
    grouped = NumberAttribute(default=0)  # grows with each configuration group made of it


class Flavor(Table):
    """A mirror of a Nova flavor."""

    class Meta:
        table_name, region = table_meta("flavors")

    id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    ram = NumberAttribute()
    vcpus = NumberAttribute()
    disk = NumberAttribute()
    ephemeral = NumberAttribute(default=0)


class FeedIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The events that a tenant may read, of all its instances, by time, in some partitions."""

    class Meta:
        index_name = INDEXES.FEED
        projection = AllProjection()

    feed = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class EventRow(Table):
    """Something an operator or a tenant may want to know later."""

    class Meta:
        table_name, region = table_meta("events")

    scope = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    tenant_id = optional(UnicodeAttribute(null=True))
    feed = optional(UnicodeAttribute(null=True))
    feed_index = FeedIndex()
    kind = UnicodeAttribute()
    message = UnicodeAttribute()
    created = NumberAttribute()
    expires = TTLAttribute()
    times = optional(NumberAttribute(null=True))  # of a row that counts
    user_id = optional(UnicodeAttribute(null=True))  # who asked for it, and with which request
    user_tenant_id = optional(UnicodeAttribute(null=True))  # the project of that user's token
    request_id = optional(UnicodeAttribute(null=True))


class Job(Table):
    """How far a job has come that goes over the whole fleet, a slice at a time."""

    class Meta:
        table_name, region = table_meta("jobs")

    id = UnicodeAttribute(hash_key=True)
    state = JSONAttribute()
    updated = NumberAttribute()


TABLES: tuple[type[Table], ...] = (
    Instance,
    Rollout,
    Configuration,
    Attachment,
    Backup,
    BackupSchedule,
    Archive,
    Operation,
    Arguments,
    Command,
    CallsRow,
    KeptReply,
    Guest,
    ServiceStatusRow,
    Quota,
    Datastore,
    DatastoreVersion,
    Flavor,
    EventRow,
    Job,
)
