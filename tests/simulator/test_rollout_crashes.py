"""Every step of a rollout killed before and after each of its effects.

What it begins is killed elsewhere (`test_every_crash.py`); here the parent dies, alone and
beside a second delivery, while its children go on.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from simulator.versions import FIRST, IMAGES, NEWER
from tests.simulator.crashes import Scenario, all_converge, some_converge
from tests.simulator.deployment import Deployment


def two_one_after_the_other(deployment: Deployment) -> None:
    """Both are rebuilt once; the count of it is watched by I33."""
    _roll_out(deployment, FIRST["mariadb"].name)
    assert {row["generation"] for row in deployment.instances()} == {2}


def two_of_which_the_first_fails(deployment: Deployment) -> None:
    """The image is of another version: its engine leaves the data alone."""
    other = NEWER["mariadb"].name
    _roll_out(deployment, other)
    statuses = sorted(row["status"] for row in deployment.instances())
    assert statuses == ["ACTIVE", "ERROR"]


def two_and_it_is_stopped(deployment: Deployment) -> None:
    """What runs then is waited for, and the other one is left as it is."""
    _roll_out(deployment, FIRST["mariadb"].name, stop_after=4.0)
    assert {row["status"] for row in deployment.instances()} == {"ACTIVE"}


def _roll_out(deployment: Deployment, image: str, stop_after: float | None = None) -> None:
    asked: dict[str, Any] = {"image_id": IMAGES[image], "datastore_version": FIRST["mariadb"].name}

    def work() -> None:
        for _ in range(2):
            deployment.create(deployment.tenant)
        deployment.wait()
        reply = deployment.admin("POST", "/mgmt/rollouts", {"rollout": asked})
        assert reply.status == 202, reply.body
        path = f"/mgmt/rollouts/{reply.document['rollout']['id']}"
        if stop_after is not None:
            deployment.kernel.sleep(stop_after)
            assert deployment.admin("DELETE", path).status in (202, 409)
        deployment.idle()

    deployment.do(work)


SCENARIOS: Final = (two_one_after_the_other, two_of_which_the_first_fails, two_and_it_is_stopped)


@pytest.mark.deep
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_some_deaths_of_a_rollout_converge(scenario: Scenario) -> None:
    some_converge(scenario, "roll_out.")


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_death_of_a_rollout_converges(scenario: Scenario) -> None:
    all_converge(scenario, "roll_out.")
