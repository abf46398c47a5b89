"""The cloud that the suite asks, its people, and one instance's things on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest

from chalicelib import aws
from chalicelib.cloud import (
    flavors,
    images,
    network,
    server_groups,
    servers,
    session,
    snapshots,
    volumes,
)
from tests.cloud.contract.asked import Asked
from tests.cloud.contract.people import Person
from tests.openstack import people
from tests.openstack.site import VARIABLE, Site

CLOUD = "COFFER_CONTRACT_CLOUD"
MODULES = (session, servers, server_groups, volumes, snapshots, network, images, flavors)


@pytest.fixture(scope="session")
def admin(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of openstacksdk for an administrator of the cloud that is asked."""
    if name := os.environ.get(CLOUD):
        connection = openstack.connect(cloud=name)
    elif file := os.environ.get(VARIABLE):
        connection = people.connect(Site.read(Path(file)))
    else:
        connection = request.getfixturevalue("cloud").connect("admin")
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def service(admin: Any) -> Iterator[Person]:
    """The user of a deployment: {member, service} on a project of its own, and nothing else."""
    made = Person(admin, "service", ("member", "service"))
    yield made
    made.gone()


@pytest.fixture(scope="session")
def tenant(admin: Any) -> Iterator[Person]:
    """A plain member of a project."""
    made = Person(admin, "tenant", ("member",))
    yield made
    made.gone()


@pytest.fixture(scope="session")
def stranger(admin: Any) -> Iterator[Person]:
    """A plain member of another project."""
    made = Person(admin, "stranger", ("member",))
    yield made
    made.gone()


@pytest.fixture(params=[0, 86400], ids=["gone", "kept"])
def keeping(request: pytest.FixtureRequest) -> Iterator[None]:
    """The local cloud without soft delete and with it; a real one is as its operator set it up."""
    if {CLOUD, VARIABLE} & os.environ.keys():
        yield
        return
    cloud = request.getfixturevalue("cloud")
    assert cloud.control("PUT", "/reclaim", json={"seconds": request.param}).ok
    yield
    assert cloud.control("PUT", "/reclaim", json={"seconds": 0}).ok


@pytest.fixture
def asked(
    admin: Any, service: Person, tenant: Person, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    """The functions of `chalicelib.cloud` as the service's user, and an instance's id for them."""
    monkeypatch.setenv("COFFER_DEPLOYMENT_ID", "deployment-of-the-contract")
    aws.forget("settings")
    for module in MODULES:
        monkeypatch.setattr(module, "connection", lambda: service.api)
    made = Asked(admin, service, tenant)
    yield made
    made.clean()
    aws.forget("settings")
