"""Where the backups of schedules go: nobody asks for them, so that nobody has a token."""

from __future__ import annotations

from chalicelib.domain.containers import Container
from chalicelib.store import strategies
from chalicelib.store.models import Instance
from tests.taskmanager.test_schedules import Fleet, made
from tests.taskmanager.test_schedules import fleet as fleet  # a fixture

ALL = Container("https://swift/v1/AUTH_x/all", 1)
OWN = Container("https://swift/v1/AUTH_x/own", 2)


def places(instance: Instance) -> list[tuple[str | None, float | None]]:
    return [(each.container_url, each.container_key) for each in made(instance)]


def test_a_strategy_says_where_and_a_chain_stays_where_it_has_begun(fleet: Fleet) -> None:
    instance = fleet.instance()
    row = fleet.schedule(instance, full_every=2)
    fleet.come(row)
    fleet.end()
    strategies.of_project(instance.tenant_id, ALL)
    for _ in range(3):
        fleet.come(row)
        fleet.end()
    strategies.of_instance(instance, OWN)
    for _ in range(2):
        fleet.come(row)
        fleet.end()
    own, everybodys, ours = (OWN.url, OWN.key), (ALL.url, ALL.key), (None, None)
    assert places(instance) == [ours, ours, everybodys, everybodys, own, own]
    assert [each.parent_id is None for each in made(instance)] == [True, False] * 3
