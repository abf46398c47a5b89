"""Things in the cloud as the service makes them, for tests that find them there."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.cloud import names, network, volumes
from chalicelib.settings import settings

SIZE_GIB = 2


def make_volume(name: str, metadata: Mapping[str, str]) -> volumes.Volume:
    """A volume with these marks."""
    return volumes.create(
        name, size_gib=SIZE_GIB, volume_type=None, availability_zone=None, metadata=metadata
    )


def make_port(name: str, description: str, group_id: str) -> network.Port:
    """A port in the operator's network."""
    return network.create_port(
        name,
        description,
        network_id=settings().network_id,
        security_group_id=group_id,
        subnet_id=None,
        ip_address=None,
    )


def left_unrecorded(instance_id: str, group_id: str) -> None:
    """What a crash leaves of a create: a volume and a port that no row knows."""
    make_volume(names.volume(instance_id), names.metadata(instance_id, 1))
    make_port(names.network(instance_id), names.description(instance_id), group_id)
