"""The tables. Times are seconds since the epoch, sizes GiB, memory MiB.

The template in `infra/` declares the same keys and indexes; a test compares the two.
"""

from __future__ import annotations

from chalicelib.store.base import Table
from chalicelib.store.models.backups import Archive, Backup, BackupSchedule
from chalicelib.store.models.catalogue import Datastore, DatastoreVersion, Flavor, Quota
from chalicelib.store.models.configurations import Attachment, Configuration
from chalicelib.store.models.instances import Guest, Instance, ServiceStatusRow
from chalicelib.store.models.operations import (
    Arguments,
    CallsRow,
    Command,
    EventRow,
    Job,
    KeptReply,
    Operation,
    Rollout,
)
from chalicelib.store.models.subject import Subject

__all__ = [
    "TABLES",
    "Archive",
    "Arguments",
    "Attachment",
    "Backup",
    "BackupSchedule",
    "CallsRow",
    "Command",
    "Configuration",
    "Datastore",
    "DatastoreVersion",
    "EventRow",
    "Flavor",
    "Guest",
    "Instance",
    "Job",
    "KeptReply",
    "Operation",
    "Quota",
    "Rollout",
    "ServiceStatusRow",
    "Subject",
]


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
