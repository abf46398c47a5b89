"""I27, broken on purpose, is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from chalicelib.store.models import Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def done_all_the_same(deployment: Deployment) -> None:
    row = instance(deployment)
    event = {"queryStringParameters": {"dry_run": "true"}}
    with pytest.MonkeyPatch.context() as patch:
        served = SimpleNamespace(event=event)
        patch.setattr(deployment.invariants.hub, "invocation", lambda _: served)
        row.update(actions=[Instance.name.set("other")])


test_a_broken_promise_is_told = told_by("I27", done_all_the_same)
