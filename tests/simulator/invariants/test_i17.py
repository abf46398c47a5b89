"""I17, broken on purpose, is told."""

from __future__ import annotations

import json

from simulator.region import Reply
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import OTHER, replied, told_by


def neighbour_answered_500(deployment: Deployment) -> None:
    hub = deployment.invariants.hub
    hub.only_hostile = True
    hub.hostile.add("somebody-else")
    content = b'{"instanceFault": {"code": 500, "message": "broken"}}'
    replied(deployment, "GET", f"/v1.0/{OTHER}/instances", Reply(500, {}, content))


def function_erred(deployment: Deployment) -> None:
    hub = deployment.invariants.hub
    hub.only_hostile = True
    hub.hostile.add("somebody-else")
    deployment.region.lambda_.functions["coffer-heartbeats"].errors["KeyError"] += 1


def neighbour_shown_as_error(deployment: Deployment) -> None:
    hub = deployment.invariants.hub
    hub.only_hostile = True
    hub.hostile.add("somebody-else")
    deployment.run(600)
    row = deployment.instances()[0]
    shown = {"id": row["id"], "name": "db", "status": "ACTIVE", "operating_status": "ERROR"}
    content = json.dumps({"instances": [shown]}).encode()
    replied(deployment, "GET", f"/v1.0/{row['tenant_id']}/instances", Reply(200, {}, content))


test_a_broken_promise_is_told = told_by(
    "I17", neighbour_answered_500, function_erred, neighbour_shown_as_error
)
