"""Backups over the API: their rules, whose they are, what they build on, what begins with them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from troveclient.v1.backups import Backups

from chalicelib import engines
from chalicelib.api import paging
from chalicelib.domain.operations import OperationStatus
from chalicelib.engines.engine import Part
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import backups, making_backups, quotas
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.instances import get_instance
from chalicelib.store.models import Backup, Instance, Operation, ServiceStatusRow
from chalicelib.store.operations import get_operation
from simulator import template
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations
from tests.api.test_later import Recorder

GIB = 1024**3
CHECKSUM = "ab" * 32
MADE = {"checksum": CHECKSUM, "size": 7_000, "data_size": 40_000, "engine_version": "10.11.6"}


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of MariaDB, and full ones of Redis."""
    mariadb, redis = engines.ENGINES["mariadb"], engines.ENGINES["redis"]
    more = {
        "mariadb": replace(mariadb, parts=mariadb.parts | {Part.BACKUPS}, incremental_backups=True),
        "redis": replace(redis, parts=redis.parts | {Part.BACKUPS}, incremental_backups=False),
    }
    monkeypatch.setattr(engines, "ENGINES", {**engines.ENGINES, **more})


def ask(api: Api, row: Instance, **more: Any) -> Answer:
    return api.post("/backups", {"backup": {"name": "nightly", "instance": row.id, **more}})


def end(row: Instance, status: str = "SUCCEEDED", **told: Any) -> None:
    """Let the instance's operation end, its guest having told the rest."""
    operation = live(row)
    made = {**MADE, **told}
    operation.update(actions=[Operation.resources["backup"].set(made)])
    end_operation(operation, Ending(OperationStatus(status), "No." if status == "FAILED" else ""))


def live(row: Instance) -> Operation:
    operation = get_operation(str(get_instance(row.id).operation_id))
    assert operation is not None
    return operation


def made(api: Api, row: Instance, **more: Any) -> str:
    """The id of a backup that is complete."""
    answer = ask(api, row, **more)
    assert answer.status == 202, answer.body
    end(row)
    return str(answer.body["backup"]["id"])


def shown(api: Api, backup: str) -> dict[str, Any]:
    answer = api.get(f"/backups/{backup}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.body["backup"]
    return found


def deleted(backup: str) -> None:
    """Let the operation that deletes a backup end."""
    row = backups.find_backup(backup)
    assert row is not None
    operation = get_operation(str(row.operation_id))
    assert operation is not None
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))


def used(api: Api) -> int:
    return quotas.used_of(quotas.get_quota(api.project))["backups"]


def test_a_backup_is_accepted_whole_and_its_instance_says_so(
    api: Api, make: Make, hints: list[str]
) -> None:
    row = make()
    answer = ask(api, row, description="of all")
    assert answer.status == 202
    told = answer.body["backup"]
    assert answer.headers["Location"].endswith(f"/backups/{told['id']}")
    assert {
        "name": "nightly",
        "description": "of all",
        "instance_id": row.id,
        "project_id": api.project,
        "parent_id": None,
        "status": "NEW",
        "size": None,
        "locationRef": None,
        "datastore": {"type": "mariadb", "version": "10.11", "version_id": "v-1011"},
    }.items() <= told.items()
    assert api.get(f"/instances/{row.id}").body["instance"]["status"] == "BACKUP"
    operation = live(row)
    assert hints == [operation.id]
    assert operation.arguments == {"backup": told["id"], "name": "nightly", "parent": None}
    assert used(api) == 1


def test_its_end_is_its_instances_and_its_own(api: Api, make: Make) -> None:
    row = make()
    backup = made(api, row)
    assert get_instance(row.id).status == "ACTIVE"
    assert {
        "status": "COMPLETED",
        "stored_bytes": 7_000,
        "checksum": CHECKSUM,
        "locationRef": f"s3://{template.BACKUPS_BUCKET}/{api.project}/{backup}/{backup}",
        "fault": None,
    }.items() <= shown(api, backup).items()


def test_one_that_failed_says_why_and_counts_until_it_is_deleted(api: Api, make: Make) -> None:
    row = make()
    backup = ask(api, row).body["backup"]["id"]
    end(row, "FAILED")
    told = shown(api, backup)
    assert (told["status"], told["fault"]["message"]) == ("FAILED", "No.")
    assert (get_instance(row.id).status, get_instance(row.id).fault_message) == ("ACTIVE", "No.")
    assert used(api) == 1
    assert api.delete(f"/backups/{backup}").status == 202
    assert shown(api, backup)["status"] == "DELETING"
    deleted(backup)
    assert api.get(f"/backups/{backup}").status == 404
    assert used(api) == 0
    assert api.get("/backups").body["backups"] == []


def test_the_key_of_a_backup_is_sealed_and_gone_with_it(api: Api, make: Make) -> None:
    row = make()
    backup = ask(api, row).body["backup"]["id"]
    assert Backup.get(backup).sealed_key is None, "it comes when its guest asks for the store"
    stored = making_backups.begin(Backup.get(backup), live(row), "sealed")
    assert stored.sealed_key == "sealed"
    end(row)
    assert stored.sealed_key not in str(api.get(f"/backups/{backup}").body)
    api.delete(f"/backups/{backup}")
    deleted(backup)
    assert Backup.get(backup).sealed_key is None


def test_an_increment_builds_on_the_newest_and_lies_with_its_chain(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    first = made(api, row, incremental=1)
    second = made(api, row, parent_id=first)
    assert [shown(api, each)["parent_id"] for each in (full, first, second)] == [None, full, first]
    location = f"s3://{template.BACKUPS_BUCKET}/{api.project}/{full}/{second}"
    assert shown(api, second)["locationRef"] == location
    assert [shown(api, each)["children"] for each in (full, first, second)] == [1, 1, 0]


def test_an_increment_of_nothing_is_a_full_backup_as_in_trove(api: Api, make: Make) -> None:
    backup = made(api, make(), incremental=True)
    assert shown(api, backup)["parent_id"] is None


@pytest.mark.parametrize("given", ["yes", "", 2, -1])
def test_whether_it_is_an_increment_is_not_guessed(api: Api, make: Make, given: object) -> None:
    answer = ask(api, make(), incremental=given)
    assert (answer.status, answer.fault()) == (
        400,
        "Validation error: backup['incremental'] is 1 or 0.",
    )
    assert api.get("/backups").body["backups"] == []


@pytest.mark.parametrize("given", [0, 1, "0", "1", "true", "False", True, False, None])
def test_what_clients_send_for_an_increment_is_taken(api: Api, make: Make, given: object) -> None:
    assert ask(api, make(), incremental=given).status == 202


def test_what_others_build_on_is_not_deleted(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    child = made(api, row, incremental=1)
    answer = api.delete(f"/backups/{full}")
    assert answer.status == 409
    assert "1 incremental backups build on it" in answer.fault()
    assert shown(api, full)["status"] == "COMPLETED"
    assert api.delete(f"/backups/{child}").status == 202
    deleted(child)
    assert shown(api, full)["children"] == 0
    assert api.delete(f"/backups/{full}").status == 202


def test_a_chain_is_deleted_by_its_ids_the_last_one_first(api: Api, make: Make) -> None:
    """As `openstack database backup delete` does it with several: nobody waits in between."""
    row = make()
    chain = [made(api, row, incremental=1) for _ in range(3)]
    assert api.delete(f"/backups/{chain[1]}").status == 409
    for each in reversed(chain):
        assert api.delete(f"/backups/{each}?dry_run=true").body["dry_run"]["would_be_accepted"]
        assert api.delete(f"/backups/{each}").status == 202, each
    assert [shown(api, each)["status"] for each in chain] == ["DELETING"] * 3
    assert [each.arguments for each in operations(chain[0])] == [None]


def test_one_of_two_that_build_on_it_stays_and_so_does_it(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    first, second = (made(api, row, parent_id=full) for _ in range(2))
    assert api.delete(f"/backups/{first}").status == 202
    assert api.delete(f"/backups/{full}").status == 409
    assert api.delete(f"/backups/{second}").status == 202
    Backup(second).update(actions=[Backup.status.set("DELETE_FAILED")])
    assert api.delete(f"/backups/{full}").status == 409


@pytest.mark.parametrize("change", [{"status": "DELETE_FAILED"}, {"children": 2}])
def test_a_delete_behind_what_is_going_is_decided_by_what_is_there_then(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """The other delete fails between the look and the write, or another one is built on it."""
    row = make()
    full = made(api, row)
    child = made(api, row, incremental=1)
    assert api.delete(f"/backups/{child}").status == 202
    going_below = backups.going_below

    def late(each: Backup) -> list[Backup] | None:
        found = going_below(each)
        monkeypatch.setattr(backups, "going_below", going_below)
        about = Backup(child if "status" in change else full)
        about.update(actions=[getattr(Backup, name).set(to) for name, to in change.items()])
        return found

    monkeypatch.setattr(backups, "going_below", late)
    assert api.delete(f"/backups/{full}").status == 409
    assert shown(api, full)["status"] == "COMPLETED"


def test_what_builds_on_it_goes_with_it_when_that_is_asked_for(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    made(api, row, incremental=1)
    assert api.delete(f"/backups/{full}?cascade=false").status == 409
    assert api.delete(f"/backups/{full}?cascade=maybe").status == 400
    assert api.delete(f"/backups/{full}?cascade=true").status == 202
    assert [each.arguments for each in operations(full)] == [{"cascade": True}]
    assert ask(api, row, parent_id=full).status == 409


def test_a_plan_of_a_cascade_tells_what_goes_along(api: Api, make: Make) -> None:
    row = make()
    full, *more = [made(api, row, incremental=1) for _ in range(3)]
    plan = api.delete(f"/backups/{full}?cascade=true&dry_run=true").body["dry_run"]
    assert plan["would_be_accepted"]
    assert sorted(plan["changes"]["along"]) == sorted(more)
    (quota,) = plan["quota"]
    assert (quota["in_use"], quota["change"]) == (3, -3)
    assert api.delete(f"/backups/{more[1]}?dry_run=true").body["dry_run"]["changes"] is None


def test_an_increment_that_failed_holds_nothing_of_its_parent(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    child = ask(api, row, incremental=1).body["backup"]["id"]
    end(row, "FAILED")
    assert shown(api, full)["children"] == 0
    assert api.delete(f"/backups/{full}").status == 202
    assert api.delete(f"/backups/{child}").status == 202
    deleted(child)
    assert backups.find_backup(full) is not None


def test_what_is_being_deleted_is_not_built_on(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    assert api.delete(f"/backups/{full}").status == 202
    assert ask(api, row, parent_id=full).status == 409
    answer = ask(api, row, incremental=1)
    assert (answer.status, answer.body["backup"]["parent_id"]) == (202, None)


def test_nothing_is_built_on_what_a_deletion_comes_to(api: Api, make: Make) -> None:
    """It comes to the last of a chain level by level."""
    row = make()
    chain = [made(api, row, incremental=1) for _ in range(3)]
    assert api.delete(f"/backups/{chain[0]}?cascade=true").status == 202
    assert shown(api, chain[-1])["status"] == "COMPLETED"
    answer = ask(api, row, parent_id=chain[-1])
    assert (answer.status, answer.fault()) == (
        409,
        f"Backup {chain[0]} is DELETING and cannot be built on.",
    )
    answer = ask(api, row, incremental=1)
    assert (answer.status, answer.body["backup"]["parent_id"]) == (202, None)


def test_nothing_is_built_on_what_has_lost_a_part(api: Api, make: Make) -> None:
    row = make()
    full, child = made(api, row), made(api, row, incremental=1)
    Backup(full).delete()
    answer = ask(api, row, parent_id=child)
    assert answer.status == 409
    assert "a part is lost: make a full backup" in answer.fault()


def test_what_is_known_to_be_damaged_is_not_built_on(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    increment = made(api, row, incremental=1)
    Backup(full).update(actions=[Backup.verdict.set("failed")])
    for parent in (full, increment):
        answer = ask(api, row, parent_id=parent)
        assert answer.status == 409
        assert "is damaged: make a full backup" in answer.fault()
    Backup(increment).update(actions=[Backup.verdict.set("passed")])
    last = made(api, row, incremental=1)
    assert shown(api, last)["parent_id"] == increment, "tried out itself, and sound"
    Backup(last).update(actions=[Backup.verdict.set("failed")])
    assert shown(api, made(api, row, incremental=1))["parent_id"] is None


def is_found_damaged(api: Api, backup: str) -> None:
    Backup(backup).update(actions=[Backup.verdict.set("failed")])


def is_deleted(api: Api, backup: str) -> None:
    assert api.delete(f"/backups/{backup}").status == 202


@pytest.mark.parametrize("change", [is_found_damaged, is_deleted])
def test_what_comes_between_the_look_and_the_write_wins(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch, change: Callable[[Api, str], None]
) -> None:
    row = make()
    full = made(api, row)
    making = making_backups.making

    def late(backup: Backup) -> Any:
        monkeypatch.setattr(making_backups, "making", making)
        found = making(backup)
        change(api, full)
        return found

    monkeypatch.setattr(making_backups, "making", late)
    assert ask(api, row, parent_id=full).status == 409
    assert get_instance(row.id).status == "ACTIVE"
    assert used(api) == 1


def test_an_increment_that_comes_between_the_look_and_the_delete_wins(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    full = made(api, row)
    get_backup = backups.get_backup

    def late(*args: Any) -> Backup:
        found = get_backup(*args)
        monkeypatch.setattr(backups, "get_backup", get_backup)
        assert ask(api, row, parent_id=full).status == 202
        return found

    monkeypatch.setattr(backups, "get_backup", late)
    assert api.delete(f"/backups/{full}").status == 409
    assert shown(api, full)["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"instance": "none"}, 404, "none"),
        ({"instance": "https://trove/v1.0/x/instances/"}, 400, "'instance'"),
        ({"instance": None}, 400, "'instance' is a required property"),
        ({"parent_id": "none"}, 404, "Backup none could not be found."),
        ({"swift_container": "mine"}, 501, "no object store"),
        ({"swift_container": "a/b"}, 400, "swift_container"),
        ({"swift_container": ".."}, 400, "swift_container"),
        ({"swift_container": "mine", "storage_driver": "s3"}, 400, "storage driver swift"),
        ({"storage_driver": "swift"}, 501, "no object store"),
        ({"storage_driver": "tape"}, 400, "s3, swift and cinder"),
        ({"restore_from": {"remote_location": "x"}}, 400, "restore_from"),
        ({"name": ""}, 400, "name"),
    ],
)
def test_what_cannot_be_backed_up_is_refused_and_nothing_is_held(
    api: Api, make: Make, change: dict[str, Any], status: int, said: str
) -> None:
    row = make()
    answer = ask(api, row, **change)
    assert answer.status == status
    assert said in answer.fault()
    assert used(api) == 0
    assert operations(row.id) == []


def test_a_parent_of_another_instance_or_version_is_none(api: Api, make: Make) -> None:
    row, another = make(), make()
    full = made(api, row)
    answer = ask(api, another, parent_id=full)
    assert (answer.status, answer.fault()) == (400, f"Backup {full} is of another instance.")
    get_instance(row.id).update(actions=[Instance.datastore_version_number.set("10.11.7")])
    answer = ask(api, row, parent_id=full)
    assert answer.status == 400
    assert "make a full backup" in answer.fault()
    assert ask(api, row, incremental=1).body["backup"]["parent_id"] is None


def test_a_chain_has_a_bound(api: Api, make: Make) -> None:
    row = make()
    full = made(api, row)
    Backup.get(full).update(actions=[Backup.parents.set([str(each) for each in range(99)])])
    answer = ask(api, row, parent_id=full)
    assert answer.status == 400
    assert "make a full backup" in answer.fault()


def test_an_engine_without_increments_says_so(api: Api, make: Make) -> None:
    row = make(manager="redis", datastore_name="redis")
    answer = ask(api, row, incremental=1)
    assert answer.status == 501
    assert ask(api, row).status == 202


def test_while_one_is_made_nothing_else_is_done_and_it_is_not_deleted(api: Api, make: Make) -> None:
    row = make()
    backup = ask(api, row).body["backup"]["id"]
    assert ask(api, row).status == 422
    answer = api.post(f"/instances/{row.id}/action", {"restart": {}})
    assert answer.status == 422
    assert "instance status was BACKUP" in answer.fault()
    assert api.delete(f"/backups/{backup}").status == 422
    assert used(api) == 1


def test_a_guest_that_is_not_heard_is_not_asked(api: Api, make: Make) -> None:
    row = make(service=None)
    ServiceStatusRow(row.id, generation=1, status="healthy", updated=0).save()
    assert ask(api, row).status == 422
    assert used(api) == 0


def test_the_quota_has_the_last_word(api: Api, admin: Api, make: Make) -> None:
    limit = {"quotas": {"backups": 1}}
    assert admin.put(f"/mgmt/quotas/{api.project}", limit).status == 200
    row = make()
    made(api, row)
    answer = ask(api, row)
    assert answer.status == 413
    assert "backups" in str(answer.body)
    assert get_instance(row.id).status == "ACTIVE"


def everybodys(operator: Api, chosen: str = "") -> list[str]:
    """The ids of all backups, or of those chosen, page by page."""
    found: list[str] = []
    path = f"/backups?all_projects=true&limit=7{chosen}"
    page = operator.get(path).body
    while page.get("links"):
        found += [each["id"] for each in page["backups"]]
        marker = page["links"][0]["href"].rpartition("marker=")[2].partition("&")[0]
        page = operator.get(f"{path}&marker={marker}").body
    return found + [each["id"] for each in page["backups"]]


def test_lists_are_each_tenants_own_by_page_and_filter(
    api: Api, other: Api, admin: Api, make: Make
) -> None:
    first, second = make(), make()
    all_of_them = [made(api, first), made(api, first), made(api, second)][::-1]
    page = api.get("/backups?limit=2").body
    assert [each["id"] for each in page["backups"]] == all_of_them[:2]
    assert "marker=" in page["links"][0]["href"]
    rest = api.get(f"/backups?marker={all_of_them[1]}").body["backups"]
    assert [each["id"] for each in rest] == all_of_them[2:]
    found = api.get(f"/backups?instance_id={second.id}").body["backups"]
    assert [each["instance_id"] for each in found] == [second.id]
    assert api.get("/backups?datastore=redis").body["backups"] == []
    assert other.get("/backups").body["backups"] == []
    assert other.get(f"/backups/{all_of_them[0]}").status == 404
    assert other.delete(f"/backups/{all_of_them[0]}").status == 404
    for asked in ("all_projects=true", f"project_id={api.project}"):
        assert other.get(f"/backups?{asked}").status == 403
    operator = Api(other.app, other.project, "admin")
    assert set(all_of_them) <= set(everybodys(operator))
    theirs = operator.get(f"/backups?project_id={api.project}")
    assert {each["id"] for each in theirs.body["backups"]} == set(all_of_them)
    assert set(everybodys(operator, f"&project_id={api.project}")) == set(all_of_them)


def test_the_filters_of_a_list_are_in_its_query(
    api: Api, other: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is newer: of an instance, page by page, as the client of Trove asks for it."""
    monkeypatch.setattr(paging, "settings", lambda: replace(settings(), page_size=2))
    first, second = make(), make()
    of_first = [made(api, first) for _ in range(5)][::-1]
    of_second = [made(api, second) for _ in range(4)][::-1]
    manager = Backups(SimpleNamespace(client=Recorder(api, "")))
    for chosen, expected in ((first.id, of_first), (second.id, of_second), (None, None)):
        page = manager.list(instance_id=chosen)
        found = list(page)
        while page.next:
            page = manager.list(marker=page.next)  # the client names the instance only once
            found += page
        assert [each.id for each in found] == (expected or [*of_second, *of_first])
    shown_now = manager.list(instance_id=first.id, limit=4)
    assert [each.id for each in shown_now] == of_first[:4], "a limit is not that of a page"
    for known in (of_first[0], "unknown"):
        stolen = other.get(f"/backups?marker={known}@{first.id}")
        assert stolen.fault() == "There is no backup of the marker.", "nor that it is there"
    assert other.get(f"/backups?instance_id={first.id}").body["backups"] == []


def test_one_that_a_restored_table_shows_half_way_is_refused_and_not_an_error(
    api: Api, make: Make
) -> None:
    backup = made(api, make())
    Backup.get(backup).update(actions=[Backup.status.set(BackupStatus.DELETING)])
    answer = api.delete(f"/backups/{backup}")
    assert (answer.status, "nobody is at it" in answer.fault()) == (422, True)


def test_an_instances_backups_are_listed_newest_first_and_outlive_it(
    api: Api, make: Make, other: Api
) -> None:
    row = make()
    both = [made(api, row), made(api, row)]
    found = api.get(f"/instances/{row.id}/backups").body["backups"]
    assert [each["id"] for each in found] == both[::-1]
    assert other.get(f"/instances/{row.id}/backups").status == 404
    assert api.delete(f"/instances/{row.id}").status == 202
    end_operation(live(row), Ending(OperationStatus.SUCCEEDED))
    assert shown(api, both[0])["status"] == "COMPLETED"


def restore(api: Api, backup: str, **more: Any) -> Answer:
    body = {"name": "again", "flavorRef": "1", "volume": {"size": 1}}
    point = {"restorePoint": {"backupRef": backup}}
    return api.post("/instances", {"instance": {**body, **point, **more}})


def test_an_instance_begins_with_a_backup_on_the_same_datastore(api: Api, make: Make) -> None:
    backup = made(api, make())
    answer = restore(api, f"https://trove/v1.0/x/backups/{backup}")
    assert answer.status == 200, answer.body
    told = answer.body["instance"]
    assert (told["status"], told["datastore"]["version"]) == ("BUILD", "10.11")
    operation = live(get_instance(told["id"]))
    assert (operation.action, operation.arguments) == ("restore_instance", {"backup": backup})


def test_a_backup_knows_which_restores_read_it_as_long_as_they_live(api: Api, make: Make) -> None:
    backup = made(api, make())
    first = get_instance(restore(api, backup).body["instance"]["id"])
    assert Backup.get(backup).readers == [first.operation_id]
    second = get_instance(restore(api, backup).body["instance"]["id"])
    assert Backup.get(backup).readers == [first.operation_id, second.operation_id]
    assert backups.read_now([Backup.get(backup)]) == {backup}
    for row in (first, second):
        end_operation(live(row), Ending(OperationStatus.SUCCEEDED))
    assert backups.read_now([Backup.get(backup)]) == set()
    third = get_instance(restore(api, backup).body["instance"]["id"])
    assert Backup.get(backup).readers == [third.operation_id]


def test_what_a_restore_reads_is_not_deleted_under_it(api: Api, make: Make) -> None:
    source = make()
    full = made(api, source)
    child = made(api, source, incremental=1)
    copy = get_instance(restore(api, child).body["instance"]["id"])
    for path in (f"/backups/{child}", f"/backups/{full}?cascade=true"):
        answer = api.delete(path)
        assert answer.status == 409
        assert "an instance is being made of it" in answer.fault()
    end_operation(live(copy), Ending(OperationStatus.SUCCEEDED))
    assert api.delete(f"/backups/{full}?cascade=true").status == 202


def test_a_restore_that_begins_between_the_look_and_the_delete_wins(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = made(api, make())
    read_now = backups.read_now

    def late(rows: Any) -> set[str]:
        found = read_now(rows)
        monkeypatch.setattr(backups, "read_now", read_now)
        assert restore(api, backup).status == 200
        return found

    monkeypatch.setattr(backups, "read_now", late)
    assert api.delete(f"/backups/{backup}").status == 409
    assert shown(api, backup)["status"] == "COMPLETED"


def test_an_instance_does_not_begin_with_what_loses_its_parent(api: Api, make: Make) -> None:
    source = make()
    full = made(api, source)
    child = made(api, source, incremental=1)
    assert api.delete(f"/backups/{full}?cascade=true").status == 202
    answer = restore(api, child)
    assert answer.status == 409
    assert "is being deleted" in answer.fault()


@pytest.mark.parametrize(
    ("told", "change", "status", "said"),
    [
        ({"data_size": 2 * GIB}, {}, 403, "Backup size: 2 GBs. Available size: 1 GBs."),
        ({"volume_used": 1.2}, {}, 403, "Backup size: 2 GBs. Available size: 1 GBs."),
        ({}, {"datastore": {"type": "mariadb", "version": "twin"}}, 400, "Multiple datastore"),
        ({}, {"datastore": {"type": "mariadb", "version": "v-twin-a"}}, 400, "cannot begin with"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused_before_anything_is_made(
    api: Api, make: Make, told: dict[str, Any], change: dict[str, Any], status: int, said: str
) -> None:
    row = make()
    backup = ask(api, row).body["backup"]["id"]
    end(row, **told)
    before = quotas.used_of(quotas.get_quota(api.project))
    answer = restore(api, backup, **change)
    assert answer.status == status
    assert said in answer.fault()
    assert quotas.used_of(quotas.get_quota(api.project)) == before


def test_a_chain_needs_room_for_all_of_it_side_by_side(api: Api, make: Make) -> None:
    """The data at their largest, and each increment beside them until it is applied."""
    row = make(volume_size=10)
    chain = [ask(api, row, incremental=1).body["backup"]["id"]]
    end(row, data_size=2 * GIB, volume_used=2.5)
    for used in (6.5, 3.0):
        chain.append(ask(api, row, incremental=1).body["backup"]["id"])
        end(row, data_size=1.5 * GIB, volume_used=used)
    sizes = [2.5, 8.0, 9.5]
    listed = {each["id"]: each["size"] for each in api.get("/backups").body["backups"]}
    assert [listed[each] for each in chain] == [shown(api, each)["size"] for each in chain] == sizes
    answer = restore(api, chain[-1], volume={"size": 9})
    assert (answer.status, answer.fault()) == (
        403,
        "Backup is too large for given flavor or volume. Backup size: 10 GBs. Available size: "
        "9 GBs.",
    )
    for each in chain:  # as an older release has completed them
        Backup(each).update(actions=[Backup.needs_gib.remove()])
    assert [shown(api, each)["size"] for each in chain] == sizes
    assert restore(api, chain[-1], volume={"size": 9}).status == 403
    assert restore(api, chain[-1], volume={"size": 10}).status == 200


def test_a_chain_ends_with_what_its_instances_volume_could_not_take(api: Api, make: Make) -> None:
    row = make(volume_size=2)
    full = made(api, row)
    last = ask(api, row, incremental=1).body["backup"]["id"]
    end(row, data_size=2.5 * GIB)
    assert shown(api, last)["parent_id"] == full
    answer = ask(api, row, parent_id=last)
    assert answer.status == 400
    assert "needs a volume of 3 GiB already, and that of the instance has 2" in answer.fault()
    following = made(api, row, incremental=1)
    assert shown(api, following)["parent_id"] is None


def test_only_what_is_complete_and_ones_own_is_begun_with(api: Api, other: Api, make: Make) -> None:
    row = make()
    backup = ask(api, row).body["backup"]["id"]
    answer = restore(api, backup)
    assert (answer.status, answer.fault()) == (409, f"Backup {backup} is not complete: it is NEW.")
    end(row)
    assert restore(other, backup).status == 404
    assert restore(api, "none").status == 404


def test_both_can_be_tried_before(api: Api, make: Make) -> None:
    row = make()
    body = {"backup": {"name": "x", "instance": row.id}}
    plan = api.post("/backups?dry_run=true", body).body["dry_run"]
    assert (plan["action"], plan["would_be_accepted"]) == ("create_backup", True)
    assert [each["name"] for each in plan["steps"]][:2] == ["copy", "check"]
    assert get_instance(row.id).status == "ACTIVE"
    backup = made(api, row)
    plan = api.delete(f"/backups/{backup}?dry_run=true").body["dry_run"]
    assert plan["would_be_accepted"]
    assert shown(api, backup)["status"] == BackupStatus.COMPLETED
    assert msgspec.to_builtins(plan["status"])["done"] == "DELETED"
