"""Which container backups go to: the instance's own, else its project's, else none."""

from __future__ import annotations

import pytest

from chalicelib.domain.containers import Container
from chalicelib.errors import NotFound
from chalicelib.lifecycle import Status
from chalicelib.store import instances, strategies
from chalicelib.store.models import Instance
from chalicelib.store.strategies import Strategy
from tests.support.bare import World
from tests.support.rows import new_instance

OWN = Container("https://swift/v1/AUTH_tenant-1/own", 1)
SHARED = Container("https://swift/v1/AUTH_tenant-1/shared", 2)


@pytest.fixture
def row(world: World) -> Instance:
    made = new_instance()
    made.save()
    return made


def now(row: Instance) -> Instance:
    return instances.get_instance(row.id)


def test_the_instances_comes_before_the_projects(row: Instance) -> None:
    assert strategies.container_for(now(row)) is None
    strategies.of_project(row.tenant_id, SHARED)
    assert strategies.container_for(now(row)) == SHARED
    strategies.of_instance(row, OWN)
    assert strategies.container_for(now(row)) == OWN
    strategies.of_project(row.tenant_id, None)
    strategies.of_instance(now(row), None)
    assert strategies.container_for(now(row)) is None


def test_they_are_told_the_projects_first(row: Instance) -> None:
    strategies.of_instance(row, OWN)
    strategies.of_project(row.tenant_id, SHARED)
    own = Strategy(row.tenant_id, row.id, OWN)
    assert strategies.of_tenant(row.tenant_id) == [Strategy(row.tenant_id, None, SHARED), own]
    assert strategies.of_tenant(row.tenant_id, row.id) == [own]
    assert strategies.of_tenant("tenant-2") == []


def test_an_instance_that_is_gone_is_given_none(row: Instance) -> None:
    row.update(actions=[Instance.status.set(Status.DELETED)])
    with pytest.raises(NotFound):
        strategies.of_instance(row, OWN)
    row.refresh(consistent_read=True)
    assert row.backup_container is None
