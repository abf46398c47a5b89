"""What a project may have, and what there is to choose from."""

from __future__ import annotations

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
)

from chalicelib.store.base import Table, optional, table_meta


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
    grouped = NumberAttribute(default=0)  # grows with each group made, or backup imported, of it


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
