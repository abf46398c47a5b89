"""Database instances, and the guests that serve them."""

from __future__ import annotations

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)

from chalicelib.domain.operations import SubjectKind
from chalicelib.status import RESTART_REQUIRED, Status
from chalicelib.store.base import Table, optional, table_meta
from chalicelib.store.models.indexes import TenantIndex, VersionIndex
from chalicelib.store.models.subject import Subject


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
