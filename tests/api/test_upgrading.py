"""`datastore_version` of an instance changed: what is an upgrade, and what is refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from chalicelib import engines
from chalicelib.domain.flows import UPGRADE
from chalicelib.lifecycle import Status
from chalicelib.store import accepting
from chalicelib.store.generations import MOST_GENERATIONS
from chalicelib.store.models import (
    Configuration,
    Datastore,
    DatastoreVersion,
    Instance,
    ServiceStatusRow,
)
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations, version
from tests.support.bare import World

OWNED = {"server_id": "server-1", "volume_id": "volume-1"}
NEWER = {
    "id": "v-newer",
    "name": "10.11.9",
    "number": "10.11.9",
    "image": {"id": None, "tags": ["coffer"]},
}


@pytest.fixture(autouse=True)
def offered(api: Api) -> None:
    """Versions beside the instance's own, 10.11.6."""
    version(id="v-newer", name="10.11.9", version="10.11.9")
    version(id="v-same", name="10.11 again", version="10.11.6")
    version(id="v-older", name="10.11.4", version="10.11.4")
    version(id="v-vague", name="vague", version="10.11")
    version(id="v-major", name="11.4", version="11.4.2")
    version(id="v-worded", name="latest", version="latest")
    version(id="v-short", name="short", version="11")
    version(id="v-retired", name="10.11.8", version="10.11.8", active=False)
    version(id="v-other", name="10.11.9", version="10.11.9", datastore=("ds-old", "old"))
    Datastore("ds-old", name="old").save()
    DatastoreVersion(
        "v-foreign",
        datastore_id="ds-mariadb",
        datastore_name="mariadb",
        name="10.11.11",
        version="10.11.11",
        manager="mysql",
        image_tags=["coffer"],
    ).save()
    DatastoreVersion(
        "v-bare",
        datastore_id="ds-mariadb",
        datastore_name="mariadb",
        name="10.11.10",
        version="10.11.10",
        manager="mariadb",
    ).save()


def upgrade(api: Api, row: Instance, to: Any, query: str = "", **more: Any) -> Answer:
    body = {"instance": {"datastore_version": to, **more}}
    return api.ask("PATCH", f"/instances/{row.id}{query}", body)


@pytest.mark.parametrize("to", ["10.11.9", "v-newer"])
def test_a_newer_version_is_an_operation(api: Api, make: Make, hints: list[str], to: str) -> None:
    row = make(resources=OWNED, generation=4)
    answer = upgrade(api, row, to)
    assert (answer.status, answer.body) == (202, None)
    (operation,) = operations(row.id)
    assert answer.headers["Location"].endswith(f"/operations/{operation.id}")
    assert (operation.action, operation.generation) == ("upgrade_instance", 4)
    before = {"id": "v-1011", "name": "10.11", "number": "10.11.6", "image": {}}
    assert operation.arguments == {"version": NEWER, "before": before}
    assert hints == [operation.id]
    shown = api.get(f"/instances/{row.id}").body["instance"]
    assert shown["status"] == "UPGRADE"
    assert shown["datastore"]["version"] == "10.11", "until its engine runs"
    assert upgrade(api, row, to).status == 422, "as every operation"


def test_another_version_of_the_same_number_is_another_image_of_it(api: Api, make: Make) -> None:
    assert upgrade(api, make(resources=OWNED), "v-same").status == 202


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("v-1011", "has version '10.11' already"),
        ("10.11", "has version '10.11' already"),
        ("10.11.4", "'10.11.4' is older than '10.11.6'; there is no downgrade"),
        ("vague", "'10.11' is older than '10.11.6'; there is no downgrade"),
        ("11.4", "stays within a major version"),
        ("10.6", "is not active"),
        ("10.11.8", "is not active"),
        ("latest", "not known whether one is newer"),
        ("short", "not known whether one is newer"),
        ("v-other", "is of datastore 'old'"),
        ("v-foreign", "another kind of guest agent"),
        ("10.11.10", "names no image"),
        ("nowhere", "Datastore 'mariadb' has no version 'nowhere'"),
        ("x" * 200, "has no version"),
        ("twin", "Multiple datastore versions found"),
        ("", "datastore_version"),
        (11, "datastore_version"),
        ({"id": "v-newer"}, "datastore_version"),
    ],
)
def test_what_is_no_upgrade_changes_nothing(
    api: Api, make: Make, hints: list[str], to: Any, said: str
) -> None:
    row = make(resources=OWNED)
    answer = upgrade(api, row, to)
    assert answer.status == 400
    assert said in answer.fault()
    assert (operations(row.id), hints, Instance.get(row.id).status) == ([], [], Status.ACTIVE)


def test_a_number_that_the_instance_does_not_tell_is_not_compared(api: Api, make: Make) -> None:
    row = make(resources=OWNED, datastore_version_number="")
    assert "not known whether one is newer" in upgrade(api, row, "10.11.9").fault()


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.DELETED])
def test_it_is_accepted_of_an_instance_that_serves(api: Api, make: Make, status: Status) -> None:
    answer = upgrade(api, make(status, resources=OWNED), "10.11.9")
    assert answer.status == (202 if status in UPGRADE.sources else 422)


def test_it_needs_its_guest_a_server_and_two_generations(api: Api, make: Make) -> None:
    silent = make(resources=OWNED, service=None)
    ServiceStatusRow(silent.id, generation=1, status="healthy", updated=1.0).save()
    assert upgrade(api, silent, "10.11.9").status == 422
    assert upgrade(api, make(), "10.11.9").status == 422
    last = make(resources=OWNED, generation=MOST_GENERATIONS - 1)
    assert upgrade(api, last, "10.11.9").status == 422


def test_it_is_nobody_elses(api: Api, other: Api, make: Make) -> None:
    row = make(resources=OWNED)
    assert upgrade(other, row, "10.11.9").status == 404
    assert operations(row.id) == []


def test_one_operation_at_a_time_is_asked_for(api: Api, make: Make) -> None:
    row = make(resources=OWNED)
    answer = upgrade(api, row, "10.11.9", access={"is_public": True})
    assert (answer.status, operations(row.id)) == (400, [])
    assert upgrade(api, row, "10.11.9", name="renamed").status == 202
    assert Instance.get(row.id).name == "renamed"


def test_its_plan_is_what_it_comes_to(api: Api, make: Make, world: World) -> None:
    row = make(resources=OWNED)
    plan = upgrade(api, row, "10.11.9", "?dry_run=true").body["dry_run"]
    assert (plan["action"], plan["would_be_accepted"]) == ("upgrade_instance", True)
    assert plan["changes"]["version"] == NEWER
    assert plan["changes"]["before"]["name"] == "10.11"
    assert [each["name"] for each in plan["undoing"]] == [each.name for each in UPGRADE.undo]
    assert plan["status"]["during"] == "UPGRADE"
    refusal = upgrade(api, row, "11.4", "?dry_run=true").body["dry_run"]["refusal"]
    assert refusal["code"] == 400
    assert (operations(row.id), Instance.get(row.id).status) == ([], Status.ACTIVE)


@pytest.mark.parametrize("changes", [{"name": "other"}, {"deletion_protection": True}, {}])
def test_what_is_no_operation_has_no_plan(api: Api, make: Make, changes: dict[str, Any]) -> None:
    row = make()
    body = {"instance": changes}
    answer = api.ask("PATCH", f"/instances/{row.id}?dry_run=true", body)
    assert (answer.status, "dry_run" in answer.fault()) == (400, True)
    stored = Instance.get(row.id)
    assert (stored.name, stored.protected) == ("shop", None)


def test_a_change_of_the_access_has_a_plan_too(api: Api, make: Make) -> None:
    row = make()
    body = {"instance": {"access": {"is_public": True}}}
    plan = api.ask("PUT", f"/instances/{row.id}?dry_run=true", body).body["dry_run"]
    assert plan["action"] == "update_access"
    assert operations(row.id) == []


def test_two_at_once_are_one(api: Api, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one sees what the first has made of the instance."""
    row, real = make(resources=OWNED), accepting.accept

    def late(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", real)
        assert upgrade(api, row, "v-same").status == 202
        return real(*args, **kwargs)

    monkeypatch.setattr(accepting, "accept", late)
    assert upgrade(api, row, "10.11.9").status == 422
    assert len(operations(row.id)) == 1


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("10.11.6-MariaDB-0+deb12u1", (10, 11, 6)),
        ("10.11", (10, 11)),
        ("5.7.29", (5, 7, 29)),
        ("v5", ()),
        ("", ()),
        (".1", ()),
        ("1" * 40, ()),
    ],
)
def test_a_version_begins_with_its_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert engines.numbers_of(text) == numbers


def test_versions_of_one_instance_are_looked_up_by_id_too(api: Api, make: Make) -> None:
    assert upgrade(api, make(resources=OWNED), str(uuid.uuid4())).status == 400


def test_values_that_the_new_version_does_not_take_are_seen_before(
    api: Api, make: Make, hints: list[str]
) -> None:
    """As those of an earlier release's rules, which offered a parameter that these do not."""
    named = {"type": "mariadb", "version": "v-1011"}
    body = {"name": "g", "values": {"max_connections": 40}, "datastore": named}
    made = api.post("/configurations", {"configuration": body}).body["configuration"]["id"]
    row = make(resources=OWNED, configuration_id=made)
    stored = Configuration.get(made)
    for values in ({**stored.wanted, "once_offered": 1}, {"max_connections": 10**9}):
        stored.update(actions=[Configuration.wanted.set(values)])
        refused = upgrade(api, row, "v-newer")
        assert refused.status == 422
        assert f"does not take the values of configuration group {made}" in refused.fault()
        assert max(values) in refused.fault()
        planned = upgrade(api, row, "v-newer", "?dry_run=true").body["dry_run"]
        assert planned["would_be_accepted"] is False
    assert (hints, operations(row.id)) == ([], [])
    stored.update(actions=[Configuration.wanted.set({"max_connections": 50})])
    assert upgrade(api, row, "v-newer").status == 202
