"""Fleets that mix engines: each promise is asked of what its engine has."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from chalicelib import engines
from chalicelib.engines.engine import Part
from chalicelib.store.models import Command, Instance
from simulator.fleet.fleet import KEYSPACE
from simulator.fleet.managers import SimPostgreSQL
from simulator.inputs import DATASTORES, Plan, Workload
from simulator.invariants import i14_contents
from simulator.invariants.i30_ability import LATE_SECONDS
from simulator.invariants.things import owned_things
from simulator.mix import USUAL_MIX
from simulator.plan import PlanError, checked
from simulator.region import Reply
from simulator.run import Run
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import replied

MIXED = dict.fromkeys(DATASTORES, 1.0)
GRANTS = {"create_database": 3, "delete_database": 3, "create_user": 2, "grant": 3, "revoke": 1}
REFUSAL = Reply(501, {}, b'{"notImplemented": {"code": 501, "message": "no"}}')


@pytest.fixture
def redis(deployment: Deployment) -> str:
    """The path of an instance that is told to be a Redis."""
    row = Instance.get(deployment.instances()[0]["id"])
    row.update(actions=[Instance.manager.set("redis")])
    return f"/v1.0/{row.tenant_id}/instances/{row.id}"


def broken(deployment: Deployment, name: str) -> list[str]:
    return [each.text for each in deployment.invariants.each[name].violations]


@pytest.mark.parametrize("path", ["databases", "users", "users/u", "users/u/databases/d"])
def test_what_an_engine_has_not_may_be_refused_and_never_done(
    deployment: Deployment, redis: str, path: str
) -> None:
    replied(deployment, "PUT", f"{redis}/{path}", REFUSAL)
    assert broken(deployment, "I30") == []
    replied(deployment, "PUT", f"{redis}/{path}", Reply(202, {}, b""))
    (text,) = broken(deployment, "I30")
    assert text.endswith("of which it has none, was accepted")


def test_what_an_engine_has_is_not_refused(deployment: Deployment, redis: str) -> None:
    deployment.run(2 * LATE_SECONDS)  # what it told is known by then
    replied(deployment, "GET", f"{redis}/root", REFUSAL)
    (text,) = broken(deployment, "I30")
    assert text.startswith("its guest knows all, and GET was refused")


def test_nothing_is_sent_that_an_engine_has_not(deployment: Deployment, redis: str) -> None:
    sent = next(iter(Command.scan()))
    for method in ("enable_root", "list_users"):
        sent.id = sent.method = method
        sent.save()
    assert broken(deployment, "I30") == ["list_users was sent to an engine without it"]


def test_another_engines_port_is_none_of_its_access(deployment: Deployment, redis: str) -> None:
    deployment.invariants.each["I15"].check()
    (text,) = broken(deployment, "I15")
    assert "3306" in text
    assert "6379" in text


def run(datastores: dict[str, float], workload: Workload, hours: float, seed: int = 3) -> Run:
    """A run in fair weather, to its end."""
    made = Run(Plan(guests=6, hours=hours, datastores=datastores, workload=workload, seed=seed))
    made.execute()
    return made


def test_a_fleet_mixes_engines_and_asks_on_purpose_for_what_one_has_not() -> None:
    mix = {**USUAL_MIX, "write": 30.0}
    made = run(
        MIXED, Workload(operations_per_guest_hour=240.0, guests_per_tenant=2, mix=mix), 0.15, seed=5
    )
    assert made.invariants is not None
    assert made.invariants.violations == []
    assert made.errors() == []
    assert made.workload.replies[501] > 0
    rows = list(made.world.region.dynamodb.rows("coffer-instances"))
    assert set(Counter(row["manager"] for row in rows)) == set(DATASTORES)


def test_a_population_is_of_each_engine_as_its_creates_would_be() -> None:
    made = Run(Plan(guests=9, datastores=MIXED, workload=Workload(operations_per_guest_hour=0.0)))
    try:
        made._set_up()
        rows = {row["id"]: row for row in made.world.region.dynamodb.rows("coffer-instances")}
        assert {row["manager"] for row in rows.values()} == set(DATASTORES)
        for guest in made.world.fleet:
            assert guest.agent_file is not None
            row = rows[guest.agent_file.instance_id]
            assert guest.datastore_manager == row["manager"]
            assert guest.engine.number == row["datastore_version_number"]
            written = made.world.fleet.write(guest.server_id, "schema0", "k", "v")
            has_databases = engines.can(row["manager"], Part.DATABASES)
            assert written != has_databases, "nobody has made the database yet"
            assert set(made.world.fleet.contents(guest.server_id).databases) == (
                set() if has_databases else {KEYSPACE}
            )
        for kind, instance_id, thing in owned_things(made.world.cloud):
            if kind == "security group":
                ports = {rule.traffic.port_range_min for rule in thing.rules.values()}
                assert ports >= set(engines.tcp_ports(rows[instance_id]["manager"]))
    finally:
        made.close()


@pytest.mark.parametrize("as_promised", [True, False])
def test_grants_go_with_their_database_where_they_do(
    monkeypatch: pytest.MonkeyPatch, *, as_promised: bool
) -> None:
    """In PostgreSQL; where they stay behind, I14 tells of users who have too much."""
    if not as_promised:
        monkeypatch.setattr(SimPostgreSQL, "GRANTS_OUTLIVE", True)
        monkeypatch.setattr(i14_contents, "grants_outlive", lambda manager: False)
    mix: dict[str, float] = {**GRANTS}
    made = run({"postgresql": 1.0}, Workload(operations_per_guest_hour=240.0, mix=mix), 0.25)
    assert made.invariants is not None
    told = made.invariants.each["I14"].violations
    assert bool(told) != as_promised
    assert all("it may use" in each.text for each in told)
    assert made.invariants.each["I14"].exercised


def test_a_plan_names_the_datastores_that_there_are() -> None:
    for wrong in ({"oracle": 1.0}, {"redis": 0.0}):
        with pytest.raises(PlanError, match="mariadb, postgresql, redis"):
            checked(msgspec.structs.replace(Plan(), datastores=wrong), "here")
