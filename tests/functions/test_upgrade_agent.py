"""The flow `upgrade_agent`: what the guest is asked, and what becomes of each kind of bundle."""

from __future__ import annotations

import pytest

from chalicelib.bus.contract import UPGRADE_AGENT
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import instances, operations
from simulator.fleet.releases import Kind
from tests.functions import scenarios
from tests.support.simulated import Stack


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind.SOUND, None),
        (Kind.DIES, "and ended by itself the last time; the release of before runs again"),
        (Kind.SILENT, "and did not report within 100 s the last time"),
        (Kind.FORGED, "the bundle has the SHA-256 0000"),
        (Kind.ABSENT, "the bundle could not be fetched: the answer was 404"),
    ],
)
def test_an_agent_is_upgraded_or_the_one_of_before_goes_on(
    stack: Stack, kind: Kind, said: str | None
) -> None:
    instance_id, _ = scenarios.upgrade_agent(stack, kind)
    (script,) = stack.guests.values()
    before, begun = script.guest.disk.agent, stack.kernel.now
    row = instances.get_instance(instance_id)
    assert row.status == Status.ACTIVE, "it serves meanwhile"
    assert row.operation_id is not None
    stack.settle()
    operation = operations.get_operation(row.operation_id)
    assert operation is not None
    asked = dict(operation.arguments or {})
    assert script.told[-1] == (
        UPGRADE_AGENT.name,
        {
            **asked,
            "attempt": operation.id,
            "url": f"https://{settings().packages_bucket}.s3.amazonaws.com/agents/"
            f"{asked['sha256']}.tar.gz?X-Amz-Expires=900",
        },
    )
    assert stack.kernel.now - begun < settings().restart_timeout_seconds / 2
    now = instances.get_instance(instance_id)
    assert now.status == Status.ACTIVE
    assert script.guest.up, "its database has gone on"
    assert script.guest.runs == (before if said else asked["version"])
    told = instances.service_status(instance_id)
    assert told is not None
    assert told.agent_version == script.guest.runs
    assert operation.status == ("FAILED" if said else "SUCCEEDED")
    if said is None:
        assert now.fault_message is None
    else:
        assert f"The guest agent was not upgraded: {'' if said[0] == 't' else 'release '}" in str(
            now.fault_message
        )
        assert said in str(now.fault_message)
