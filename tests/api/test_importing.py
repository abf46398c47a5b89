"""`restore_from`: what of the project's own Swift is taken in, and what begins with it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.api import create_app
from chalicelib.auth.containers import Found, place_in
from chalicelib.domain.containers import Container
from chalicelib.errors import Unauthorized
from chalicelib.status import BackupStatus
from chalicelib.store import backups
from chalicelib.store.models import DatastoreVersion
from chalicelib.store.operations import get_operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make, authenticate, operations
from tests.api.test_backups import deleted, used

ETAG: Final = "0123456789abcdef0123456789abcdef"
NAME: Final = "1f2d1f0e.xbstream.gz"


class Swift:
    """Accounts as their projects see them: objects by container and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, str]] = {}
        self.asked: list[str] = []
        self.denies = False

    def account(self, project_id: str) -> str:
        return f"https://swift/v1/AUTH_{project_id}"

    def reach(self, token: str, project_id: str, name: str, make: bool) -> Container | None:
        there = any(container == name for container, _ in self.objects)
        return Container(f"{self.account(project_id)}/{name}", 1) if there or make else None

    def find(self, token: str, project_id: str, url: str) -> Found | None:
        place = place_in(self.account(project_id), url)
        self.asked.append(url)
        if self.denies:
            raise Unauthorized(f"Swift account not accessible for tenant {project_id}.")
        headers = self.objects.get(place)
        return Found(*place, headers) if headers is not None else None

    def put(self, name: str = NAME, **headers: str) -> None:
        known = {"Content-Length": "2147483648", "Etag": f'"{ETAG}"'}
        self.objects["backups", name] = known | headers


@pytest.fixture
def swift() -> Swift:
    made = Swift()
    made.put()
    return made


@pytest.fixture
def api(api: Api, swift: Swift) -> Api:
    return Api(create_app(authenticate, containers=swift), api.project)


def take_in(api: Api, swift: Swift, name: str = NAME, **change: Any) -> Answer:
    asked = {
        "remote_location": f"{swift.account(api.project)}/backups/{name}",
        "local_datastore_version_id": "v-1011",
        "size": 1.5,
        **change,
    }
    return api.post("/backups", {"backup": {"name": "from-trove", "restore_from": asked}})


def begin(api: Api, backup: str, **more: Any) -> Answer:
    wanted = {"name": "shop", "flavorRef": "1", "volume": {"size": 3}}
    point = {"restorePoint": {"backupRef": backup}}
    return api.post("/instances", {"instance": {**wanted, **point, **more}})


def test_it_is_complete_at_once_and_known_by_its_object(api: Api, swift: Swift) -> None:
    answer = take_in(api, swift)
    assert answer.status == 202, answer.body
    told = answer.body["backup"]
    assert {
        "name": "from-trove",
        "status": "RESTORED",
        "instance_id": None,
        "parent_id": None,
        "size": 2.0,
        "stored_bytes": 2**31,
        "locationRef": f"{swift.account(api.project)}/backups/{NAME}",
        "datastore": {"type": "mariadb", "version": "10.11", "version_id": "v-1011"},
        "storage_driver": "swift",
        "swift_container": "backups",
    }.items() <= told.items()
    assert answer.headers["Location"].endswith(f"/backups/{told['id']}")
    row = backups.get_backup(told["id"])
    assert row.status == BackupStatus.COMPLETED
    assert row.imported == {"key": NAME, "size": 2**31, "etag": ETAG, "large": False}
    assert [each["id"] for each in api.get("/backups").body["backups"]] == [row.id]
    assert used(api) == 1


def test_so_is_one_of_postgresql(api: Api, swift: Swift) -> None:
    DatastoreVersion(
        "v-15",
        datastore_id="ds-pg",
        datastore_name="postgresql",
        name="15",
        version="15.18",
        manager="postgresql",
    ).save()
    swift.put("1f2d1f0e.tar.gz")
    answer = take_in(api, swift, "1f2d1f0e.tar.gz", local_datastore_version_id="v-15")
    assert answer.status == 202, answer.body
    assert answer.body["backup"]["status"] == "RESTORED"
    assert answer.body["backup"]["datastore"]["type"] == "postgresql"


def test_an_instance_begins_with_it(api: Api, swift: Swift) -> None:
    backup = take_in(api, swift).body["backup"]["id"]
    answer = begin(api, backup)
    assert answer.status == 200, answer.body
    (operation,) = operations(answer.body["instance"]["id"])
    assert (operation.action, operation.arguments) == ("restore_instance", {"backup": backup})
    assert api.delete(f"/backups/{backup}").status == 409, "it is being read"


def test_one_that_says_less_than_is_stored_needs_that_at_least(api: Api, swift: Swift) -> None:
    backup = take_in(api, swift, size=0.1).body["backup"]["id"]
    answer = begin(api, backup, volume={"size": 1})
    assert (answer.status, "Backup size: 2 GBs" in answer.fault()) == (403, True)


def test_what_was_changed_or_lost_since_begins_nothing(api: Api, swift: Swift) -> None:
    backup = take_in(api, swift).body["backup"]["id"]
    swift.put(Etag="f" * 32)
    answer = begin(api, backup)
    assert (answer.status, "Import it again" in answer.fault()) == (409, True)
    swift.put(**{"Content-Length": "0"})
    assert begin(api, backup).status == 409
    swift.put("another")
    del swift.objects["backups", NAME]
    answer = begin(api, backup)
    assert (answer.status, "There is no object" in answer.fault()) == (404, True)
    swift.objects.clear()
    answer = begin(api, backup)
    assert (answer.status, "container backups is gone" in answer.fault()) == (404, True)
    assert api.get("/instances").body["instances"] == []


def test_an_object_store_that_has_moved_is_nobodys_fault(
    api: Api, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = take_in(api, swift).body["backup"]["id"]
    monkeypatch.setattr(swift, "account", lambda project_id: f"https://new/v1/AUTH_{project_id}")
    answer = begin(api, backup)
    assert (answer.status, "is elsewhere by now" in answer.fault()) == (409, True)


def test_it_goes_without_a_look_at_what_is_its_tenants(api: Api, swift: Swift) -> None:
    backup = take_in(api, swift).body["backup"]["id"]
    asked = list(swift.asked)
    assert api.delete(f"/backups/{backup}?cascade=true").status == 202
    assert swift.asked == asked
    row = backups.get_backup(backup)
    operation = get_operation(str(row.operation_id))
    assert operation is not None
    assert not (operation.arguments or {}).get("container_lost")
    deleted(backup)
    assert api.get(f"/backups/{backup}").status == 404
    assert used(api) == 0
    assert ("backups", NAME) in swift.objects


def test_nothing_is_built_on_it_and_nobody_tries_it_out(api: Api, swift: Swift, make: Make) -> None:
    backup = take_in(api, swift).body["backup"]["id"]
    asked = {"name": "more", "instance": make().id, "parent_id": backup}
    assert api.post("/backups", {"backup": asked}).status == 400
    answer = api.post(f"/backups/{backup}/action", {"verify": {}})
    assert (answer.status, "was imported" in answer.fault()) == (501, True)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere/v1/AUTH_{project}/backups/" + NAME,
        "http://swift/v1/AUTH_{project}/backups/" + NAME,
        "https://swift:8080/v1/AUTH_{project}/backups/" + NAME,
        "https://user@swift/v1/AUTH_{project}/backups/" + NAME,
        "https://swift/v1/AUTH_another/backups/" + NAME,
        "https://swift/v1/AUTH_{project}x/backups/" + NAME,
        "https://swift/v1/AUTH_{project}/../AUTH_another/backups/" + NAME,
        "https://swift/v1/AUTH_{project}/backups/../../AUTH_another/backups/" + NAME,
        "https://swift/v1/AUTH_{project}/%2e%2e/" + NAME,
        "https://swift/v1/AUTH_{project}/a%2fb/" + NAME,
        "https://swift/v1/AUTH_{project}/backups/" + NAME + "?multipart-manifest=get",
        "https://swift/v1/AUTH_{project}/backups/" + NAME + "#x",
        "https://swift/v1/AUTH_{project}/backups/" + "x" * 1025,
        "https://swift/v1/AUTH_{project}/backups/",
        "https://swift/v1/AUTH_{project}/backups",
        "https://swift/v1/AUTH_{project}",
        "https://[swift/v1",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "s3://bucket/backup",
        "x",
    ],
)
def test_no_other_place_is_ever_asked(api: Api, swift: Swift, url: str) -> None:
    answer = take_in(api, swift, remote_location=url.replace("{project}", api.project))
    assert answer.status == 400
    assert "'remote_location'" in answer.fault()
    assert swift.asked == []
    assert used(api) == 0


def test_a_name_may_be_quoted_or_not(api: Api, swift: Swift) -> None:
    swift.put("a b.xbstream.gz")
    for name in ("a b.xbstream.gz", "a%20b.xbstream.gz"):
        told = take_in(api, swift, name).body["backup"]
        assert told["locationRef"].endswith("/backups/a%20b.xbstream.gz")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"size": 0}, 400, "size"),
        ({"size": -1}, 400, "size"),
        ({"size": "1"}, 400, "size"),
        ({"size": 1e9}, 400, "size"),
        ({"remote_location": ""}, 400, "remote_location"),
        ({"local_datastore_version_id": "none"}, 400, "Datastore version 'none'"),
        ({"local_datastore_version_id": "v-off"}, 400, "Datastore version 'v-off'"),
        ({"local_datastore_version_id": "v-70"}, 501, "bring the data by a dump"),
        ({"more": 1}, 400, "more"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_and_holds_nothing(
    api: Api, swift: Swift, change: dict[str, Any], status: int, said: str
) -> None:
    DatastoreVersion(
        "v-70",
        datastore_id="ds-redis",
        datastore_name="redis",
        name="7.0",
        version="7.0.15",
        manager="redis",
    ).save()
    answer = take_in(api, swift, **change)
    assert answer.status == status
    assert said in answer.fault()
    assert used(api) == 0


@pytest.mark.parametrize(
    ("name", "headers", "status", "said"),
    [
        ("lost.xbstream.gz", None, 404, "There is no object"),
        (f"{NAME}.enc", {}, 400, "encrypted"),
        (NAME, {"X-Object-Meta-Parent-Location": "https://x"}, 400, "make a full backup"),
        (NAME, {"Content-Length": "0"}, 400, "empty"),
        *(
            (NAME, headers, 400, "tells no size and MD5")
            for headers in ({"Etag": ""}, {"Etag": f"{ETAG}-12"}, {"Content-Length": ""})
        ),
    ],
)
def test_an_object_that_is_no_whole_backup_in_the_clear_is_refused(
    api: Api, swift: Swift, name: str, headers: dict[str, str] | None, status: int, said: str
) -> None:
    if headers is not None:
        swift.put(name, **headers)
    answer = take_in(api, swift, name)
    assert (answer.status, said in answer.fault()) == (status, True), answer.body


def test_a_token_that_may_not_read_it_is_told_so(api: Api, swift: Swift) -> None:
    swift.denies = True
    assert take_in(api, swift).status == 401


@pytest.mark.parametrize("headers", [{"X-Static-Large-Object": "True"}, {"X-Object-Manifest": "x"}])
def test_a_large_object_has_an_etag_of_another_kind(
    api: Api, swift: Swift, headers: dict[str, str]
) -> None:
    swift.put(**headers)
    row = backups.get_backup(take_in(api, swift).body["backup"]["id"])
    assert row.imported is not None
    assert row.imported["large"]


def test_it_is_of_nothing_else_than_where_it_lies(api: Api, swift: Swift, make: Make) -> None:
    body: dict[str, Any] = {
        "name": "both",
        "restore_from": {
            "remote_location": f"{swift.account(api.project)}/backups/{NAME}",
            "local_datastore_version_id": "v-1011",
            "size": 1,
        },
    }
    for more in ({"instance": make().id}, {"parent_id": "x"}, {"swift_container": "mine"}):
        answer = api.post("/backups", {"backup": {**body, **more}})
        assert (answer.status, "neither" in answer.fault()) == (400, True)
    assert api.post("/backups?dry_run=true", {"backup": body}).status == 400
    assert used(api) == 0


def test_a_key_of_a_request_takes_it_in_once(api: Api, swift: Swift) -> None:
    body = {
        "name": "once",
        "restore_from": {
            "remote_location": f"{swift.account(api.project)}/backups/{NAME}",
            "local_datastore_version_id": "v-1011",
            "size": 1,
        },
    }
    headers = {"Idempotency-Key": "an-import"}
    first, second = (api.post("/backups", {"backup": body}, headers=headers) for _ in range(2))
    assert first.body["backup"]["id"] == second.body["backup"]["id"]
    assert used(api) == 1


def test_the_quota_holds_for_it(api: Api, swift: Swift, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.store.quotas.default_limits", lambda: {"backups": 1})
    assert take_in(api, swift).status == 202
    assert take_in(api, swift).status == 413


def test_a_version_that_is_deleted_meanwhile_takes_nothing_in(
    api: Api, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = DatastoreVersion.get("v-1011")
    version = DatastoreVersion(**{**gone.attribute_values, "id": "v-brief", "name": "brief"})
    version.save()
    find = swift.find

    def found(*where: str) -> Found | None:
        version.delete()
        return find(*where)

    monkeypatch.setattr(swift, "find", found)
    answer = take_in(api, swift, local_datastore_version_id="v-brief")
    assert (answer.status, "'v-brief'" in answer.fault()) == (400, True)
    assert used(api) == 0
