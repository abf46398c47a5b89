"""I5, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Quota
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import replied, told_by


def counted_twice(deployment: Deployment) -> None:
    next(iter(Quota.scan())).update(actions=[Quota.instances.add(1)])


def negative(deployment: Deployment) -> None:
    next(iter(Quota.scan())).update(actions=[Quota.ram.add(-10_000)])


def limits_not_stored(deployment: Deployment) -> None:
    tenant = deployment.instances()[0]["tenant_id"]
    body = b'{"quotas": {"instances": 3}}'
    replied(deployment, "PUT", f"/v1.0/operators/mgmt/quotas/{tenant}", Reply(200, {}, b""), body)


test_a_broken_promise_is_told = told_by("I5", counted_twice, negative, limits_not_stored)
