"""Each service's quota: refused for good, in words that `chalicelib.cloud` understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.cloud import errors, names, network, server_groups
from tests.cloud.contract.asked import Asked, refused

ENOUGH = 1_000_000
"""Of anything, MiB of memory included: what a project has for the tests that come after these."""


@contextmanager
def limited(asked: Asked, service: str, name: str, limit: int) -> Iterator[None]:
    """The service's project may have so many of something for a while."""
    client: Any = getattr(asked.admin, service)
    project_id = asked.service.project.id
    if service == "network":
        client.put(f"/quotas/{project_id}", json={"quota": {name: limit}}).raise_for_status()
    else:
        _set(client, project_id, {name: limit})
    try:
        yield
    finally:
        if service == "network":
            client.delete(f"/quotas/{project_id}").raise_for_status()
        else:
            _set(client, project_id, {name: ENOUGH})


def _set(client: Any, project_id: str, limits: dict[str, int]) -> None:
    body = {"quota_set": limits}
    client.put(f"/os-quota-sets/{project_id}", json=body).raise_for_status()


def _network_things(asked: Asked) -> dict[str, tuple[int, Callable[[], object]]]:
    home = asked.network_of(asked.tenant, "10.71.0.0/24")
    group = asked.group()
    asked.port(home.id, group.id)
    return {
        "port": (1, lambda: asked.port(home.id, group.id)),
        "security_group": (2, asked.group),
        "security_group_rule": (
            len(_rules(asked)),
            lambda: network.create_rule(group.id, network.Rule(3306, "10.0.0.0/8")),
        ),
    }


def _rules(asked: Asked) -> list[Any]:
    mine = {"project_id": asked.service.project.id}
    return list(asked.service.api.network.security_group_rules(**mine))


def _told(error: errors.CloudError, resource: str) -> None:
    assert type(error) is errors.OverQuota, error
    assert error.resource == resource
    assert "ask the operator" in str(error)
    assert error.told not in str(error)


@pytest.mark.parametrize("resource", ["port", "security_group", "security_group_rule"])
def test_a_quota_of_neutron(asked: Asked, resource: str) -> None:
    limit, more = _network_things(asked)[resource]
    with limited(asked, "network", resource, limit):
        _told(refused(more), resource)


@pytest.mark.parametrize(("resource", "limit"), [("volumes", 0), ("gigabytes", 1)])
def test_a_quota_of_cinder(asked: Asked, resource: str, limit: int) -> None:
    with limited(asked, "block_storage", resource, limit):
        _told(refused(lambda: asked.volume(2)), resource)


@pytest.mark.parametrize("resource", ["instances", "cores", "ram"])
def test_a_quota_of_nova(asked: Asked, resource: str) -> None:
    home = asked.network_of(asked.tenant, "10.72.0.0/24")
    port, disk = asked.port(home.id, asked.group().id), asked.volume()
    with limited(asked, "compute", resource, 0):
        _told(refused(lambda: asked.ask_for_server(port.id, disk.id)), resource)
    assert asked.status_of(disk.id) == "available"


def test_the_quota_of_server_groups(asked: Asked) -> None:
    with limited(asked, "compute", "server_groups", 0):
        mark = names.description(asked.instance_id)
        _told(refused(lambda: server_groups.create(mark, "affinity")), "server_groups")
