"""Every step of a change of a configuration group killed before and after each of its effects.

The change and what it begins die, alone and beside a second delivery, and a newer change comes
while the first is under way. What the guests hold in the end is looked at by I36.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.simulator.crashes import Scenario, all_converge, some_converge
from tests.simulator.deployment import Deployment

SCOPES: Final = ("apply_configuration.", "configure_instance.")


def two_changes_of_two_instances(deployment: Deployment) -> None:
    """The second change comes in the middle of the first."""
    _change(deployment, 50, 60)
    assert _held(deployment) == [{"max_connections": 60}] * 2


def a_change_and_a_detach(deployment: Deployment) -> None:
    """Of the two one loses its group while it is told of the new values."""
    _change(deployment, 50, None)
    assert _held(deployment) == [{}, {"max_connections": 50}]


def _change(deployment: Deployment, first: int, second: int | None) -> None:
    tenant, kernel = deployment.tenant, deployment.kernel

    def group(value: int) -> dict[str, object]:
        return {"configuration": {"name": "g", "values": {"max_connections": value}}}

    def work() -> None:
        for _ in range(2):
            deployment.create(tenant)
        deployment.wait()
        made = tenant("POST", "/configurations", group(40)).document["configuration"]["id"]
        ids = sorted(row["id"] for row in deployment.instances())
        for each in ids:
            wanted = {"instance": {"configuration": made}}
            assert tenant("PUT", f"/instances/{each}", wanted).status == 202
        deployment.idle()
        path = f"/configurations/{made}"
        assert tenant("PUT", path, group(first)).status == 202
        kernel.sleep(0.3)
        for _ in range(20):
            if second is not None:
                reply = tenant("PUT", path, group(second))
            else:
                wanted = {"instance": {"configuration": None}}
                reply = tenant("PUT", f"/instances/{ids[0]}", wanted)
            if reply.status == 202:
                break
            kernel.sleep(15.0)
        assert reply.status == 202, reply.body
        deployment.idle()

    deployment.do(work)


def _held(deployment: Deployment) -> list[dict[str, object]]:
    """What the guests hold, in the order of their instances."""
    ids = sorted(row["id"] for row in deployment.instances())
    (first,), (second,) = (deployment.fleet.of_instance(each) for each in ids)
    return [dict(first.disk.configuration), dict(second.disk.configuration)]


SCENARIOS: Final = (two_changes_of_two_instances, a_change_and_a_detach)


@pytest.mark.deep
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_some_deaths_of_a_change_converge(scenario: Scenario) -> None:
    some_converge(scenario, *SCOPES)


@pytest.mark.crash
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_death_of_a_change_converges(scenario: Scenario) -> None:
    all_converge(scenario, *SCOPES)
