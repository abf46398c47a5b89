"""Workloads over the deployed API with fake guests on real queues; the invariants at their end."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, given, settings

from tests.acceptance.stack import eventually
from tests.wire.stack import CLOUD_KINDS, WireStack
from tests.wire.workload import Expected, Workload, remove, run, settle, workloads

EXAMPLES = int(os.environ.get("COFFER_WIRE_EXAMPLES", "2"))
WHOLE = dict.fromkeys((*CLOUD_KINDS, "queues", "keys"), 1)
"""What one instance owns."""


# Real time: a failing workload is printed as it is, nobody waits for a smaller one.
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(workload=workloads)
def test_what_was_made_is_there_and_nothing_else(wire: WireStack, workload: Workload) -> None:
    made = run(wire, workload)
    settle(wire)
    check(wire, made)
    remove(wire, made)
    settle(wire)
    check(wire, made)


def check(stack: WireStack, made: list[Expected]) -> None:
    """Lists, contents, quotas and possessions are what they should be."""
    kept = [each for each in made if each.kept]
    for tenant in ("demo", "demo2"):
        api = stack.tenant(tenant)
        listed = api.request("GET", "/instances").json()["instances"]
        wanted = {each.instance_id for each in kept if each.tenant == tenant}
        assert {shown["id"] for shown in listed} == wanted
        assert all(shown["status"] == "ACTIVE" for shown in listed)
        assert stack.quota_in_use(api) == stack.quota_expected(api)
        assert stack.quota_in_use(api)["instances"] == len(wanted)
    assert stack.owned() == {each.instance_id: WHOLE for each in kept}
    for each in kept:
        check_contents(stack, each)


def check_contents(stack: WireStack, each: Expected) -> None:
    """The database holds what was put into it, and its guest says that it is well."""
    api = stack.tenant(each.tenant)
    path = f"/instances/{each.instance_id}"
    databases = api.request("GET", f"{path}/databases").json()["databases"]
    assert {database["name"] for database in databases} == each.databases
    users = api.request("GET", f"{path}/users").json()["users"]
    assert {
        user["name"]: {database["name"] for database in user["databases"]} for user in users
    } == each.users
    assert api.request("GET", f"{path}/root").json() == {"rootEnabled": each.root}
    eventually(
        lambda: (api.show(each.instance_id) or {}).get("operating_status") == "HEALTHY",
        30,
        f"{each.instance_id} HEALTHY",
    )
