"""Datastores, versions, flavors, limits and quotas as clients see them."""

from __future__ import annotations

import pytest

from chalicelib.store.models import Datastore, Quota
from tests.api.client import Api
from tests.support.bare import World


def test_members_see_active_versions_only(api: Api, admin: Api) -> None:
    (datastore,) = api.get("/datastores").body["datastores"]
    assert datastore["name"] == "mariadb"
    assert datastore["default_version"] == "v-1011"
    assert "v-off" not in {version["id"] for version in datastore["versions"]}
    everything = admin.get("/datastores").body["datastores"]
    assert {row["name"] for row in everything} == {"mariadb", "old"}
    (off,) = [row for row in everything[0]["versions"] if row["id"] == "v-off"]
    assert off["active"] is False
    assert off["image_tags"] == ["coffer"]


def test_a_default_that_the_caller_may_not_see_is_not_told(api: Api, admin: Api) -> None:
    """Trove's client looks it up among the versions, and fails where it is not."""
    Datastore("ds-mariadb", name="mariadb", default_version_id="v-off").save()
    try:
        for caller, told in ((api, None), (admin, "v-off")):
            answer = caller.get("/datastores/mariadb").body["datastore"]
            assert answer.get("default_version") == told
    finally:
        Datastore("ds-mariadb", name="mariadb", default_version_id="v-1011").save()


@pytest.mark.parametrize("name", ["mariadb", "ds-mariadb"])
def test_a_datastore_is_found_by_name_or_id(api: Api, name: str) -> None:
    assert api.get(f"/datastores/{name}").body["datastore"]["id"] == "ds-mariadb"
    assert len(api.get(f"/datastores/{name}/versions").body["versions"]) >= 3


@pytest.mark.parametrize(
    "path",
    [
        "/datastores/mariadb/versions/10.11",
        "/datastores/ds-mariadb/versions/v-1011",
        "/datastores/versions/v-1011",
    ],
)
def test_a_version_is_found_three_ways(api: Api, path: str) -> None:
    version = api.get(path).body["version"]
    assert (version["id"], version["name"], version["version"]) == ("v-1011", "10.11", "10.11.6")
    assert version["datastore"] == "ds-mariadb"
    link = version["links"][0]["href"].split("/v1.0/")[1].partition("/")[2]
    assert api.get("/" + link).body["version"] == version


@pytest.mark.parametrize(
    "path",
    [
        "/datastores/none",
        "/datastores/none/versions",
        "/datastores/mariadb/versions/none",
        "/datastores/mariadb/versions/v-off",
        "/datastores/versions/v-off",
        "/datastores/none/versions/10.11/flavors",
        "/flavors/none",
    ],
)
def test_what_is_not_there_for_a_member_is_404(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status == 404
    answer.fault()


def test_administrators_see_inactive_versions(admin: Api) -> None:
    assert admin.get("/datastores/versions/v-off").body["version"]["active"] is False


def test_two_versions_of_one_name_need_an_id(api: Api) -> None:
    answer = api.get("/datastores/mariadb/versions/twin")
    assert answer.status == 400
    assert "Multiple" in answer.fault()


def test_flavors_and_volume_types_of_a_version(api: Api) -> None:
    flavors = api.get("/datastores/mariadb/versions/10.11/flavors").body["flavors"]
    assert flavors == api.get("/flavors").body["flavors"]
    types = api.get("/datastores/mariadb/versions/10.11/volume-types").body
    assert types == {"volume_types": []}


def test_a_flavor_has_a_number_for_its_id_or_null(api: Api) -> None:
    tiny = api.get("/flavors/1").body["flavor"]
    links = tiny.pop("links")
    assert tiny == {
        "id": 1,
        "str_id": "1",
        "name": "db.tiny",
        "ram": 512,
        "vcpus": 1,
        "disk": 5,
        "ephemeral": 0,
    }
    assert [link["rel"] for link in links] == ["self", "bookmark"]
    assert api.get("/flavors/big-one").body["flavor"]["id"] is None


def test_the_catalog_is_read_once_in_half_a_minute(api: Api, world: World) -> None:
    api.get("/flavors")
    world.log.clear()
    for _ in range(3):
        api.get("/flavors")
        api.get("/datastores")
    assert world.log == []
    world.run(31)
    api.get("/flavors")
    assert world.log == ["dynamodb.Scan"] * 3


def test_limits_are_the_quotas(api: Api, admin: Api) -> None:
    admin.put(f"/mgmt/quotas/{api.project}", {"quotas": {"volumes": 7}})
    (absolute,) = api.get("/limits").body["limits"]
    assert absolute == {
        "verb": "ABSOLUTE",
        "max_instances": 10,
        "max_ram": -1,
        "max_volumes": 7,
        "max_backups": 50,
    }


def test_quotas_of_ones_own_project(api: Api) -> None:
    Quota(api.project, instances=3).save()
    quotas = api.get(f"/mgmt/quotas/{api.project}").body["quotas"]
    assert quotas[0] == {"resource": "instances", "in_use": 3, "reserved": 0, "limit": 10}
    assert [row["resource"] for row in quotas] == ["instances", "ram", "volumes", "backups"]


def test_quotas_of_others_are_for_administrators(api: Api, admin: Api) -> None:
    assert api.get("/mgmt/quotas/foreign").status == 403
    assert admin.get("/mgmt/quotas/foreign").status == 200


def test_administrators_change_quotas_one_by_one(api: Api, admin: Api) -> None:
    path = f"/mgmt/quotas/{api.project}"
    admin.put(path, {"quotas": {"ram": 1024}})
    answer = admin.put(path, {"quotas": {"instances": -1}})
    assert answer.body["quotas"] == {"instances": -1, "ram": 1024, "volumes": 40, "backups": 50}
    assert api.put(path, {"quotas": {"ram": 1}}).status == 401
    assert admin.put(path, {"quotas": {"ram": -2}}).status == 400
    assert admin.put(path, {"quotas": {"cpu": 1}}).status == 404
