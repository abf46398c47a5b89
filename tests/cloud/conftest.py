"""One served cloud for the whole run; each test leaves it empty and without faults."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.served import ServedCloud, Tenant
from tests.support.loopback import own_network


def pytest_itemcollected(item: pytest.Item) -> None:
    """The tests of this folder share one cloud, so one worker runs them all."""
    if "/tests/cloud/" in str(item.path):
        item.add_marker(pytest.mark.xdist_group("cloud"))


@pytest.fixture(scope="session")
def cloud_root() -> Iterator[Path]:
    """A folder that goes away with the run."""
    root = Path(tempfile.mkdtemp(prefix="coffer-cloud-"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def cloud(cloud_root: Path) -> Iterator[ServedCloud]:
    """The served cloud."""
    served = ServedCloud(cloud_root, own_network())
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="session")
def admin_tenant(cloud: ServedCloud) -> Tenant:
    """The user admin."""
    return Tenant(cloud.connect("admin"))


@pytest.fixture(scope="session")
def service_tenant(cloud: ServedCloud) -> Tenant:
    """Coffer's own user."""
    return Tenant(cloud.connect("coffer"))


@pytest.fixture(scope="session")
def demo_tenant(cloud: ServedCloud) -> Tenant:
    """A plain member."""
    return Tenant(cloud.connect("demo"))


@pytest.fixture
def admin(admin_tenant: Tenant, cloud: ServedCloud) -> Iterator[Tenant]:
    """The user admin; heals the cloud after the test."""
    yield admin_tenant
    cloud.control("DELETE", "/faults")


@pytest.fixture
def service(service_tenant: Tenant, cloud: ServedCloud) -> Iterator[Tenant]:
    """Coffer's own user; heals the cloud and removes what the test made."""
    yield service_tenant
    cloud.control("DELETE", "/faults")
    service_tenant.delete_everything()


@pytest.fixture
def demo(demo_tenant: Tenant) -> Iterator[Tenant]:
    """A plain member; removes what the test made."""
    yield demo_tenant
    demo_tenant.delete_everything()
