"""Two hundred creates at once by one tenant: each is accepted, or refused by the quota."""

from __future__ import annotations

import json
from collections import Counter
from typing import Final

import pytest

from simulator.aws.dynamodb.account import Chances
from simulator.aws.dynamodb.tables import Key
from simulator.kernel import START
from tests.simulator.deployment import Deployment

AT_ONCE: Final = 200
HELD_SECONDS: Final = 0.02
"""So long a transaction holds its items against others, a slow one."""


class OneAtATime(Chances):
    """An item that a transaction has just written refuses the next one for a moment."""

    def __init__(self, deployment: Deployment) -> None:
        self.kernel = deployment.kernel
        self.until: dict[tuple[str, Key], float] = {}
        self.conflicts = 0

    def conflict(self, table: str, key: Key) -> bool:
        if not table.endswith("-quotas"):
            return False
        if self.kernel.now < self.until.get((table, key), START):
            self.conflicts += 1
            return True
        self.until[table, key] = self.kernel.now + HELD_SECONDS
        return False


def burst(instances: int) -> tuple[Counter[int], OneAtATime]:
    options = {"COFFER_QUOTA_INSTANCES": str(instances), "COFFER_QUOTA_VOLUMES": "-1"}
    deployment = Deployment(options=options)
    try:
        chances = OneAtATime(deployment)
        deployment.region.dynamodb.chances = chances
        client, answers = deployment.tenant, Counter[int]()
        body = {
            "name": "db",
            "flavorRef": "1",
            "volume": {"size": 1},
            "datastore": {"type": "mariadb", "version": "10.11"},
        }

        def create() -> None:
            reply = client("POST", "/instances", {"instance": body})
            assert reply.status in (200, 413), json.loads(reply.body)
            answers[reply.status] += 1

        for number in range(AT_ONCE):
            deployment.kernel.spawn(create, f"client {number}", None, lambda _: None)
        deployment.run(40.0)
        return answers, chances
    finally:
        deployment.close()


@pytest.mark.deep
def test_all_are_accepted_where_the_quota_has_room() -> None:
    answers, chances = burst(instances=-1)
    assert chances.conflicts > AT_ONCE
    assert answers == {200: AT_ONCE}


@pytest.mark.deep
def test_the_rest_is_refused_by_the_quota_and_not_as_busy() -> None:
    answers, _ = burst(instances=10)
    assert answers == {200: 10, 413: AT_ONCE - 10}
