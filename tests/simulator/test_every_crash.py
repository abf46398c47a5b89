"""Every handler, every step and every agent killed before and after each of its effects.

The deaths of one scenario are spread over a few tests, so that each ends in time; those that
`make test-deep` runs are a dozen of each scenario, the rest is marked `crash`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulator.cloud.model.faults import Fault
from simulator.fleet.releases import BUNDLES
from simulator.versions import NEWER
from tests.simulator.crashes import Scenario, all_converge, some_converge
from tests.simulator.deployment import PASSWORD, Deployment


def _all_is_well(deployment: Deployment) -> None:
    """Nothing is under way, each promise holds, and each volume has the data it was made with."""
    deployment.settle()
    deployment.invariants.check_healed()
    for volume in deployment.fleet.volumes.values():
        assert set(volume.contents.databases) == {"shop"}


def _all_goes(deployment: Deployment) -> None:
    deployment.do(lambda: deployment.delete_all(deployment.tenant))
    assert deployment.instances() == []


def create_and_delete(deployment: Deployment) -> None:
    def create() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()

    deployment.do(create)
    _all_is_well(deployment)
    _all_goes(deployment)


def create_without_hosts(deployment: Deployment) -> None:
    deployment.cloud.faults.arm(Fault("1", "compute", "create_server", "error", count=99))

    def create() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()

    deployment.do(create)
    deployment.settle()
    deployment.invariants.check_healed()
    assert all(row["status"] == "ERROR" for row in deployment.instances())
    deployment.do(lambda: deployment.delete_all(deployment.tenant))


def delete_by_force_while_the_server_boots(deployment: Deployment) -> None:
    _force_delete_after(deployment, 1.2)


def delete_by_force_while_the_guest_prepares(deployment: Deployment) -> None:
    _force_delete_after(deployment, 20.0)


def _force_delete_after(deployment: Deployment, seconds: float) -> None:
    def create() -> None:
        deployment.create(deployment.tenant)
        deployment.kernel.sleep(seconds)
        deployment.force_delete_all(deployment.admin)

    deployment.do(create)
    assert deployment.instances() == []


def contents(deployment: Deployment) -> None:
    """Calls that wait for a guest; a reply that says nothing is asked again."""

    def work() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        rows = [row for row in deployment.instances() if row["status"] == "ACTIVE"]
        for row in rows:
            path = f"/instances/{row['id']}"
            user = {"name": "bob", "password": PASSWORD, "databases": [{"name": "shop"}]}
            deployment.tenant("POST", f"{path}/users", {"users": [user]})
            deployment.tenant("POST", f"{path}/root")
            deployment.tenant("GET", f"{path}/databases")
            deployment.tenant("POST", f"{path}/action", {"restart": {}})

    deployment.do(work)


def open_and_close(deployment: Deployment) -> None:
    """The access is changed twice; whoever asks again after a lost answer changes nothing more."""

    def change() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        opened = {"is_public": True, "allowed_cidrs": ["10.1.0.0/16"]}
        for access in (opened, {"is_public": False}):
            for row in deployment.instances():
                body = {"instance": {"access": access}}
                deployment.tenant("PUT", f"/instances/{row['id']}", body)
            deployment.idle()

    deployment.do(change)
    _all_is_well(deployment)
    _all_goes(deployment)


def delete_while_the_access_changes(deployment: Deployment) -> None:
    """The delete calls the change back, and nobody restores what it takes away."""

    def change() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        for row in deployment.instances():
            body = {"instance": {"access": {"is_public": True}}}
            deployment.tenant("PUT", f"/instances/{row['id']}", body)
        deployment.delete_all(deployment.tenant)

    deployment.do(change)
    assert deployment.instances() == []


def resize_the_flavor(deployment: Deployment) -> None:
    """Up and down again, by whoever asks once more after a lost answer."""
    _resize(deployment, "4", "1")


def resize_the_flavor_in_vain(deployment: Deployment) -> None:
    """Nova breaks the server; it is stopped, resized back, confirmed and started."""
    deployment.cloud.faults.arm(Fault("1", "compute", "resize_server", "error"))
    _resize(deployment, "4")


def _resize(deployment: Deployment, *flavors: str) -> None:
    def resize() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        for flavor in flavors:
            for row in deployment.instances():
                body = {"resize": {"flavorRef": flavor}}
                deployment.tenant("POST", f"/instances/{row['id']}/action", body)
            deployment.idle()

    deployment.do(resize)
    _all_is_well(deployment)
    _all_goes(deployment)


def migrate(deployment: Deployment) -> None:
    """To another host, to one that there is not, and back; the data are there in the end."""

    def move() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        for host in (None, "compute-nowhere", "compute-1"):
            for row in deployment.instances():
                path = f"/mgmt/instances/{row['id']}/action"
                deployment.admin("POST", path, {"migrate": {"host": host}})
            deployment.idle()

    deployment.do(move)
    _all_is_well(deployment)
    _all_goes(deployment)


def rebuild_expel_and_rebuild(deployment: Deployment) -> None:
    """An operator asks again until it was accepted; the data are there in the end."""

    def ask(action: dict[str, Any]) -> None:
        for row in deployment.instances():
            path = f"/mgmt/instances/{row['id']}/action"
            while deployment.admin("POST", path, action).status >= 500:
                deployment.kernel.sleep(5.0)
        deployment.idle()

    def work() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        image_id = next(iter(deployment.cloud.image.images))
        ask({"rebuild": {"image_id": image_id}})
        ask({"expel": {}})
        ask({"rebuild": {"image_id": image_id}})

    deployment.do(work)
    _all_is_well(deployment)
    _all_goes(deployment)


def vanished_and_rebuilt(deployment: Deployment) -> None:
    """Somebody has deleted the server; an operator's rebuild makes one for the data."""

    def work() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        for server in list(deployment.cloud.compute.servers.values()):
            deployment.cloud.compute._lifecycle.vanish(server)
        image_id = next(iter(deployment.cloud.image.images))
        for row in deployment.instances():
            path = f"/mgmt/instances/{row['id']}/action"
            while deployment.admin("POST", path, {"rebuild": {"image_id": image_id}}).status >= 500:
                deployment.kernel.sleep(5.0)
        deployment.idle()

    deployment.do(work)
    _all_is_well(deployment)
    _all_goes(deployment)


def upgrade_and_go_back(deployment: Deployment) -> None:
    """To a version that works, to one whose engine does not start, and to one without its image.

    It is asked for again until it was accepted; the data are there in the end, and the version that
    is told is the one that runs.
    """

    def ask(name: str) -> None:
        body = {"instance": {"datastore_version": name}}
        for row in deployment.instances():
            path = f"/instances/{row['id']}"
            while deployment.tenant("PATCH", path, body).status >= 500:
                deployment.kernel.sleep(5.0)
        deployment.idle()

    def work() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        for name in (NEWER["mariadb"].name, "10.11.10", "10.11.12"):
            ask(name)

    deployment.do(work)
    _all_is_well(deployment)
    _all_goes(deployment)


def upgrade_the_agent(deployment: Deployment) -> None:
    """To a bundle that is sound, and to each that is not: the agent that worked comes back."""

    def work() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()
        for bundle in {each.kind: each for each in BUNDLES}.values():
            body = {"upgrade_agent": msgspec.to_builtins(bundle.asked)}
            for row in deployment.instances():
                path = f"/mgmt/instances/{row['id']}/action"
                while deployment.admin("POST", path, body).status >= 500:
                    deployment.kernel.sleep(5.0)
            deployment.idle()

    deployment.do(work)
    _all_is_well(deployment)
    _all_goes(deployment)


def evacuated_behind_our_back(deployment: Deployment) -> None:
    """Nova gives the server another disk; it is let in again without anybody's doing."""

    def work() -> None:
        deployment.create(deployment.tenant)
        deployment.wait()

    deployment.do(work)
    deployment.settle()
    for server_id in list(deployment.cloud.compute.servers):
        deployment.cloud.compute.evacuate(server_id)
    deployment.run(1500.0)
    _all_is_well(deployment)
    assert {row["generation"] for row in deployment.instances()} == {2}
    _all_goes(deployment)


SCENARIOS: tuple[Scenario, ...] = (
    create_and_delete,
    create_without_hosts,
    delete_by_force_while_the_server_boots,
    delete_by_force_while_the_guest_prepares,
    contents,
    open_and_close,
    delete_while_the_access_changes,
    resize_the_flavor,
    resize_the_flavor_in_vain,
    migrate,
    rebuild_expel_and_rebuild,
    vanished_and_rebuilt,
    upgrade_and_go_back,
    upgrade_the_agent,
    evacuated_behind_our_back,
)


@pytest.mark.deep
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_scenario_holds_without_a_death_and_after_some(scenario: Scenario) -> None:
    some_converge(scenario)


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_death_converges(scenario: Scenario) -> None:
    all_converge(scenario)
