"""What is on offer: the mirror of flavors, datastores and their versions."""

from __future__ import annotations

from chalicelib.store import datastores, flavors
from chalicelib.store.models import Datastore, DatastoreVersion, Flavor
from tests.support.bare import World


def flavor(name: str, ram: int, vcpus: int = 1, disk: int = 0) -> Flavor:
    return Flavor(name, name=name, ram=ram, vcpus=vcpus, disk=disk)


def version(name: str, number: str) -> DatastoreVersion:
    return DatastoreVersion(
        f"{name}-{number}",
        datastore_id="datastore-1",
        datastore_name="mariadb",
        name=name,
        version=number,
        manager="mariadb",
    )


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


def test_a_datastore_is_offered_with_its_versions(world: World) -> None:
    offered = [version("10.11", "10.11.6"), version("10.11", "10.11.5"), version("10.6", "10.6.1")]
    for _ in range(2):
        datastores.offer(Datastore("datastore-1", name="mariadb"), offered)
        datastores.offer(Datastore("datastore-0", name="postgresql"), [])
        assert [row.name for row in datastores.all_datastores()] == ["mariadb", "postgresql"]
        assert [row.version for row in datastores.all_versions()] == [
            "10.11.5",
            "10.11.6",
            "10.6.1",
        ]
