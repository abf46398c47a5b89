"""Schedules of backups over the API: made, shown, changed and deleted by whose the instance is."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain import schedules as rules
from chalicelib.store import schedules
from chalicelib.store.events import events_of
from chalicelib.store.models import BackupSchedule, Instance
from tests.api.client import Answer, Api
from tests.api.conftest import Make
from tests.support.bare import World


def ask(api: Api, row: Instance, **more: Any) -> Answer:
    body = {"name": "nightly", "instance": row.id, "cron": "30 2 * * *", **more}
    return api.post("/backup_schedules", {"backup_schedule": body})


def made(api: Api, row: Instance, **more: Any) -> dict[str, Any]:
    answer = ask(api, row, **more)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.body["backup_schedule"]
    return found


def change(api: Api, schedule: str, **values: Any) -> Answer:
    return api.put(f"/backup_schedules/{schedule}", {"backup_schedule": values})


def listed(api: Api, query: str = "") -> list[str]:
    return [each["id"] for each in api.get(f"/backup_schedules{query}").body["backup_schedules"]]


def stored(schedule: str) -> BackupSchedule:
    row = schedules.find_schedule(schedule)
    assert row is not None
    return row


def test_a_schedule_says_what_it_does_and_when_it_begins(api: Api, make: Make) -> None:
    row = make()
    told = made(api, row, time_zone="Europe/Berlin", full_every=7, keep_days=30)
    assert {
        "name": "nightly",
        "instance_id": row.id,
        "project_id": api.project,
        "cron": "30 2 * * *",
        "interval_hours": None,
        "time_zone": "Europe/Berlin",
        "full_every": 7,
        "keep_count": None,
        "keep_days": 30,
        "enabled": True,
        "last_at": None,
        "last_backup_id": None,
        "reason": None,
    }.items() <= told.items()
    found = stored(told["id"])
    assert found.next_at is not None
    assert found.next_at < found.due_at <= found.next_at + rules.SPREAD_SECONDS
    assert api.get(f"/backup_schedules/{told['id']}").body["backup_schedule"] == told
    assert [each.kind for each in events_of(row.id)] == ["backup_schedule.created"]


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"instance": "none"}, 404, "none"),
        ({"cron": "30 2 * *"}, 400, "five fields"),
        ({"cron": "0 0 30 2 *"}, 400, "never comes"),
        ({"cron": "*/5 * * * *"}, 400, "within 15 minutes"),
        ({"interval_hours": 4}, 400, "either a 'cron' or an 'interval_hours'"),
        ({"cron": None}, 400, "either a 'cron' or an 'interval_hours'"),
        ({"time_zone": "Mars/Olympus"}, 400, "IANA"),
        ({"full_every": 0}, 400, "full_every"),
        ({"full_every": 101}, 400, "full_every"),
        ({"keep_count": 0}, 400, "keep_count"),
        ({"keep": 3}, 400, "keep"),
    ],
)
def test_what_is_no_schedule_is_refused_and_nothing_is_stored(
    api: Api, make: Make, more: dict[str, Any], status: int, said: str
) -> None:
    answer = ask(api, make(), **more)
    assert answer.status == status
    assert said in answer.fault()
    assert listed(api) == []


def test_an_engine_that_has_no_increments_has_none_on_schedule(api: Api, make: Make) -> None:
    row = make(manager="redis", datastore_name="redis")
    assert ask(api, row, full_every=2).status == 501
    assert listed(api) == []


def test_a_change_leaves_what_it_does_not_name(api: Api, make: Make) -> None:
    told = made(api, make(), keep_count=3, keep_days=30)
    answer = change(api, told["id"], interval_hours=6, keep_days=None)
    assert answer.status == 200
    changed = answer.body["backup_schedule"]
    kept = {"interval_hours": 6, "cron": None, "keep_days": None, "keep_count": 3}
    assert kept.items() <= changed.items()
    assert changed["next_at"] != told["next_at"]
    assert api.get(f"/backup_schedules/{told['id']}").body["backup_schedule"] == changed
    renamed = change(api, told["id"], name="four a day").body["backup_schedule"]
    assert (renamed["name"], renamed["next_at"]) == ("four a day", changed["next_at"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "nothing to change"),
        ({"cron": "x"}, "cron"),
        ({"cron": "0 0 * * *", "interval_hours": 2}, "either"),
        ({"time_zone": "Nowhere"}, "IANA"),
        ({"instance": "other"}, "instance"),
    ],
)
def test_a_change_that_makes_none_of_it_is_refused(
    api: Api, make: Make, values: dict[str, Any], said: str
) -> None:
    told = made(api, make())
    answer = change(api, told["id"], **values)
    assert answer.status == 400
    assert said in answer.fault()
    assert api.get(f"/backup_schedules/{told['id']}").body["backup_schedule"] == told


def test_one_that_is_disabled_is_due_for_a_look_at_its_instance_alone(api: Api, make: Make) -> None:
    told = made(api, make())
    off = change(api, told["id"], enabled=False).body["backup_schedule"]
    assert (off["enabled"], off["next_at"]) == (False, None)
    row = stored(told["id"])
    assert row.next_at is None
    assert row.due_at > row.updated + 80_000
    on = change(api, told["id"], enabled=True).body["backup_schedule"]
    assert on["next_at"] is not None


def test_two_changes_at_once_are_both_made(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = made(api, make())
    writes = schedules.change

    def late(*args: Any) -> bool:
        monkeypatch.setattr(schedules, "change", writes)
        assert change(api, told["id"], keep_count=5).status == 200
        return writes(*args)

    monkeypatch.setattr(schedules, "change", late)
    changed = change(api, told["id"], name="other").body["backup_schedule"]
    assert (changed["name"], changed["keep_count"]) == ("other", 5)
    assert stored(told["id"]).revision == 3


def test_a_deleted_one_is_gone_and_its_instance_remembers(api: Api, make: Make) -> None:
    row = make()
    told = made(api, row)
    assert api.delete(f"/backup_schedules/{told['id']}").status == 202
    assert api.get(f"/backup_schedules/{told['id']}").status == 404
    assert api.delete(f"/backup_schedules/{told['id']}").status == 404
    assert change(api, told["id"], name="x").status == 404
    kinds = {each.kind for each in events_of(row.id)}
    assert kinds == {"backup_schedule.created", "backup_schedule.deleted"}


def test_lists_are_by_page_and_by_instance_and_ones_own(api: Api, other: Api, make: Make) -> None:
    first, second = make(), make()
    of_first = {made(api, first)["id"], made(api, first, name="b")["id"]}
    of_second = {made(api, second)["id"]}
    assert set(listed(api)) == of_first | of_second
    assert set(listed(api, f"?instance_id={first.id}")) == of_first
    assert listed(api, "?instance_id=none") == []
    page = api.get("/backup_schedules?limit=2").body
    link = page["links"][0]["href"]
    rest = api.get("/backup_schedules?" + link.partition("?")[2]).body
    assert len(page["backup_schedules"]) == 2
    both = [each["id"] for each in page["backup_schedules"] + rest["backup_schedules"]]
    assert both == listed(api)
    assert "links" not in rest
    assert listed(other) == []
    for schedule in of_second:
        assert other.get(f"/backup_schedules/{schedule}").status == 404
        assert change(other, schedule, name="x").status == 404
        assert other.delete(f"/backup_schedules/{schedule}").status == 404
    assert ask(other, first).status == 404


def test_an_instance_has_so_many_at_most(api: Api, make: Make) -> None:
    row = make()
    for number in range(schedules.MOST_OF_INSTANCE):
        made(api, row, name=f"n{number}")
    answer = ask(api, row)
    assert answer.status == 413
    assert "at most 10 schedules" in str(answer.body)
    assert ask(api, make()).status == 200


def test_the_same_request_again_makes_one(api: Api, make: Make, world: World) -> None:
    row = make()
    body = {"backup_schedule": {"name": "n", "instance": row.id, "interval_hours": 24}}
    answers = [
        api.post("/backup_schedules", body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert answers[0].status == answers[1].status == 200
    assert answers[0].body == answers[1].body
    assert len(listed(api)) == 1


def test_one_whose_zone_is_gone_is_shown_listed_and_can_be_mended(api: Api, make: Make) -> None:
    row = make()
    lost, good = made(api, row)["id"], made(api, row)["id"]
    stored(lost).update(actions=[BackupSchedule.time_zone.set("Mars/Olympus")])
    assert sorted(listed(api)) == sorted([lost, good])
    told = api.get(f"/backup_schedules/{lost}").body["backup_schedule"]
    assert (told["next_at"], told["time_zone"]) == (None, "Mars/Olympus")
    mended = change(api, lost, time_zone="Europe/Berlin").body["backup_schedule"]
    assert mended["next_at"] is not None
    assert api.delete(f"/backup_schedules/{good}").status == 202


def test_a_schedule_is_tried_and_nothing_is_done(api: Api, make: Make) -> None:
    row = make()
    body = {"name": "n", "instance": row.id, "cron": "30 2 * * *", "time_zone": "Europe/Berlin"}
    answer = api.post("/backup_schedules?dry_run=true", {"backup_schedule": body})
    assert answer.status == 200, answer.body
    plan = answer.body["dry_run"]
    assert (plan["action"], plan["refusal"]) == ("create_backup", None)
    assert plan["changes"]["cron"] == "30 2 * * *"
    assert len(plan["changes"]["slots"]) == 5
    assert listed(api) == []
    assert events_of(row.id) == []
    wrong = {"backup_schedule": body | {"cron": "x"}}
    assert api.post("/backup_schedules?dry_run=true", wrong).status == 400


def test_a_change_is_tried_and_nothing_is_done(api: Api, make: Make) -> None:
    told = made(api, make())
    path = f"/backup_schedules/{told['id']}"
    answer = api.put(f"{path}?dry_run=true", {"backup_schedule": {"enabled": False}})
    assert answer.body["dry_run"]["changes"] == {"enabled": False, "slots": []}
    assert api.get(path).body["backup_schedule"] == told


def test_a_plan_tells_what_would_be_refused(api: Api, make: Make) -> None:
    row = make()
    for number in range(schedules.MOST_OF_INSTANCE):
        made(api, row, name=f"n{number}")
    body = {"name": "n", "instance": row.id, "interval_hours": 1}
    answer = api.post("/backup_schedules?dry_run=true", {"backup_schedule": body})
    assert answer.body["dry_run"]["refusal"]["code"] == 413
