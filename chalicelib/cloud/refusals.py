"""What an answer of 400 and above means: for good, for later, or a quota. The one table of it.

A status says little: Neutron tells a quota, an address that is taken and a group that is still in
use by 409 alike; Nova and Cinder tell a state that passes by 400. So what is told beside it
decides: Neutron's name for its error, and for the others the words of their exceptions
(nova/exception.py, cinder/exception.py), the same in every release. `tests/cloud/contract` asks for
them.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

_LATER_STATUS: Final = frozenset({401, 408, 409, 425, 429})


class Meaning(Enum):
    """What it means for a flow."""

    FINAL = auto()
    """Asked again it is refused again: somebody else has to do something first."""
    LATER = auto()
    """It passes by itself, or by what a flow does next."""
    ATTACHED = auto()
    """Cinder extends no volume in a server: of its API before 3.42, and of its policy."""
    QUOTA = auto()


KINDS: Final = {
    "OverQuota": Meaning.QUOTA,
    "IpAddressAlreadyAllocated": Meaning.FINAL,
    "IpAddressInUse": Meaning.FINAL,
    "IpAddressGenerationFailure": Meaning.FINAL,
    "MacAddressInUse": Meaning.FINAL,
    "HostNotCompatibleWithFixedIps": Meaning.FINAL,
    "NetworkMTUSubnetConflict": Meaning.FINAL,
    "DeviceIDNotOwnedByProject": Meaning.FINAL,
    "UnsupportedPortDeviceOwner": Meaning.FINAL,
    "ServicePortInUse": Meaning.FINAL,
    "SecurityGroupDefaultAlreadyExists": Meaning.FINAL,
    "SecurityGroupCannotRemoveDefault": Meaning.FINAL,
}
"""By Neutron's name of an error. Its other 409s pass: `SecurityGroupInUse`, `PortInUse`,
`NetworkInUse`, `FloatingIPPortAlreadyAssociated` and what two workers of it do to each other."""

WORDS: Final = (
    (re.compile(r"must be 'available' to extend, currently in-use"), Meaning.ATTACHED),
    (re.compile(r"volume:extend_attached_volume"), Meaning.ATTACHED),
    (re.compile(r"[Qq]uota|LimitExceeded|ExceedsLimit|Maximum number of"), Meaning.QUOTA),
    # Nova, 400: of a volume that it will not attach across zones (`cross_az_attach`).
    (re.compile(r"not in the same availability_zone"), Meaning.FINAL),
    # Nova and Cinder, 400: the volume is being made, attached, detached, or in another server.
    (re.compile(r"Invalid (volume|snapshot): "), Meaning.LATER),
    # Nova, 409: which network or group was meant does not become clear by waiting.
    (
        re.compile(r"(Multiple|More than one) possible network|No Unique Match"),
        Meaning.FINAL,
    ),
)
"""By the words of Nova, Cinder and Glance; the first that fits decides."""

RESOURCES: Final = (
    (re.compile(r"server groups"), "server_groups"),
    (re.compile(r"servers in group"), "server_group_members"),
    (re.compile(r"metadata items"), "metadata_items"),
    (re.compile(r"snapshots"), "snapshots"),
    (re.compile(r"ExceedsLimit"), "per_volume_gigabytes"),
    (
        re.compile(r"security_group_rule|security_group|floatingip|port|network|subnet"),
        None,
    ),
    (re.compile(r"instances|cores|ram|gigabytes|volumes"), None),
)
"""What a quota counts, by the words of its refusal; None: the word itself."""

OPTIONS: Final = {
    "instances": "--instances",
    "cores": "--cores",
    "ram": "--ram",
    "server_groups": "--server-groups",
    "server_group_members": "--server-group-members",
    "metadata_items": "--properties",
    "volumes": "--volumes",
    "snapshots": "--snapshots",
    "gigabytes": "--gigabytes",
    "per_volume_gigabytes": "--per-volume-gigabytes",
    "port": "--ports",
    "security_group": "--secgroups",
    "security_group_rule": "--secgroup-rules",
    "floatingip": "--floating-ips",
}
"""How each is raised: the option of `openstack quota set`."""


def meaning_of(status: int, kind: str, said: str) -> Meaning:
    """What an error means, by its status, Neutron's name of it ("" of another service), its words.

    Whatever is no refusal (a 5xx, no answer) is for later.
    """
    if not 400 <= status < 500:
        return Meaning.LATER
    if kind in KINDS:
        return KINDS[kind]
    for pattern, meaning in WORDS:
        if pattern.search(said):
            return meaning
    return Meaning.LATER if status in _LATER_STATUS else Meaning.FINAL


def resource_in(said: str) -> str:
    """What the quota counts that a refusal tells of, or ""."""
    for pattern, resource in RESOURCES:
        if found := pattern.search(said):
            return resource or found[0]
    return ""
