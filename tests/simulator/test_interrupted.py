"""Every flow of a running instance, with an operator or its owner coming between at each moment."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.lifecycle import Status
from tests.simulator.deployment import Deployment
from tests.support.copies import Copies

Body = dict[str, Any]

FLOWS: Final[dict[str, Body]] = {
    "restart": {"restart": {}},
    "resize of the volume": {"resize": {"volume": {"size": 3}}},
    "resize of the flavor": {"resize": {"flavorRef": "4"}},
    "stop": {"stop": {}},
    "start": {"start": {}},
    "reboot": {"reboot": {}},
    "migrate": {"migrate": {}},
}
OF_OPERATORS: Final = ("reboot", "migrate")
INTERRUPTIONS: Final[dict[str, Body | None]] = {
    "reset": {"reset_status": {}},
    "delete": None,
    "force delete": {"force_delete": {}},
}
SECONDS: Final = (0.0, 0.3, 1.0, 2.5, 5.0, 9.0, 15.0, 30.0)


def ask(deployment: Deployment, path: str, body: Body | None) -> None:
    """An action, or a delete, that has to be accepted."""
    method, whole = ("DELETE", path) if body is None else ("POST", f"{path}/action")
    reply = deployment.admin(method, whole, body)
    assert reply.status == 202, reply


def served(deployment: Deployment, flow: str) -> str:
    """The path of an instance that is in the status with which the flow begins."""
    deployment.do(lambda: deployment.create(deployment.tenant))
    deployment.settle()
    path = f"/instances/{deployment.instances()[0]['id']}"
    if flow == "start":
        deployment.do(lambda: ask(deployment, path, FLOWS["stop"]))
        deployment.settle()
    return path


def interrupted(
    deployment: Deployment, path: str, flow: str, interruption: str, seconds: float
) -> list[str]:
    """What is left of an instance whose flow was interrupted after so many seconds."""

    def interrupt() -> None:
        ask(deployment, f"/mgmt{path}" if flow in OF_OPERATORS else path, FLOWS[flow])
        deployment.kernel.sleep(seconds)
        ask(deployment, path, INTERRUPTIONS[interruption])

    deployment.do(interrupt)
    deployment.settle()
    deployment.invariants.check_healed()
    assert deployment.explain() == ""
    return [str(row["status"]) for row in deployment.instances()]


@pytest.mark.deep
@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_ends_at_rest_whenever_somebody_comes_between(flow: str, interruption: str) -> None:
    at_rest = ([Status.ACTIVE], [Status.STOPPED]) if interruption == "reset" else ([],)
    deployment, copies = Deployment(), Copies()

    def work() -> None:
        path = served(deployment, flow)
        for seconds in SECONDS:
            if copies.copy(f"{interruption} after {seconds} s"):
                assert interrupted(deployment, path, flow, interruption, seconds) in at_rest
                return

    try:
        copies.run(work)
    finally:
        deployment.close()
    assert copies.count == len(SECONDS)
    assert not copies.failures, "\n\n".join(copies.failures)
