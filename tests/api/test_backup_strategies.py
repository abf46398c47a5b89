"""Strategies by Trove's client's requests, and where backups go then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.api import create_app
from chalicelib.auth.containers import Found
from chalicelib.domain.containers import Container
from chalicelib.errors import NotSupported
from chalicelib.store import strategies
from chalicelib.store.instances import get_instance
from chalicelib.store.models import Backup, Instance
from chalicelib.store.operations import get_operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make, authenticate
from tests.api.test_backups import ask, end, used


class Swift:
    """Which containers are there, with the tokens that asked for them."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.asked: list[tuple[str, str, str, bool]] = []
        self.key = 1

    def reach(self, token: str, project_id: str, name: str, make: bool) -> Container | None:
        self.asked.append((token, project_id, name, make))
        if make:
            self.there.add(f"{project_id}/{name}")
        there = f"{project_id}/{name}" in self.there
        return Container(f"https://swift/v1/AUTH_{project_id}/{name}", self.key) if there else None

    def find(self, token: str, project_id: str, url: str) -> Found | None:
        return None


@pytest.fixture
def swift() -> Swift:
    return Swift()


@pytest.fixture
def api(api: Api, swift: Swift) -> Api:
    return Api(create_app(authenticate, containers=swift), api.project)


@pytest.fixture
def other(other: Api, api: Api) -> Api:
    return Api(api.app, other.project)


def choose(api: Api, container: str, **more: Any) -> Answer:
    return api.post(
        "/backup_strategies", {"backup_strategy": {"swift_container": container, **more}}
    )


def listed(api: Api, query: str = "") -> list[tuple[str, str]]:
    found = api.get(f"/backup_strategies{query}").body["backup_strategies"]
    return [(each["instance_id"], each["swift_container"]) for each in found]


def place_of(api: Api, row: Instance, **more: Any) -> str | None:
    """Where the next backup of an instance goes, which is made to its end."""
    answer = ask(api, row, **more)
    assert answer.status == 202, answer.body
    end(row)
    shown: str | None = answer.body["backup"]["swift_container"]
    assert (shown is None) == (answer.body["backup"]["storage_driver"] == "s3")
    return shown


def test_the_instances_comes_before_the_projects_and_what_is_asked_for_before_both(
    api: Api, make: Make, swift: Swift
) -> None:
    row = make()
    assert place_of(api, row) is None
    answer = choose(api, "all")
    assert answer.status == 202
    assert answer.body["backup_strategy"] == {
        "project_id": api.project,
        "instance_id": "",
        "backend": "swift",
        "swift_container": "all",
    }
    assert place_of(api, row) == "all"
    assert choose(api, "own", instance_id=row.id).status == 202
    assert place_of(api, row) == "own"
    assert place_of(api, make()) == "all"
    assert place_of(api, row, swift_container="once") == "once"
    assert place_of(api, row, storage_driver="swift") == "database_backups"
    assert place_of(api, row, storage_driver="s3") is None
    assert listed(api) == [("", "all"), (row.id, "own")]
    assert listed(api, f"?instance_id={row.id}") == [(row.id, "own")]
    assert choose(api, "another", instance_id=row.id).status == 202
    assert listed(api, f"?instance_id={row.id}") == [(row.id, "another")]
    for _ in range(2):
        assert api.delete(f"/backup_strategies?instance_id={row.id}").status == 202
    assert place_of(api, row) == "all"
    for _ in range(2):
        assert api.delete("/backup_strategies").status == 202
    assert place_of(api, row) is None
    assert listed(api) == []
    assert {project for _, project, _, _ in swift.asked} == {api.project}


def test_no_container_is_made_for_a_backup_beyond_the_quota(
    api: Api, admin: Api, make: Make, swift: Swift
) -> None:
    limit = {"quotas": {"backups": 0}}
    assert admin.put(f"/mgmt/quotas/{api.project}", limit).status == 200
    assert ask(api, make(), swift_container="mine").status == 413
    assert swift.there == set()


def test_a_chain_stays_where_it_has_begun(api: Api, make: Make) -> None:
    row = make()
    assert place_of(api, row, swift_container="first") == "first"
    choose(api, "second")
    assert place_of(api, row, incremental=1) == "first"
    newest = ask(api, row, incremental=1).body["backup"]["parent_id"]
    end(row)
    assert place_of(api, row, incremental=1, swift_container="second") == "second"
    answer = ask(api, row, parent_id=newest, swift_container="second")
    assert (answer.status, "lies elsewhere" in answer.fault()) == (400, True)
    assert place_of(api, row, parent_id=newest) == "first"


def test_a_chain_whose_container_is_gone_is_not_gone_on_with(
    api: Api, make: Make, swift: Swift
) -> None:
    row = make()
    place_of(api, row, swift_container="first")
    swift.there.clear()
    answer = ask(api, row, incremental=1)
    assert (answer.status, "is not there any more" in answer.fault()) == (409, True)
    assert used(api) == 1


def test_a_key_that_is_another_one_is_remembered_for_the_whole_chain(
    api: Api, make: Make, swift: Swift
) -> None:
    row = make()
    first = ask(api, row, swift_container="c").body["backup"]["id"]
    end(row)
    swift.key = 2
    place_of(api, row, incremental=1)
    assert Backup.get(first).container_key == 2


def restore(api: Api, _: Instance, backup: str) -> Answer:
    body = {"name": "again", "flavorRef": "1", "volume": {"size": 1}}
    return api.post("/instances", {"instance": {**body, "restorePoint": {"backupRef": backup}}})


@pytest.mark.parametrize(
    "request_there",
    [
        lambda api, row, _: ask(api, row),
        lambda api, row, _: ask(api, row, swift_container="c"),
        lambda api, row, _: ask(api, row, incremental=1),
        lambda api, _, backup: api.delete(f"/backups/{backup}"),
        restore,
    ],
)
def test_a_key_that_is_another_one_is_remembered_for_schedules(
    api: Api, make: Make, swift: Swift, request_there: Callable[[Api, Instance, str], Answer]
) -> None:
    """Which have nobody's token to have it put there, or to ask for the one that is."""
    row, beside = make(), make()
    choose(api, "c")
    choose(api, "c", instance_id=row.id)
    choose(api, "other", instance_id=beside.id)
    made = ask(api, row).body["backup"]["id"]
    end(row)
    swift.key = 2
    assert request_there(api, row, made).status in (200, 202)
    chosen = [strategies.container_for(get_instance(each.id)) for each in (row, beside, make())]
    assert [each.key for each in chosen if each is not None] == [2, 1, 2]


def test_nobody_is_served_with_anothers_token(
    api: Api, other: Api, make: Make, swift: Swift
) -> None:
    row = make()
    assert choose(other, "theirs", instance_id=row.id).status == 404
    assert other.delete(f"/backup_strategies?instance_id={row.id}").status == 404
    assert other.get(f"/backup_strategies?project_id={api.project}").status == 403
    assert other.delete(f"/backup_strategies?project_id={api.project}").status == 403
    choose(api, "mine")
    operator = Api(api.app, other.project, "admin")
    assert listed(operator, f"?project_id={api.project}") == [("", "mine")]
    swift.asked.clear()
    refused = ask(operator, row)
    assert (refused.status, "own project" in refused.fault()) == (403, True)
    assert swift.asked == []
    assert operator.delete(f"/backup_strategies?project_id={api.project}").status == 202
    assert listed(api) == []


def test_one_is_found_among_any_number_of_instances_without(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "PAGE", 1)
    monkeypatch.setattr(strategies, "MOST_LISTED", 2)
    last = max(make().id for _ in range(4))
    assert choose(api, "nightly", instance_id=last).status == 202
    assert listed(api) == [(last, "nightly")]
    assert listed(api, f"?instance_id={last}") == [(last, "nightly")]


def test_a_deleted_instance_has_none(api: Api, make: Make) -> None:
    row = make()
    choose(api, "own", instance_id=row.id)
    assert api.delete(f"/instances/{row.id}").status == 202
    get_instance(row.id).delete()
    assert listed(api) == []
    assert choose(api, "own", instance_id=row.id).status == 404


def test_a_cloud_without_swift_says_so(make: Make, api: Api) -> None:
    plain = Api(create_app(authenticate), api.project)
    answer = choose(plain, "x")
    assert answer.status == NotSupported.status
    assert listed(plain) == []


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", "x" * 256, "a\nb", 7, None])
def test_a_name_that_no_container_has_is_refused(api: Api, name: Any) -> None:
    assert choose(api, name).status == 400
    assert api.post("/backup_strategies", {"backup_strategy": {}}).status == 400


def test_a_delete_tells_its_flow_what_was_seen(api: Api, make: Make, swift: Swift) -> None:
    row = make()
    for there in (True, False):
        backup = ask(api, row, swift_container="c").body["backup"]["id"]
        end(row)
        if not there:
            swift.there.clear()
        assert api.delete(f"/backups/{backup}").status == 202
        operation = get_operation(str(Backup.get(backup).operation_id))
        assert operation is not None
        assert (operation.arguments or {}).get("container_lost", False) is not there
