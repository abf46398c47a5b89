"""What an error of the cloud means for a flow, and what of it a tenant reads."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from chalicelib.cloud import flavors, images, network, servers, session, snapshots, volumes
from chalicelib.cloud.errors import CloudAway, OverQuota, Refused


class HttpError(Exception):
    """An HTTP error of the SDK."""

    def __init__(self, status: int, details: str, body: Any = None) -> None:
        super().__init__(details)
        self.status_code = status
        self.details = details
        self.response = self
        self.json = lambda: body


def neutron(kind: str) -> HttpError:
    return HttpError(409, f"{kind} in Neutron's words", {"NeutronError": {"type": kind}})


@pytest.mark.parametrize(
    ("function", "given", "words"),
    [
        (volumes.create, {"name": "db-1", "size_gib": 5}, "create the volume db-1"),
        (volumes.extend, {"volume_id": "v", "size_gib": 5}, "extend the volume v"),
        (volumes.find, {"instance_id": "i"}, "find the volume of instance i"),
        (volumes.keep, {"volume_id": "v"}, "keep the volume v"),
        (volumes.reclaim, {"volume_id": "v"}, "reclaim the volume v"),
        (snapshots.create, {"name": "s", "volume_id": "v"}, "create the snapshot s"),
        (snapshots.of_volume, {"volume_id": "v"}, "find the snapshot of volume v"),
        (volumes.find_type, {"name_or_id": "fast"}, "find the type fast"),
        (servers.delete, {"server_id": "s"}, "delete the server s"),
        (servers.find_end, {"server_id": "s"}, "find the end of server s"),
        (servers.confirm_resize, {"server_id": "s"}, "confirm the resize of server s"),
        (
            servers.attach_volume,
            {"server_id": "s", "volume_id": "v"},
            "attach the volume v",
        ),
        (network.create_port, {"name": "p", "network_id": "n"}, "create the port p"),
        (network.create_security_group, {"name": "g"}, "create the security group g"),
        (
            network.create_rule,
            {"group_id": "g", "rule": network.Rule(3306, "::/0")},
            "create the rule 3306 from ::/0",
        ),
        (
            network.create_floating_address,
            {"description": "ours", "network_id": "n", "port_id": "p"},
            "create the floating address of network n",
        ),
        (network.find_ports, {"instance_id": "i"}, "find the ports of instance i"),
        (volumes.page, {"after": None, "limit": 5}, "list the volumes"),
        (network.page_of_security_groups, {"limit": 5}, "list the security groups"),
        (flavors.list_all, {}, "list the flavors"),
        (images.newest_with_tags, {"tags": ["a", "b"]}, "find the image a, b"),
    ],
)
def test_an_error_names_what_was_refused(
    function: Any, given: dict[str, object], words: str
) -> None:
    assert session.spoken(function.__module__, function.__name__, given) == words


@pytest.mark.parametrize(
    "kind", ["IpAddressAlreadyAllocated", "IpAddressInUse", "IpAddressGenerationFailure"]
)
def test_an_address_in_use_is_refused_at_once(kind: str) -> None:
    error = session.from_http(neutron(kind), "create the port")
    assert type(error) is Refused
    assert str(error) == f"The cloud refused to create the port: {kind} in Neutron's words"


@pytest.mark.parametrize("kind", ["SecurityGroupInUse", "PortInUse", "RetryRequest", ""])
def test_another_conflict_may_pass(kind: str) -> None:
    assert type(session.from_http(neutron(kind), "delete the port")) is CloudAway


@pytest.mark.parametrize("body", [None, [], "no JSON", {"NeutronError": "text"}])
def test_a_conflict_without_a_kind_may_pass(body: Any) -> None:
    assert type(session.from_http(HttpError(409, "busy", body), "create the port")) is CloudAway


@pytest.mark.parametrize(
    ("status", "said", "resource"),
    [
        (403, "Quota exceeded for instances: Requested 1, but already used 7", "instances"),
        (403, "Quota exceeded for ram: Requested 512, but already used 977 of 977 ram", "ram"),
        (
            413,
            "VolumeSizeExceedsAvailableQuota: gigabytes quota is 97G and 97G is used",
            "gigabytes",
        ),
        (409, "Quota exceeded for resources: ['security_group_rule'].", "security group rule"),
        (409, "Quota exceeded for resources: ['floatingip'].", "floatingip"),
    ],
)
def test_the_figures_of_the_services_quota_are_for_the_log(
    status: int, said: str, resource: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        error = session.from_http(HttpError(status, said), "create the server db-1")
    assert type(error) is OverQuota
    assert str(error) == (
        f"The deployment has no room to create the server db-1: its quota for {resource} in the "
        "cloud is used up; ask the operator."
    )
    assert (error.resource.replace("_", " "), error.told) == (resource, said)
    assert said in caplog.text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "<html><h1>503</h1>haproxy on controller-17.internal</html>"),
        (500, "oslo_messaging.exceptions.MessagingTimeout: on compute-17"),
        (401, "Could not find user: coffer-service"),
    ],
)
def test_what_an_outage_says_of_its_hosts_is_for_the_log(
    status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        error = session.from_http(HttpError(status, said), "create the server")
    assert type(error) is CloudAway
    assert str(error) == f"The cloud could not create the server: it answered {status}"
    assert said in caplog.text
