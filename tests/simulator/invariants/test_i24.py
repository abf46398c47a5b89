"""I24, broken on purpose, is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chalicelib.store.models import Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def deleted_all_the_same(deployment: Deployment) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.protected.set(True)])
    row.update(actions=[Instance.status.set("SHUTDOWN")])


test_a_broken_promise_is_told = told_by("I24", deleted_all_the_same)


def test_a_delete_that_an_administrator_insisted_on_goes_on_after_a_reset(
    deployment: Deployment,
) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.protected.set(True)])
    insists = SimpleNamespace(event={"body": '{"force_delete": {"ignore_protection": true}}'})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.invariants.hub, "invocation", lambda _: insists)
        row.update(
            actions=[Instance.status.set("SHUTDOWN"), Instance.next_operation_id.set("delete-1")]
        )
    row.update(actions=[Instance.status.set("ERROR")])
    row.update(
        actions=[
            Instance.status.set("SHUTDOWN"),
            Instance.operation_id.set("delete-1"),
            Instance.next_operation_id.remove(),
        ]
    )
    assert not deployment.invariants.each["I24"].violations
