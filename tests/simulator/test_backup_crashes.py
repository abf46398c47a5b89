"""Every step of backups, snapshots and restores killed before and after each of its effects.

An agent that dies at its work dies in the same scenarios.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from simulator.template import BACKUPS_BUCKET, PREFIX
from tests.simulator.crashes import Scenario, all_converge, some_converge
from tests.simulator.deployment import Deployment
from tests.simulator.troves import put_by_trove

SCOPES: Final = (
    *("create_backup.", "delete_backup.", "restore_instance.", "verify_backup."),
    *("create_snapshot.", "restore_snapshot.", "delete_instance."),
    *("guest.", "part "),
)


def _asked(deployment: Deployment, method: str, path: str, body: Any = None) -> Any:
    """What is answered to a request, which is made again until something is; then its end."""
    while (reply := deployment.tenant(method, path, body)).status >= 500:
        deployment.kernel.sleep(5.0)
    deployment.idle()
    return reply


def _instance(deployment: Deployment) -> str:
    deployment.create(deployment.tenant)
    deployment.wait()
    return str(deployment.instances()[0]["id"])


def _back_up(deployment: Deployment, instance_id: str, **more: Any) -> str:
    wanted = {"backup": {"name": "b", "instance": instance_id, **more}}
    return str(_asked(deployment, "POST", "/backups", wanted).document["backup"]["id"])


def a_chain_is_made_and_deleted(deployment: Deployment) -> None:
    """One that has failed is no parent: then the next is a full one too."""

    def work() -> None:
        instance_id = _instance(deployment)
        first = _back_up(deployment, instance_id)
        second = _back_up(deployment, instance_id, incremental=1)
        for each in (second, first, second, first):
            _asked(deployment, "DELETE", f"/backups/{each}")

    deployment.do(work)
    assert not list(deployment.region.s3.buckets[BACKUPS_BUCKET].behind("", ""))


def a_chain_is_restored_and_goes_at_once(deployment: Deployment) -> None:
    """The second restore begins with a backup that is deleted meanwhile."""

    def work() -> None:
        instance_id = _instance(deployment)
        _back_up(deployment, instance_id)
        second = _back_up(deployment, instance_id, incremental=1)
        _restore(deployment, second)
        deployment.tenant("POST", "/instances", _beginning_with(second))
        _asked(deployment, "DELETE", f"/backups/{second}")

    deployment.do(work)


def one_is_tried_out_and_again(deployment: Deployment) -> None:
    """To its end, and then cancelled on the way."""

    def work() -> None:
        instance_id = _instance(deployment)
        backup = f"/backups/{_back_up(deployment, instance_id)}"
        for _ in range(2):
            _asked(deployment, "POST", f"{backup}/action", {"verify": {}})
        deployment.tenant("POST", f"{backup}/action", {"verify": {}})
        deployment.kernel.sleep(2.0)
        _cancel(deployment, instance_id)
        _asked(deployment, "DELETE", backup)

    deployment.do(work)


def one_is_cancelled(deployment: Deployment) -> None:
    def work() -> None:
        instance_id = _instance(deployment)
        wanted = {"backup": {"name": "b", "instance": instance_id}}
        deployment.tenant("POST", "/backups", wanted)
        deployment.kernel.sleep(4.0)
        _cancel(deployment, instance_id)

    deployment.do(work)


def a_chain_in_a_container_is_made_and_deleted(deployment: Deployment) -> None:
    """Nothing is ever listed there, and nothing may be left all the same."""

    def work() -> None:
        instance_id = _instance(deployment)
        first = _back_up(deployment, instance_id, swift_container="nightly")
        _back_up(deployment, instance_id, swift_container="nightly", incremental=1)
        _asked(deployment, "DELETE", f"/backups/{first}?cascade=true")
        for backup in deployment.region.dynamodb.rows(f"{PREFIX}-backups"):  # if the first failed
            _asked(deployment, "DELETE", f"/backups/{backup['id']}?cascade=true")

    deployment.do(work)
    assert deployment.region.swift.urls() == []


def a_snapshot_is_restored_and_outlives_its_instance(deployment: Deployment) -> None:
    """The volume stays with it, and goes with it."""

    def work() -> None:
        instance_id = _instance(deployment)
        snapshot = _back_up(deployment, instance_id, storage_driver="cinder")
        _restore(deployment, snapshot)
        _asked(deployment, "DELETE", f"/instances/{instance_id}")
        _asked(deployment, "DELETE", f"/backups/{snapshot}")

    deployment.do(work)


def one_is_taken_in_restored_and_deleted(deployment: Deployment) -> None:
    """Whoever dies, the object stays as it is."""
    lying: list[str] = []

    def work() -> None:
        lying.append(put_by_trove(deployment))
        found = _asked(deployment, "GET", "/datastores/mariadb").document["datastore"]
        asked = {
            "remote_location": lying[0],
            "local_datastore_version_id": found["default_version"],
            "size": 0.5,
        }
        body = {"backup": {"name": "trove's", "restore_from": asked}}
        imported = _asked(deployment, "POST", "/backups", body).document["backup"]["id"]
        _restore(deployment, imported)
        _asked(deployment, "DELETE", f"/backups/{imported}")

    deployment.do(work)
    assert deployment.region.swift.urls() == lying


def _restore(deployment: Deployment, backup_id: str) -> None:
    _asked(deployment, "POST", "/instances", _beginning_with(backup_id))


def _beginning_with(backup_id: str) -> dict[str, Any]:
    point = {"backupRef": backup_id}
    wanted = {"name": "again", "flavorRef": "1", "volume": {"size": 1}, "restorePoint": point}
    return {"instance": wanted}


def _cancel(deployment: Deployment, instance_id: str) -> None:
    path = f"/instances/{instance_id}/operations"
    for each in deployment.tenant("GET", f"{path}?limit=1").document["operations"]:
        _asked(deployment, "DELETE", f"{path}/{each['id']}")


SCENARIOS: Final = (
    a_chain_is_made_and_deleted,
    a_chain_in_a_container_is_made_and_deleted,
    a_chain_is_restored_and_goes_at_once,
    one_is_cancelled,
    one_is_tried_out_and_again,
)
AT_LENGTH: Final = (
    a_snapshot_is_restored_and_outlives_its_instance,
    one_is_taken_in_restored_and_deleted,
)
"""Each kind of effect of these flows is struck once in `tests/functions/test_every_crash.py`."""


@pytest.mark.deep
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_some_deaths_of_a_backup_converge(scenario: Scenario) -> None:
    some_converge(scenario, *SCOPES)


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS + AT_LENGTH, ids=lambda scenario: scenario.__name__)
def test_every_death_of_a_backup_converges(scenario: Scenario) -> None:
    all_converge(scenario, *SCOPES)
