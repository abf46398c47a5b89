"""The table of refusals, with the bodies that the services write (their releases of 2026).

A row is an answer: it goes through openstacksdk as it would from the wire. What the services answer
in the cases that can be brought about is asked by `tests/cloud/contract`.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import requests
from openstack import exceptions

from chalicelib.cloud import refusals, session
from chalicelib.cloud.errors import CloudAway, CloudError, InUse, OverQuota, Refused

ID: Final = "5f6b3cf2-7d2c-4d8e-9f1f-2f8a4d0c1b7e"


def neutron(kind: str, message: str) -> dict[str, Any]:
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


def nova(name: str, status: int, message: str) -> dict[str, Any]:
    """Cinder's form, too."""
    return {name: {"code": status, "message": message}}


def error_of(status: int, body: Any) -> CloudError:
    answer = requests.Response()
    answer.status_code, answer.url = status, "https://cloud/"
    answer.request = requests.Request("POST", answer.url).prepare()
    page = isinstance(body, str)
    answer.headers["Content-Type"] = "text/html" if page else "application/json"
    answer._content = body.encode() if page else json.dumps(body).encode()
    with pytest.raises(exceptions.HttpException) as caught:
        exceptions.raise_from_response(answer)
    return session.from_http(caught.value, "create the port coffer-1")


NEUTRON: Final = [
    (
        "IpAddressAlreadyAllocated",
        f"IP address 10.0.0.9 already allocated in subnet {ID}",
        Refused,
    ),
    (
        "IpAddressInUse",
        f"Unable to complete operation for network {ID}. The IP address 10.0.0.9 is in use.",
        Refused,
    ),
    (
        "IpAddressGenerationFailure",
        f"No more IP addresses available on network {ID}.",
        Refused,
    ),
    (
        "MacAddressInUse",
        f"Unable to complete operation for network {ID}. The mac address fa:16:3e:0:0:1 is in use.",
        Refused,
    ),
    (
        "NetworkMTUSubnetConflict",
        f"MTU of {ID} is not valid, subnet requires a minimum of 1280 bytes.",
        Refused,
    ),
    (
        "ServicePortInUse",
        f"Port {ID} cannot be deleted directly via the port API: has device owner network:dhcp.",
        Refused,
    ),
    ("OverQuota", "Quota exceeded for resources: ['port'].", OverQuota),
    ("OverQuota", "Quota exceeded for resources: ['security_group_rule'].", OverQuota),
    ("SecurityGroupInUse", f"Security Group {ID} in use.", CloudAway),
    (
        "PortInUse",
        f"Unable to complete operation on port {ID} for network {ID}. Port already has an "
        "attached device.",
        CloudAway,
    ),
    (
        "NetworkInUse",
        f"Unable to complete operation on network {ID}. There are one or more ports still in use "
        "on the network.",
        CloudAway,
    ),
    (
        "FloatingIPPortAlreadyAssociated",
        f"Cannot associate floating IP 203.0.113.7 ({ID}) with port {ID} using fixed IP 10.0.0.9, "
        f"as that fixed IP already has a floating IP on external network {ID}.",
        CloudAway,
    ),
    ("RevisionNumberConstraintFailed", "Constrained to 3, but current revision is 4", CloudAway),
]


@pytest.mark.parametrize(("kind", "message", "meant"), NEUTRON, ids=[row[0] for row in NEUTRON])
def test_a_409_of_neutron(kind: str, message: str, meant: type[CloudError]) -> None:
    error = error_of(409, neutron(kind, message))
    assert type(error) is meant
    if meant is not OverQuota:
        assert message[:200] in str(error)


COMPUTE: Final = [
    (
        409,
        "conflictingRequest",
        f"Cannot 'stop' instance {ID} while it is in task_state powering-off",
        CloudAway,
    ),
    (
        409,
        "conflictingRequest",
        f"Cannot 'confirmResize' instance {ID} while it is in vm_state active",
        CloudAway,
    ),
    (409, "conflictingRequest", f"Instance {ID} is locked", CloudAway),
    (409, "conflictingRequest", f"Port {ID} is still in use.", CloudAway),
    (
        409,
        "conflictingRequest",
        "Multiple possible networks found, use a Network ID to be more specific.",
        Refused,
    ),
    (
        403,
        "forbidden",
        "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances",
        OverQuota,
    ),
    (403, "forbidden", "Quota exceeded, too many server groups.", OverQuota),
    (403, "forbidden", "Quota exceeded, too many servers in group", OverQuota),
    (403, "forbidden", "Maximum number of metadata items exceeds 128", OverQuota),
    (
        403,
        "forbidden",
        "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.",
        Refused,
    ),
    (400, "badRequest", "The requested availability zone is not available", Refused),
    (400, "badRequest", f"Port id {ID} could not be found.", Refused),
    (
        400,
        "badRequest",
        f"Block Device Mapping is Invalid: failed to get volume {ID}.",
        Refused,
    ),
    (
        400,
        "badRequest",
        f"Invalid volume: volume '{ID}' status must be 'available'. Currently in 'reserved' "
        "status.",
        CloudAway,
    ),
    (
        400,
        "badRequest",
        f"Invalid volume: Instance {ID} and volume {ID} are not in the same availability_zone. "
        "Instance is in az1. Volume is in nova",
        Refused,
    ),
]
VOLUME: Final = [
    (
        413,
        "overLimit",
        "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.",
        OverQuota,
    ),
    (
        413,
        "overLimit",
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes "
        "quota. Requested 9G, quota is 1000G and 995G has been consumed.",
        OverQuota,
    ),
    (
        413,
        "overLimit",
        "VolumeSizeExceedsLimit: Requested volume size 90G is larger than maximum allowed limit "
        "50G.",
        OverQuota,
    ),
    (
        400,
        "badRequest",
        "Invalid volume: Volume status must be available or error or error_restoring or "
        "error_extending or error_managing and must not be migrating, attached, belong to a group, "
        "have snapshots, awaiting a transfer, or be disassociated from snapshots after volume "
        "transfer.",
        CloudAway,
    ),
    (
        400,
        "badRequest",
        f"Invalid volume: Volume {ID} status must be 'available' to extend, currently in-use.",
        InUse,
    ),
    (
        403,
        "forbidden",
        "Policy doesn't allow volume:extend_attached_volume to be performed.",
        InUse,
    ),
    (400, "badRequest", "Availability zone 'moon' is invalid.", Refused),
    (
        400,
        "badRequest",
        "Invalid input received: New size for extend must be greater than current size.",
        Refused,
    ),
]


@pytest.mark.parametrize(("status", "name", "message", "meant"), [*COMPUTE, *VOLUME])
def test_what_nova_and_cinder_refuse(
    status: int, name: str, message: str, meant: type[CloudError]
) -> None:
    assert type(error_of(status, nova(name, status, message))) is meant


@pytest.mark.parametrize(
    ("status", "meant"), [(403, Refused), (404, Refused), (409, CloudAway), (503, CloudAway)]
)
def test_a_page_of_glances(status: int, meant: type[CloudError]) -> None:
    page = f"<html><head><title>{status}</title></head><body>No image found</body></html>"
    assert type(error_of(status, page)) is meant


@pytest.mark.parametrize("status", [401, 408, 425, 429, 500, 502, 503, 504])
def test_what_is_no_refusal_is_for_later_whatever_it_says(status: int) -> None:
    assert type(error_of(status, nova("x", status, "nothing of a limit"))) is CloudAway


@pytest.mark.parametrize("rows", [NEUTRON, COMPUTE, VOLUME], ids=["neutron", "nova", "cinder"])
def test_each_quota_is_one_that_the_operator_can_be_told_to_raise(rows: list[Any]) -> None:
    told = [row[-2] for row in rows if row[-1] is OverQuota]
    assert told
    for message in told:
        assert refusals.resource_in(message) in refusals.OPTIONS, message
