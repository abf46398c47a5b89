"""The body of a create: what it may hold, and what of it this release does not do yet."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from chalicelib.api.access import AccessBody
from chalicelib.api.contents import Databases, Users, checked_databases, checked_users, granting
from chalicelib.api.labels import Tags
from chalicelib.api.schema import Body, Examples, Given, Name, Reference, Text, id_at_end
from chalicelib.bus import contract
from chalicelib.bus.contract import Method
from chalicelib.bus.contract.arguments import Contents
from chalicelib.domain import bounds, contents, instances
from chalicelib.errors import BadRequest, NotSupported
from chalicelib.settings import settings


class DatastoreBody(Body, frozen=True):
    """Which datastore and version, by name or id; the defaults fill what is missing."""

    type: Given | None = None
    version: Given | None = None
    version_number: Given | None = None


class VolumeBody(Body, frozen=True):
    """The data volume; `size` in GiB, digits in a string are fine."""

    size: int | str
    type: Given | None = None


class NicBody(Body, frozen=True):
    """The user's network; `net-id` is the older name of `network_id`."""

    network_id: Given | None = None
    net_id: Given | None = msgspec.field(default=None, name="net-id")
    subnet_id: Given | None = None
    ip_address: Given | None = None

    def checked(self) -> dict[str, str]:
        """The nic as the task manager reads it."""
        return instances.nic(self.network_id or self.net_id, self.subnet_id, self.ip_address)


Locality = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]
"""Nova's policies of a server group: the servers of an instance and its replicas beside each other,
or apart; the soft ones give way where there is no room."""


Moment = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""A time of ISO 8601; UTC where it names no offset."""
Position = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class RestorePoint(Body, frozen=True):
    """What an instance begins with: a backup (its id, or a URL that ends in it), or the data that
    an `instance` had, or would have had behind a backup, at a `time` or at a `position` of its log:
    of MariaDB a GTID, the last transaction that is in it; of PostgreSQL an LSN, before which begins
    what is in it."""

    backup_ref: Reference | None = msgspec.field(default=None, name="backupRef")
    instance: Reference | None = None
    time: Moment | None = None
    position: Position | None = None

    @property
    def backup_id(self) -> str | None:
        """The id at its end, as Trove reads it."""
        return id_at_end(self.backup_ref) if self.backup_ref is not None else None

    @property
    def instance_id(self) -> str | None:
        """The same of the instance."""
        return id_at_end(self.instance) if self.instance is not None else None


class InstanceBody(Body, frozen=True):
    """A new instance; what stands in the last block is known to Trove and refused with 501 here."""

    name: Name
    flavor_ref: int | str | None = msgspec.field(default=None, name="flavorRef")
    volume: VolumeBody | None = None
    datastore: DatastoreBody | None = None
    nics: Annotated[list[NicBody], msgspec.Meta(max_length=bounds.MAX_NICS)] | None = None
    access: AccessBody | None = None
    databases: Databases | None = None
    users: Users | None = None
    availability_zone: Given | None = None
    locality: Locality | None = None
    region_name: Text | None = None
    description: Text | None = None
    tags: Tags | None = None
    deletion_protection: bool | None = None
    configuration: Given | None = None

    replica_count: Annotated[int, msgspec.Meta(ge=1, le=3)] | None = None

    restore_point: RestorePoint | None = msgspec.field(default=None, name="restorePoint")

    replica_of: Any = None
    configuration_id: Any = None  # of Trove's schema, which then reads the other one
    modules: Any = None


class NewInstance(Body, frozen=True):
    """An instance to create."""

    EXAMPLES: ClassVar[Examples] = (
        {"instance": {"name": "shop", "flavorRef": "1", "volume": {"size": 1}}},
        {
            "instance": {
                "name": "shop",
                "flavorRef": "1",
                "volume": {"size": 1},
                "datastore": {"type": "mariadb", "version": "10.11"},
                "databases": [{"name": "orders", "character_set": "utf8mb4"}],
                "users": [
                    {
                        "name": "alice",
                        "password": "S3cret-of-alice",
                        "databases": [{"name": "orders"}],
                    }
                ],
                "access": {"is_public": True, "allowed_cidrs": ["203.0.113.0/24"]},
                "tags": ["production"],
            }
        },
    )

    instance: InstanceBody


LATER: Final = (
    ("replica_of", "replica_of"),
    ("configuration_id", "configuration_id"),
    ("modules", "modules"),
)


def require_supported(wanted: InstanceBody) -> None:
    """Refuse what a later release does (501), and another region than this one (400)."""
    for name, attribute in LATER:
        value = getattr(wanted, attribute)
        if value is None:
            continue
        if not value:  # never ignored: an empty instance is not what was meant
            raise BadRequest(f"Validation error: instance[{name!r}] is empty")
        raise NotSupported(f"Creating an instance with '{name}' is not supported yet.")
    if wanted.replica_count not in (None, 1):
        raise BadRequest("'replica_count' needs 'replica_of'.")
    if wanted.region_name is not None and wanted.region_name != settings().os_region_name:
        raise BadRequest("The region is not served by this endpoint.")


def contents_asked(wanted: InstanceBody) -> list[Method[Any, Any]]:
    """What would make the databases and users of a create, if they came later."""
    asked: list[Method[Any, Any]] = [contract.CREATE_DATABASE] if wanted.databases else []
    return [*asked, contract.CREATE_USER, *granting(wanted.users)] if wanted.users else asked


def initial_contents(wanted: InstanceBody, manager: str) -> Contents:
    """The databases and users to make when the database runs first, by its engine's rules."""
    rules = contents.rules_of(manager)
    databases = checked_databases(rules, wanted.databases or [])
    users = checked_users(rules, wanted.users or [])
    listed = {database.name for database in databases}
    for user in users:
        contents.require_listed(user.name, (each.name for each in user.databases), listed)
    return Contents(databases, users)
