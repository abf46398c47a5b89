"""What a deployment proposes, and what of it an operator has the last word on."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.store import datastores as store
from chalicelib.store import jobs
from chalicelib.store.models import Datastore, DatastoreVersion, Job
from infra import seed
from infra.errors import UnusableInputError
from tests.support.bare import World

ABOUT: dict[str, Any] = {"manager": "mariadb", "version": "10.11", "image_tags": ["coffer"]}
FIRST = {"mariadb": {"default": "10.11", "versions": {"10.11": ABOUT}}}
SECOND = {
    "mariadb": {
        "default": "11.4",
        "versions": {"10.11": ABOUT | {"active": False}, "11.4": ABOUT | {"version": "11.4"}},
    }
}
OLD, NEW = store.id_of("mariadb", "10.11"), store.id_of("mariadb", "11.4")


def offered() -> dict[str, tuple[bool, bool]]:
    """Of each version whether it is active, and whether it is the default."""
    found = store.offered()
    defaults = {row.default_version_id for row in found.datastores}
    return {row.name: (row.active, row.id in defaults) for row in found.versions}


def operator(version_id: str, **values: Any) -> None:
    """Somebody changes a version by the API."""
    (datastore,) = store.offered().datastores
    assert store.change(datastore, {version_id: values})


def test_a_version_whose_manager_nobody_is_stores_nothing(world: World) -> None:
    offers = {**FIRST, "keys": {"default": "1", "versions": {"1": ABOUT | {"manager": "keys"}}}}
    with pytest.raises(UnusableInputError, match="has the manager 'keys', which is not known"):
        seed.seed(offers)
    assert offered() == {}


def test_the_file_is_followed_where_nobody_has_changed_anything(world: World) -> None:
    """A version that is no longer chosen is kept: instances have it, and its image is their way
    back."""
    seed.seed(FIRST)
    assert offered() == {"10.11": (True, True)}
    seed.seed(SECOND)
    assert offered() == {"10.11": (False, False), "11.4": (True, True)}
    world.log.clear()
    seed.seed(SECOND)
    assert not {"dynamodb.transact_write_items", "dynamodb.put_item"} & set(world.log)


def test_what_an_operator_has_changed_stays(world: World) -> None:
    seed.seed(FIRST)
    operator(OLD, image_id="an-image")
    seed.seed(SECOND)
    assert offered() == {"10.11": (True, False), "11.4": (True, True)}
    operator(OLD, image_id=None)
    seed.seed(SECOND)
    assert offered()["10.11"] == (False, False), "as it was proposed: it follows again"


def test_what_an_operator_has_withdrawn_does_not_come_back(world: World) -> None:
    seed.seed(FIRST)
    (datastore,) = store.offered().datastores
    assert store.change(datastore, removed=DatastoreVersion.get(OLD), default=None)
    seed.seed(FIRST)
    assert offered() == {}
    assert store.withdraw(store.offered().datastores[0])
    seed.seed(FIRST)
    assert store.offered().datastores == []


def test_a_default_that_an_operator_has_chosen_stays(world: World) -> None:
    seed.seed(FIRST)
    (datastore,) = store.offered().datastores
    assert store.change(datastore, default=None)
    seed.seed(SECOND)
    assert offered() == {"10.11": (False, False), "11.4": (True, False)}


def test_a_version_that_an_operator_has_made_is_not_offered_twice(world: World) -> None:
    seed.seed(FIRST)
    operator("made", name="11.4", version="11.4", manager="mariadb", datastore_id="x")
    (datastore,) = store.offered().datastores
    operator("made", datastore_id=datastore.id, datastore_name="mariadb")
    seed.seed(SECOND)
    assert [row.id for row in store.offered().versions if row.name == "11.4"] == ["made"]
    assert offered()["11.4"] == (True, False)


def test_rows_of_an_earlier_release_are_taken_up(world: World) -> None:
    """It has noted nothing, and its datastores have no revision."""
    seed.seed(FIRST)
    Job(jobs.PROPOSED).delete()
    (datastore,) = store.offered().datastores
    datastore.update(actions=[Datastore.revision.remove()])
    seed.seed(SECOND)
    assert offered()["10.11"] == (True, True), "who knows who has made it so"
    seed.seed(FIRST)
    seed.seed(SECOND)
    assert offered()["10.11"] == (False, False)
