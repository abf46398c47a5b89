"""I42, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.store.models import Instance
from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def answered(
    deployment: Deployment,
    status: int,
    *,
    gone: bool = False,
    after: float = 200,
    role: str = "member",
    project: str | None = None,
) -> None:
    """Somebody asks for an instance, so long after its row has changed: its tenant, or another."""
    row = instance(deployment)
    if gone:
        row.update(actions=[Instance.status.set("DELETED")])
    deployment.run(after)
    path = f"/v1.0/{row.tenant_id}/instances/{row.id}"
    headers = {"X-Auth-Token": deployment.region.log_in(project or row.tenant_id, role)}
    for watch in deployment.region.replied:
        watch("GET", path, headers, b"", Reply(status, {}, f'"{row.id}"'.encode()))


def not_found(deployment: Deployment) -> None:
    answered(deployment, 404)


def not_found_by_an_operator(deployment: Deployment) -> None:
    answered(deployment, 404, role="admin", project="operators")


def found_all_the_same(deployment: Deployment) -> None:
    answered(deployment, 200, gone=True)


test_a_broken_promise_is_told = told_by(
    "I42", not_found, not_found_by_an_operator, found_all_the_same
)


def test_who_has_just_gone_may_be_found_as_it_was(deployment: Deployment) -> None:
    deployment.region.dynamodb.most_lag_seconds = 60.0
    answered(deployment, 200, gone=True, after=1)
    assert not deployment.invariants.each["I42"].violations


def test_who_is_anothers_may_be_missing(deployment: Deployment) -> None:
    answered(deployment, 404, project="another")
    assert not deployment.invariants.each["I42"].violations


def test_who_is_there_is_found(deployment: Deployment) -> None:
    answered(deployment, 200)
    assert deployment.invariants.results()["I42"].verdict == "holds"
