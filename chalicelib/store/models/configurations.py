"""Configuration groups, and who has one."""

from __future__ import annotations

from pynamodb.attributes import (
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
)

from chalicelib.domain.operations import SubjectKind
from chalicelib.store.base import Table, optional, table_meta
from chalicelib.store.models.indexes import TenantIndex
from chalicelib.store.models.subject import Subject


class Configuration(Subject):
    """A configuration group: values that its instances hold, of one datastore version."""

    kind = SubjectKind.CONFIGURATION

    class Meta:
        table_name, region = table_meta("configurations")

    index_tenant = optional(UnicodeAttribute(null=True))
    tenant_index = TenantIndex()
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
