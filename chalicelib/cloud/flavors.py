"""Nova flavors, for the mirror in DynamoDB."""

from __future__ import annotations

import msgspec

from chalicelib.cloud.session import cloud_call, connection


class CloudFlavor(msgspec.Struct, frozen=True):
    """A flavor: memory in MiB, disks in GiB."""

    id: str
    name: str
    ram: int
    vcpus: int
    disk: int
    ephemeral: int


@cloud_call
def list_all() -> list[CloudFlavor]:
    """Every flavor that the service may use."""
    return [
        CloudFlavor(
            id=str(each.id),
            name=each.name,
            ram=int(each.ram),
            vcpus=int(each.vcpus),
            disk=int(each.disk or 0),
            ephemeral=int(each.ephemeral or 0),
        )
        for each in connection().compute.flavors(details=True)
    ]
