"""Every step of a backup, a restore and a delete killed before and after each of its effects.

An agent that dies at its work dies in the same scenarios.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from simulator.template import BACKUPS_BUCKET, PREFIX
from tests.simulator.crashes import Scenario, all_converge, some_converge
from tests.simulator.deployment import Deployment

SCOPES: Final = (
    *("create_backup.", "delete_backup.", "restore_instance.", "verify_backup."),
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
        wanted = {
            "name": "again",
            "flavorRef": "1",
            "volume": {"size": 1},
            "restorePoint": {"backupRef": second},
        }
        _asked(deployment, "POST", "/instances", {"instance": wanted})
        deployment.tenant("POST", "/instances", {"instance": wanted})
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


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_some_deaths_of_a_backup_converge(scenario: Scenario) -> None:
    some_converge(scenario, *SCOPES)


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_death_of_a_backup_converges(scenario: Scenario) -> None:
    all_converge(scenario, *SCOPES)
