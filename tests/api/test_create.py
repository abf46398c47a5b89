"""POST instances: what is accepted, what is made durable, what is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from chalicelib import aws
from chalicelib.api import create_app
from chalicelib.bus import keys
from chalicelib.settings import settings
from chalicelib.store.models import (
    Arguments,
    Datastore,
    DatastoreVersion,
    EventRow,
    Instance,
    Operation,
    Quota,
)
from tests.api.client import Answer, Api
from tests.api.conftest import authenticate, version
from tests.support.bare import World


def create(api: Api, **more: Any) -> Answer:
    wanted = {
        "name": "shop",
        "flavorRef": "1",
        "volume": {"size": 2},
        "datastore": {"type": "mariadb"},
        **more,
    }
    return api.post(
        "/instances",
        {"instance": {key: value for key, value in wanted.items() if value is not None}},
    )


def test_an_accepted_create_is_durable_and_hinted(api: Api, hints: list[str]) -> None:
    answer = create(api)
    assert answer.status == 200
    shown = answer.body["instance"]
    assert shown["status"] == "BUILD"
    assert shown["operating_status"] == ""
    assert shown["volume"] == {"size": 2}
    assert shown["datastore"] == {
        "type": "mariadb",
        "version": "10.11",
        "version_number": "10.11.6",
    }
    row = Instance.get(shown["id"])
    operation = Operation.get(row.operation_id)
    assert (operation.action, operation.status) == ("create_instance", "ACCEPTED")
    assert operation.request_id == answer.headers["X-OpenStack-Request-Id"]
    assert hints == [operation.id]
    assert (Quota.get(api.project).instances, Quota.get(api.project).volumes) == (1, 2)
    assert [event.kind for event in EventRow.query(row.id)] == ["create_instance.accepted"]


def test_passwords_travel_only_in_the_sealed_arguments(api: Api) -> None:
    web = {"name": "web", "character_set": "utf8mb4"}
    users = [{"name": "ann", "password": "pw-of-ann", "databases": [web]}]
    answer = create(api, databases=[web], users=users)
    row = Instance.get(answer.body["instance"]["id"])
    operation = Operation.get(row.operation_id)
    assert "pw-of-ann" not in json.dumps([row.to_simple_dict(), operation.to_simple_dict()])
    assert "pw-of-ann" not in json.dumps(answer.body)
    assert operation.sealed_args is None
    stored = Arguments.get(operation.id).sealed
    sealed = json.loads(keys.reveal("operation", operation.id, stored))
    assert sealed == {
        "databases": [{"name": "web", "character_set": "utf8mb4"}],
        "users": [
            {
                "name": "ann",
                "password": "pw-of-ann",
                "host": "%",
                "databases": [{"name": "web"}],
            }
        ],
    }


def test_each_lease_costs_the_same_whatever_was_asked_for(api: Api) -> None:
    """The row of the operation is written twice by each step, and copied into its indexes."""
    users = [{"name": f"user-{number}", "password": "p" * 255} for number in range(64)]
    answer = create(api, users=users, access={"allowed_cidrs": ["10.0.0.0/8"] * 32})
    assert answer.status == 200
    operation = Operation.get(Instance.get(answer.body["instance"]["id"]).operation_id)
    assert len(json.dumps(operation.to_simple_dict(), default=str)) < 1024
    assert len(Arguments.get(operation.id).sealed) > 20_000


@pytest.mark.parametrize("reference", ["1", 1, "https://host/v1.0/x/flavors/1"])
def test_a_flavor_is_an_id_a_number_or_an_href(api: Api, reference: str | int) -> None:
    assert create(api, flavorRef=reference).body["instance"]["flavor"]["id"] == "1"


def test_a_volume_size_may_be_digits(api: Api) -> None:
    assert create(api, volume={"size": "3", "type": None}).body["instance"]["volume"]["size"] == 3


@pytest.mark.parametrize("chosen", ["10.11", "v-1011"])
def test_a_version_is_found_by_name_or_id(api: Api, chosen: str) -> None:
    answer = create(api, datastore={"type": "ds-mariadb", "version": chosen})
    assert answer.body["instance"]["datastore"]["version"] == "10.11"


def test_a_version_number_tells_twins_apart(api: Api) -> None:
    twin = {"type": "mariadb", "version": "twin"}
    assert "Multiple" in create(api, datastore=twin).fault()
    answer = create(api, datastore={**twin, "version_number": "2"})
    assert answer.body["instance"]["datastore"]["version_number"] == "2"


def test_a_version_registered_a_moment_ago_is_found(api: Api, world: World) -> None:
    assert create(api, datastore={"type": "mariadb", "version": "fresh"}).status == 400
    version(id=aws.new_id(), name="fresh", version="9")
    world.run(1)
    assert create(api, datastore={"type": "mariadb", "version": "fresh"}).status == 200


def test_the_nic_and_the_access_reach_the_row(api: Api) -> None:
    answer = create(
        api,
        nics=[{"net-id": "n", "subnet_id": "s", "ip_address": "10.0.0.9"}],
        access={"is_public": False, "allowed_cidrs": ["10.0.0.0/8", "10.0.0.0/8"]},
    )
    row = Instance.get(answer.body["instance"]["id"])
    assert row.nics == [{"network_id": "n", "subnet_id": "s", "ip_address": "10.0.0.9"}]
    assert answer.body["instance"]["access"] == {
        "is_public": False,
        "allowed_cidrs": ["10.0.0.0/8"],
    }


def test_a_public_instance_is_taken(api: Api) -> None:
    answer = create(api, access={"is_public": True})
    expected = {"is_public": True, "allowed_cidrs": []}
    assert answer.body["instance"]["access"] == expected
    assert Instance.get(answer.body["instance"]["id"]).access == expected


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"name": None}, 400, "Validation error: instance 'name' is a required property"),
        ({"name": ""}, 400, "instance['name']"),
        ({"name": "---"}, 400, "instance['name']"),
        ({"name": "x" * 256}, 400, "instance['name']"),
        ({"name": 5}, 400, "instance['name'] Expected str, got int"),
        ({"flavorRef": None}, 400, "instance 'flavorRef' is a required property"),
        ({"flavorRef": "99"}, 400, "Flavor 99"),
        ({"flavorRef": ["1"]}, 400, "flavorRef"),
        ({"volume": None}, 400, "Volume size"),
        ({"volume": {}}, 400, "instance['volume'] 'size' is a required property"),
        ({"volume": {"size": 0}}, 400, "size"),
        ({"volume": {"size": -1}}, 400, "size"),
        ({"volume": {"size": "big"}}, 400, "size"),
        ({"volume": {"size": 11}}, 413, "10 GB"),
        ({"volume": {"size": "9" * 5000}}, 413, "10 GB"),
        ({"datastore": {"type": "oracle"}}, 404, "oracle"),
        ({"datastore": {"type": "mariadb", "version": "1"}}, 400, "no version"),
        ({"datastore": {"type": "mariadb", "version": "10.6"}}, 400, "not active"),
        ({"datastore": {"type": "old"}}, 400, "Default version"),
        ({"nics": [{}]}, 400, "network_id"),
        ({"nics": [{"ip_address": "10.0.0.1"}]}, 400, "network_id"),
        ({"nics": [{"network_id": "a"}, {"network_id": "b"}]}, 400, "nics"),
        ({"nics": [{"network_id": "a", "ip_address": "10.0.0.1"}]}, 400, "subnet_id"),
        ({"nics": [{"network_id": "a", "v4-fixed-ip": "10.0.0.1"}]}, 400, "v4-fixed-ip"),
        ({"access": {"allowed_cidrs": ["10.0.0"]}}, 400, "CIDR"),
        ({"access": {"allowed_cidrs": [":::/0"]}}, 400, "IPv4 or IPv6 CIDR"),
        ({"access": {"allowed_cidrs": ["10.0.0.0/8"] * 33}}, 400, "access']['allowed_cidrs']"),
        ({"databases": [{"name": f"d{n}"} for n in range(65)]}, 400, "instance['databases']"),
        ({"users": [{"name": f"u{n}", "password": "p"} for n in range(65)]}, 400, "['users']"),
        ({"availability_zone": "nova:compute-17"}, 400, "availability_zone"),
        ({"availability_zone": "nova::node"}, 400, "availability_zone"),
        ({"databases": [{"name": "sys"}]}, 400, "reserved"),
        ({"databases": [{"name": "a"}, {"name": "a"}]}, 400, "share the same name"),
        ({"databases": [{"name": "a", "collate": "x y"}]}, 400, "collate"),
        ({"users": [{"name": "root", "password": "p"}]}, 400, "reserved"),
        ({"users": [{"name": "ann"}]}, 400, "'password' is a required property"),
        ({"users": [{"name": "ann", "password": "p"}] * 2}, 400, "share the same name"),
        (
            {"users": [{"name": "ann", "password": "p", "databases": [{"name": "web"}]}]},
            400,
            "not included in the initial databases",
        ),
        ({"replica_of": "x"}, 501, "replica_of"),
        ({"replica_count": 2}, 400, "replica_of"),
        ({"replica_count": 0}, 400, "replica_count"),
        ({"replica_count": True}, 400, "replica_count"),
        ({"replica_of": ""}, 400, "instance['replica_of'] is empty"),
        ({"restorePoint": {}}, 400, "instance['restorePoint'] 'backupRef' is a required property"),
        ({"restorePoint": {"backupRef": "https://trove/"}}, 400, "instance['restorePoint']"),
        ({"restorePoint": {"backupRef": "b"}}, 404, "Backup b could not be found."),
        (
            {"restorePoint": {"time": "2026-01-01"}},
            400,
            "has neither a 'backupRef' nor an 'instance'",
        ),
        ({"restorePoint": {"instance": "i"}}, 400, "has no 'time', and no 'position'"),
        (
            {"restorePoint": {"instance": "i", "time": "2026-01-01", "position": "0-1-1"}},
            400,
            "has either a 'time' or a 'position'",
        ),
        ({"restorePoint": {"instance": "i", "position": ""}}, 400, "['position']"),
        (
            {"restorePoint": {"instance": "i", "position": "0-1-1"}},
            404,
            "has no archive of its log",
        ),
        ({"configuration": ""}, 400, "instance['configuration'] Expected str of length >= 1"),
        ({"modules": []}, 400, "instance['modules'] is empty"),
        ({"locality": ""}, 400, "locality"),
        ({"locality": False}, 400, "locality"),
        ({"locality": "nearby"}, 400, "locality"),
        ({"locality": "affinity", "replica_count": 2}, 400, "'replica_count' needs 'replica_of'"),
        ({"region_name": ""}, 400, "region"),
        ({"availability_zone": ""}, 400, "availability_zone"),
        ({"datastore": {"type": ""}}, 400, "instance['datastore']['type']"),
        ({"datastore": {"type": "mariadb", "version": ""}}, 400, "['version']"),
        ({"volume": {"size": 1, "type": ""}}, 400, "instance['volume']['type']"),
        ({"nics": [{"network_id": ""}]}, 400, "instance['nics'][0]['network_id']"),
        ({"flavorRef": ""}, 400, "Flavor"),
        ({"restore_point": {"backupRef": "b"}}, 400, "('restore_point' was unexpected)"),
        ({"slave_of": "x"}, 400, "('slave_of' was unexpected)"),
        ({"volume": {"size": 1, "sizze": 2}}, 400, "instance['volume'] Additional"),
        ({"databases": [{"name": "a"}, {"name": "b", "charset": "x"}]}, 400, "['databases'][1]"),
        (
            {"users": [{"name": "a", "password": "p"}, {"name": "b"}]},
            400,
            "instance['users'][1] 'password' is a required property",
        ),
        ({"configuration": "c"}, 404, "Configuration group with ID c could not be found."),
        ({"configuration_id": "c"}, 501, "configuration_id"),
        ({"modules": [{"id": "m"}]}, 501, "modules"),
        ({"region_name": "elsewhere"}, 400, "region"),
    ],
)
def test_a_create_is_refused_with_the_reason_and_leaves_nothing(
    api: Api, hints: list[str], change: dict[str, Any], status: int, words: str
) -> None:
    answer = create(api, **change)
    assert (answer.status, words in answer.fault()) == (status, True), answer.body
    assert api.get("/instances").body == {"instances": []}
    assert hints == []


def test_a_quota_is_exact(api: Api, admin: Api) -> None:
    admin.put(f"/mgmt/quotas/{api.project}", {"quotas": {"instances": 2}})
    assert [create(api).status for _ in range(3)] == [200, 200, 413]
    answer = create(api)
    assert answer.body["overLimit"]["message"] == "Quota exceeded for resources: ['instances']."


def test_a_password_is_in_no_message(api: Api) -> None:
    for user in (
        {"name": "a;b", "password": "secret-one"},
        {"name": "ann", "password": "secret-one" * 30},
        {"name": "ann", "password": {"secret-one": 1}},
        {"name": ["secret-one"], "password": "secret-one"},
        {"name": "ann", "password": "secret-one", "host": "a b"},
    ):
        assert "secret-one" not in create(api, users=[user]).fault()


def test_a_create_without_a_datastore_takes_the_only_one_on_offer(api: Api) -> None:
    assert create(api, datastore=None).body["instance"]["datastore"]["type"] == "mariadb"


def test_with_two_on_offer_it_takes_the_default_one_or_is_told_to_choose(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    Datastore("ds-second", name="second", default_version_id="v-second").save()
    version(id="v-second", name="2", version="2", datastore=("ds-second", "second"))
    try:
        fresh = Api(create_app(authenticate), api.project)
        assert create(fresh, datastore=None).status == 400
        assert "no default" in create(fresh, datastore=None).fault()
        chosen = msgspec.structs.replace(settings(), default_datastore="second")
        monkeypatch.setattr("chalicelib.api.choices.settings", lambda: chosen)
        assert create(fresh, datastore=None).body["instance"]["datastore"]["type"] == "second"
    finally:
        DatastoreVersion("v-second").delete()
        Datastore("ds-second").delete()


@pytest.mark.parametrize(
    "locality", ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]
)
def test_a_locality_is_kept_and_shown(api: Api, locality: str) -> None:
    made = create(api, locality=locality).body["instance"]
    assert Instance.get(made["id"]).locality == locality
    assert api.get(f"/instances/{made['id']}").body["instance"]["locality"] == locality
    plain = create(api).body["instance"]
    assert "locality" not in api.get(f"/instances/{plain['id']}").body["instance"]
