"""Datastores and versions as operators keep them, and what tenants see of it at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.status import BackupStatus
from chalicelib.store import attachments, configurations, ending_backups, making_backups
from chalicelib.store import datastores as store
from chalicelib.store.models import (
    Attachment,
    Backup,
    Configuration,
    Datastore,
    DatastoreVersion,
)
from tests.api.client import Api
from tests.api.conftest import Make

PATH = "/mgmt/datastore-versions"
_numbers = itertools.count(1)

Offer = Callable[..., str]


@pytest.fixture
def offer(admin: Api) -> Iterator[Offer]:
    """Offers a version of a datastore of this test's own; gives its id."""
    name = f"store{next(_numbers)}"

    def offered(**values: Any) -> str:
        body = {
            "name": "10.11",
            "datastore_name": name,
            "datastore_manager": "mariadb",
            "image": "an-image",
            "active": True,
            **values,
        }
        answer = admin.post(PATH, {"version": body})
        assert (answer.status, answer.body) == (202, None), answer.body
        return str(listed(admin, body["datastore_name"], body["name"], body.get("version"))["id"])

    yield offered
    found = store.offered()
    for row in found.versions:
        if row.datastore_name.startswith("store"):
            row.delete()
    for datastore in found.datastores:
        if datastore.name.startswith("store"):
            datastore.delete()


def group_of(api: Api, datastore: str, version: str | None = None) -> str:
    """A configuration group of a datastore's default version, or of that one."""
    wanted = {"type": datastore} | ({"version": version} if version else {})
    body = {"name": "g", "values": {"max_connections": 40}, "datastore": wanted}
    answer = api.post("/configurations", {"configuration": body})
    assert answer.status == 200, answer.body
    return str(answer.body["configuration"]["id"])


def listed(admin: Api, datastore: str, name: str, number: str | None = None) -> dict[str, Any]:
    rows = admin.get(PATH).body["versions"]
    (found,) = [
        row
        for row in rows
        if (row["datastore_name"], row["name"], row["version"]) == (datastore, name, number or name)
    ]
    return dict(found)


def shown(admin: Api, version_id: str) -> dict[str, Any]:
    return dict(admin.get(f"{PATH}/{version_id}").body["version"])


def test_a_version_is_on_offer_at_once_with_its_datastore(
    api: Api, admin: Api, offer: Offer
) -> None:
    version_id = offer(
        image="", image_tags=["coffer", "x"], packages=["p"], version="10.11.9", default=True
    )
    told = shown(admin, version_id)
    name = told["datastore_name"]
    assert told == {
        "id": version_id,
        "name": "10.11",
        "version": "10.11.9",
        "datastore_id": store.id_of(name),
        "datastore_name": name,
        "datastore_manager": "mariadb",
        "image": "",
        "image_tags": ["coffer", "x"],
        "packages": ["p"],
        "active": True,
        "default": True,
        "flavors": [],
        "volume_types": [],
    }
    datastore = api.get(f"/datastores/{name}").body["datastore"]
    assert datastore["default_version"] == version_id
    assert [each["version"] for each in datastore["versions"]] == ["10.11.9"]


def test_what_is_not_active_tenants_do_not_see(api: Api, admin: Api, offer: Offer) -> None:
    version_id = offer()
    name = shown(admin, version_id)["datastore_name"]
    assert admin.patch(f"{PATH}/{version_id}", {"active": False}).status == 202
    assert api.get(f"/datastores/versions/{version_id}").status == 404
    assert name not in {row["name"] for row in api.get("/datastores").body["datastores"]}
    assert shown(admin, version_id)["active"] is False


def test_what_a_change_does_not_name_stays(admin: Api, offer: Offer) -> None:
    version_id = offer(packages=["p"], flavors=["1"])
    before = shown(admin, version_id)
    assert admin.patch(f"{PATH}/{version_id}", {}).status == 202
    assert shown(admin, version_id) == before
    assert admin.patch(f"{PATH}/{version_id}", {"name": "new", "default": True}).status == 202
    assert shown(admin, version_id) == before | {"name": "new", "default": True}
    assert admin.patch(f"{PATH}/{version_id}", {"default": False, "flavors": []}).status == 202
    assert shown(admin, version_id) == before | {"name": "new", "flavors": []}
    assert admin.patch(f"{PATH}/{version_id}", {"image_tags": ["coffer"]}).status == 202
    assert shown(admin, version_id)["image"] == "", "tags take the image's place, as in Trove"
    assert admin.patch(f"{PATH}/{version_id}", {"image": "another"}).status == 202
    told = shown(admin, version_id)
    assert (told["image"], told["image_tags"]) == ("another", ["coffer"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"datastore_manager": "oracle"}, "no datastore manager 'oracle'"),
        ({"image": "", "image_tags": []}, "Image must be specified."),
        ({"name": "latest"}, "'latest' does not begin with the number"),
        ({"version": "10"}, "'10' does not begin with the number"),
        ({"active": False, "default": True}, "is not active"),
        ({"registry_ext": "a.b.C"}, "nothing is loaded here"),
        ({"image_tags": [""]}, "version['image_tags'][0]"),
        ({"visibility": "private"}, "Additional properties"),
        ({"flavors": ["1"] * 201}, "version['flavors']"),
    ],
)
def test_a_version_that_could_not_be_served_is_refused(
    admin: Api, offer: Offer, wrong: dict[str, Any], said: str
) -> None:
    body = {
        "name": "10.11",
        "datastore_name": "never",
        "datastore_manager": "mariadb",
        "image": "an-image",
        "active": True,
    }
    answer = admin.post(PATH, {"version": body | wrong})
    assert answer.status == 400
    assert said in answer.fault()
    assert store.offered().datastore("never") is None


def test_a_name_and_number_are_one_versions(admin: Api, offer: Offer) -> None:
    first = offer(name="a", version="10.11.1")
    second = offer(name="a", version="10.11.2")
    datastore = shown(admin, first)["datastore_name"]
    body = {
        "name": "a",
        "version": "10.11.1",
        "datastore_name": datastore,
        "datastore_manager": "mariadb",
        "image": "an-image",
        "active": True,
    }
    again = admin.post(PATH, {"version": body})
    assert (again.status, "already exists" in again.fault()) == (400, True)
    other = offer(name="b", version="10.11.1")
    assert admin.patch(f"{PATH}/{other}", {"name": "a"}).status == 400
    assert admin.patch(f"{PATH}/{second}", {"name": "b"}).status == 202
    assert admin.patch(f"{PATH}/{second}", {"name": "b"}).status == 202


def test_what_an_instance_has_is_not_withdrawn(admin: Api, offer: Offer, make: Make) -> None:
    version_id = offer(default=True)
    name = shown(admin, version_id)["datastore_name"]
    row = make(datastore_version_id=version_id)
    for path in (f"{PATH}/{version_id}", f"/datastores/{name}"):
        refused = admin.delete(path)
        assert refused.status == 400
    manager = admin.patch(f"{PATH}/{version_id}", {"datastore_manager": "postgresql"})
    assert (manager.status, "that instances have" in manager.fault()) == (400, True)
    row.delete()
    assert admin.delete(f"{PATH}/{version_id}").status == 202
    assert admin.get(f"{PATH}/{version_id}").status == 404
    assert "default_version" not in admin.get(f"/datastores/{name}").body["datastore"]
    assert admin.delete(f"/datastores/{name}").status == 202
    assert admin.get(f"/datastores/{name}").status == 404


def test_what_a_backup_was_made_of_is_not_withdrawn(admin: Api, offer: Offer, make: Make) -> None:
    """Its instance is gone, and a restore asks for the version."""
    version_id = offer(default=True)
    source = make(datastore_version_id=version_id)
    backup = making_backups.new_backup(source, "nightly")
    backup.save()
    source.delete()
    refused = admin.delete(f"{PATH}/{version_id}")
    assert (refused.status, refused.fault()) == (400, "Datastore version is in use by backup.")
    manager = admin.patch(f"{PATH}/{version_id}", {"datastore_manager": "postgresql"})
    assert (manager.status, "that backups have" in manager.fault()) == (400, True)
    backup.update(actions=[Backup.status.set(BackupStatus.DELETED), *ending_backups.buried()])
    assert admin.delete(f"{PATH}/{version_id}").status == 202


def test_a_backup_that_is_made_meanwhile_keeps_its_version(
    admin: Api, offer: Offer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made of an instance that is gone by then, between the look at each."""
    version_id = offer()
    source, look = make(datastore_version_id=version_id), store.is_used

    def looked(version_id: str) -> bool:
        making_backups.new_backup(source, "last").save()
        source.delete()
        return look(version_id)

    monkeypatch.setattr(store, "is_used", looked)
    assert "in use by backup" in admin.delete(f"{PATH}/{version_id}").fault()
    assert shown(admin, version_id)["id"] == version_id


def test_what_a_group_has_is_not_withdrawn(api: Api, admin: Api, offer: Offer) -> None:
    version_id = offer(default=True)
    made = group_of(api, shown(admin, version_id)["datastore_name"])
    for _ in range(2):  # nothing was changed by the refusal
        refused = admin.delete(f"{PATH}/{version_id}")
        assert (refused.status, refused.fault()) == (
            400,
            "Datastore version is in use by configuration.",
        )
    manager = admin.patch(f"{PATH}/{version_id}", {"datastore_manager": "postgresql"})
    assert (manager.status, "that configurations have" in manager.fault()) == (400, True)
    assert admin.patch(f"{PATH}/{version_id}", {"name": "10.11-new"}).status == 202
    assert api.delete(f"/configurations/{made}").status == 202
    assert admin.delete(f"{PATH}/{version_id}").status == 202
    assert [*Attachment.query(version_id)] == []


@pytest.mark.parametrize(
    ("method", "body"), [("delete", None), ("patch", {"datastore_manager": "postgresql"})]
)
def test_a_group_that_is_made_meanwhile_keeps_its_version(
    api: Api, admin: Api, offer: Offer, monkeypatch: pytest.MonkeyPatch, method: str, body: Any
) -> None:
    """It comes between the look at the groups and the write."""
    version_id = offer(default=True)
    name, look = shown(admin, version_id)["datastore_name"], attachments.any_group_of

    def looked(version_id: str) -> bool:
        found = look(version_id)
        monkeypatch.setattr(attachments, "any_group_of", look)
        group_of(api, name)
        return found

    monkeypatch.setattr(attachments, "any_group_of", looked)
    arguments = () if body is None else (body,)
    assert getattr(admin, method)(f"{PATH}/{version_id}", *arguments).status == 400
    assert shown(admin, version_id)["datastore_manager"] == "mariadb"


def test_no_group_is_made_of_a_version_that_was_deleted_meanwhile(
    api: Api, admin: Api, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delete comes between the look at the version and the write."""
    version_id = offer(default=True)
    name, make = shown(admin, version_id)["datastore_name"], configurations.create

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(configurations, "create", make)
        assert admin.delete(f"{PATH}/{version_id}").status == 202
        return make(*arguments)

    monkeypatch.setattr(configurations, "create", late)
    body = {"name": "g", "values": {"max_connections": 40}, "datastore": {"type": name}}
    refused = api.post("/configurations", {"configuration": body})
    assert (refused.status, "not found" in refused.fault()) == (400, True)
    assert [row for row in DatastoreVersion.scan() if row.id == version_id] == []
    assert [row for row in Configuration.scan() if row.datastore_version_id == version_id] == []


def test_rows_left_over_of_groups_hold_no_version(api: Api, admin: Api, offer: Offer) -> None:
    """As after a restore of tables; more of them than one look reads."""
    version_id = offer()
    for number in range(attachments.READ_AT_ONCE + 1):
        Attachment(version_id, f"lost-{number:03}").save()
    made = Attachment(
        version_id, group_of(api, shown(admin, version_id)["datastore_name"], "10.11")
    )
    assert admin.delete(f"{PATH}/{version_id}").status == 400
    Configuration(made.by_id).delete()
    assert admin.delete(f"{PATH}/{version_id}").status == 202


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_a_version_that_is_not_there_is_404(admin: Api, method: str) -> None:
    arguments = ({"active": True},) if method == "patch" else ()
    assert getattr(admin, method)(f"{PATH}/none", *arguments).status == 404


def test_they_are_the_administrators(api: Api, offer: Offer) -> None:
    version_id = offer()
    body: dict[str, Any] = {"version": {}}
    asked = [
        api.get(PATH),
        api.post(PATH, body),
        api.get(f"{PATH}/{version_id}"),
        api.patch(f"{PATH}/{version_id}", {}),
        api.delete(f"{PATH}/{version_id}"),
    ]
    assert [answer.status for answer in asked] == [401] * 5
    assert api.delete("/datastores/mariadb").status == 403


def test_a_flavor_and_a_volume_type_may_be_bound(api: Api, admin: Api, offer: Offer) -> None:
    version_id = offer(flavors=["1", "gone"], volume_types=["fast", "safe"])
    name = shown(admin, version_id)["datastore_name"]
    told = f"/datastores/{name}/versions/{version_id}"
    assert [each["str_id"] for each in api.get(f"{told}/flavors").body["flavors"]] == ["1"]
    types = api.get(f"{told}/volume-types").body["volume_types"]
    assert types == [{"id": each, "name": each} for each in ("fast", "safe")]

    def created(flavor: str, volume_type: str | None) -> tuple[int, str]:
        volume = {"size": 1} | ({"type": volume_type} if volume_type else {})
        wanted = {"type": name, "version": "10.11"}
        body = {"name": "x", "flavorRef": flavor, "volume": volume, "datastore": wanted}
        answer = api.post("/instances", {"instance": body})
        return answer.status, answer.fault() if answer.status != 200 else ""

    assert created("1", "fast") == (200, "")
    assert created("big-one", "fast") == (
        400,
        f"Flavor big-one is not supported for datastore {name} version 10.11.",
    )
    assert created("1", "slow")[0] == 400
    assert "name one of fast, safe" in created("1", None)[1]


def test_a_resize_and_an_upgrade_keep_to_what_is_bound(
    api: Api, admin: Api, offer: Offer, make: Make, hints: list[str]
) -> None:
    bound = offer(name="bound", version="10.11.7", flavors=["1"])
    name = shown(admin, bound)["datastore_name"]
    more = {"server_id": "s", "volume_id": "v"}
    row = make(datastore_version_id=bound, datastore_name=name, resources=more)
    body = {"resize": {"flavorRef": "big-one"}}
    refused = api.post(f"/instances/{row.id}/action", body)
    assert (refused.status, "is not supported for datastore" in refused.fault()) == (400, True)
    big = make(datastore_name=name, resources=more, flavor_id="big-one")
    refused = api.patch(f"/instances/{big.id}", {"instance": {"datastore_version": bound}})
    assert (refused.status, "is not supported for datastore" in refused.fault()) == (400, True)
    assert hints == []


def test_who_loses_a_race_decides_again(
    admin: Api, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody makes the same version between the look and the write."""
    name = shown(admin, offer())["datastore_name"]
    change, others = store.change, iter([True])

    def late(datastore: Datastore, versions: Any = None, **more: Any) -> bool:
        for _ in others:
            made = {**versions[next(iter(versions))]}
            assert change(store.offered().datastore(name) or datastore, {"theirs": made})
        return change(datastore, versions, **more)

    monkeypatch.setattr(store, "change", late)
    body = {
        "name": "new",
        "version": "10.11.3",
        "datastore_name": name,
        "datastore_manager": "mariadb",
        "image": "an-image",
        "active": True,
    }
    refused = admin.post(PATH, {"version": body})
    assert (refused.status, "already exists" in refused.fault()) == (400, True)
    assert listed(admin, name, "new", "10.11.3")["id"] == "theirs"


def test_a_request_that_is_sent_again_makes_one_version(admin: Api, offer: Offer) -> None:
    offer()
    name = f"store{next(_numbers)}"
    body = {
        "name": "10.11",
        "datastore_name": name,
        "datastore_manager": "mariadb",
        "image": "an-image",
        "active": True,
    }
    key = {"Idempotency-Key": f"make-{name}"}
    for _ in range(2):
        assert admin.post(PATH, {"version": body}, headers=key).status == 202
    assert len([row for row in DatastoreVersion.scan() if row.datastore_name == name]) == 1


def test_the_parameters_of_a_version_are_shown_and_not_made(api: Api, admin: Api) -> None:
    """Those of one that is not active, too; what a rule file does not tell cannot be set."""
    path = "/mgmt/datastores/versions/v-off/parameters"
    assert api.get(path).status == 401
    assert admin.get(path).status == 200
    told = "/mgmt/datastores/versions/v-1011/parameters"
    listed = admin.get(told).body["configuration-parameters"]
    assert admin.get(f"{told}/max_connections").body in listed
    body = {"configuration-parameter": {"name": "secure_file_priv", "restart_required": 1}}
    for answer in (
        admin.post(told, body),
        admin.put(f"{told}/max_connections", body),
        admin.delete(f"{told}/max_connections"),
    ):
        assert (answer.status, "fixed for safety" in answer.fault()) == (501, True)


def test_a_datastore_says_what_serves_it(api: Api, admin: Api, offer: Offer) -> None:
    offer(datastore_name="store-mysql")
    (datastore,) = [
        row for row in api.get("/datastores").body["datastores"] if row["name"] == "store-mysql"
    ]
    assert datastore["description"] == "Served by MariaDB."
    offer(datastore_name="mysql")
    told = api.get("/datastores/mysql").body["datastore"]
    assert told["description"].endswith("speaks MySQL's protocol and is none of its versions.")
    (version,) = told["versions"]
    assert admin.delete(f"{PATH}/{version['id']}").status == 202
    assert admin.delete("/datastores/mysql").status == 202
