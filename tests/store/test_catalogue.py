"""What is on offer: the mirror of flavors, datastores and their versions."""

from __future__ import annotations

from chalicelib.store import datastores, flavors
from chalicelib.store.models import Datastore, DatastoreVersion, Flavor, Instance
from tests.support.bare import World
from tests.support.rows import new_instance


def flavor(name: str, ram: int, vcpus: int = 1, disk: int = 0) -> Flavor:
    return Flavor(name, name=name, ram=ram, vcpus=vcpus, disk=disk)


def names() -> list[str]:
    return [each.name for each in flavors.all_flavors()]


def test_flavors_are_those_of_the_last_look_smallest_first(world: World) -> None:
    flavors.replace_all([flavor("large", 4096), flavor("small", 512), flavor("old", 256)])
    assert names() == ["old", "small", "large"]
    flavors.replace_all([flavor("small", 1024), flavor("large", 4096), flavor("wide", 1024, 2)])
    assert names() == ["small", "wide", "large"]
    assert flavors.all_flavors()[0].ram == 1024
    flavors.replace_all([flavor("one", 1), flavor("one", 1)])
    assert names() == ["one"], "a cloud that lists one twice"


def mariadb() -> Datastore:
    found = datastores.offered(consistent=True).datastore("mariadb")
    return found or datastores.new_datastore("mariadb")


def version(name: str, number: str) -> dict[str, str]:
    return {
        "datastore_id": mariadb().id,
        "datastore_name": "mariadb",
        "name": name,
        "version": number,
        "manager": "mariadb",
    }


def test_a_datastore_is_offered_with_its_versions_by_name_and_number(world: World) -> None:
    both = {"b": version("10.11", "10.11.6"), "a": version("10.11", "10.11.5")}
    assert datastores.change(mariadb(), both, default="b")
    assert datastores.change(mariadb(), {"c": version("10.6", "10.6.1")})
    assert datastores.change(datastores.new_datastore("another"))
    found = datastores.offered()
    assert [row.name for row in found.datastores] == ["another", "mariadb"]
    assert [row.id for row in found.versions_of(mariadb())] == ["a", "b", "c"]
    assert mariadb().default_version_id == "b"


def test_of_two_changes_at_once_one_is_decided_again(world: World) -> None:
    """Both have read that the name is free, or that no version is left."""
    first = mariadb()
    assert datastores.change(mariadb(), {"a": version("10.11", "10.11.6")})
    assert not datastores.change(first, {"b": version("10.11", "10.11.6")})
    second = mariadb()
    assert datastores.change(mariadb(), removed=DatastoreVersion.get("a"))
    assert not datastores.withdraw(first)
    assert not datastores.withdraw(second)
    assert not datastores.change(second, {"a": {"active": False}}), "its row would be back"
    assert datastores.withdraw(mariadb())
    assert datastores.offered().datastores == []


def test_rows_of_an_earlier_release_have_no_revision(world: World) -> None:
    Datastore(mariadb().id, name="mariadb").save()
    mariadb().update(actions=[Datastore.revision.remove()])
    before = mariadb()
    assert datastores.change(mariadb(), {"a": version("10.11", "10.11.6")})
    assert not datastores.change(before, removed=DatastoreVersion.get("a"))
    assert DatastoreVersion.get("a").flavors == []


def test_a_version_is_used_as_long_as_an_instance_has_it(world: World) -> None:
    """Rows of what was deleted stay for a month, and use nothing."""
    row = new_instance(datastore_version_id="a")
    row.save()
    assert datastores.is_used("a")
    assert not datastores.is_used("b")
    row.update(actions=[Instance.datastore_version_id.set("b")])
    assert (datastores.is_used("a"), datastores.is_used("b")) == (False, True)
    row.update(actions=[Instance.index_tenant.remove()])
    assert not datastores.is_used("b")
