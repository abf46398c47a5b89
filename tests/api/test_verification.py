"""A backup is tried out by its instance, when that is asked for: what is refused, what is shown."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.operations import OperationStatus
from chalicelib.store import backups, making_backups
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.instances import get_instance
from chalicelib.store.models import Backup, Instance, Operation
from tests.api.client import Answer, Api
from tests.api.conftest import Make
from tests.api.test_backups import ask, live, made, shown
from tests.api.test_backups import offered as offered  # a fixture

BUSY = "is not currently available"


def verify(api: Api, backup: str, query: str = "") -> Answer:
    return api.post(f"/backups/{backup}/action{query}", {"verify": {}})


def judged(row: Instance, **verdict: Any) -> None:
    """Let the operation end with that verdict."""
    operation = live(row)
    operation.update(actions=[Operation.resources["verdict"].set(verdict)])
    end_operation(operation, Ending(OperationStatus.SUCCEEDED))


def test_it_is_an_operation_of_its_instance_which_goes_on(
    api: Api, make: Make, hints: list[str]
) -> None:
    row = make()
    backup = made(api, row)
    hints.clear()
    answer = verify(api, backup)
    assert answer.status == 202
    operation = live(row)
    assert hints == [operation.id]
    assert answer.headers["Location"].endswith(f"/instances/{row.id}/operations/{operation.id}")
    assert (operation.action, operation.arguments) == ("verify_backup", {"backup": backup})
    assert get_instance(row.id).status == "ACTIVE"
    assert verify(api, backup).headers["Location"] == answer.headers["Location"]
    assert BUSY in verify(api, made_of(row)).fault()
    read = backups.find_backup(backup)
    assert read is not None
    assert backups.read_now([read]) == {backup}
    judged(row, verdict="passed")
    assert backups.read_now([read]) == set()


def made_of(row: Instance) -> str:
    """Another backup of it, which is complete."""
    backup = making_backups.new_backup(row, "another")
    backup.status, backup.checksum = "COMPLETED", "cd" * 32
    backup.save()
    return str(backup.id)


def test_its_verdict_stands_on_the_backup_and_among_the_events(api: Api, make: Make) -> None:
    row = make()
    backup = made(api, row)
    assert shown(api, backup)["verdict"] is None
    for verdict in ({"verdict": "failed", "reason": "page 7"}, {"verdict": "passed"}):
        assert verify(api, backup).status == 202
        judged(row, **verdict)
        told = shown(api, backup)
        assert (told["verdict"], told["verdict_reason"]) == (
            verdict["verdict"],
            verdict.get("reason"),
        )
        assert told["verified_at"] is not None
        assert api.get("/backups").body["backups"] == [told]
    said = {each["message"] for each in api.get(f"/instances/{row.id}/events").body["events"]}
    assert f"Backup 'nightly' ({backup}) is not sound: page 7" in said
    assert f"Backup 'nightly' ({backup}) is sound." in said


def test_one_that_was_not_tried_has_the_verdict_of_before(api: Api, make: Make) -> None:
    row = make()
    backup = made(api, row)
    verify(api, backup)
    judged(row, verdict="passed")
    before = shown(api, backup)
    verify(api, backup)
    end_operation(live(row), Ending(OperationStatus.FAILED, "No room."))
    assert shown(api, backup) == before
    assert get_instance(row.id).fault_message == "No room."


def test_what_cannot_be_tried_out_is_refused(api: Api, other: Api, make: Make) -> None:
    row = make()
    unfinished = ask(api, row).body["backup"]["id"]
    assert verify(api, unfinished).status == 422  # the instance is at it
    end_operation(live(row), Ending(OperationStatus.FAILED, "No."))
    assert verify(api, unfinished).status == 409
    backup = made(api, row)
    assert verify(other, backup).status == 404
    assert api.post(f"/backups/{backup}/action", {"verify": {}, "more": 1}).status == 400
    assert api.post(f"/backups/{backup}/action", {}).status == 400
    stored = Backup.get(backup)
    stored.update(actions=[Backup.datastore_version_number.set("11.4")])
    assert verify(api, backup).status == 400
    Instance.get(row.id).delete()
    gone = verify(api, backup)
    assert gone.status == 422
    assert "restore the backup to a new instance" in gone.fault()


def test_one_that_is_being_deleted_is_not_tried_out(api: Api, make: Make) -> None:
    row = make()
    backup = made(api, row)
    assert api.delete(f"/backups/{backup}").status == 202
    assert verify(api, backup).status == 409
    assert get_instance(row.id).operation_id is None


def test_it_can_be_tried_before(api: Api, make: Make) -> None:
    row = make()
    backup = made(api, row)
    plan = verify(api, backup, "?dry_run=true").body["dry_run"]
    assert plan["would_be_accepted"]
    assert [each["name"] for each in plan["steps"]] == ["look", "try", "judge"]
    assert plan["can_be_cancelled"]
    assert get_instance(row.id).operation_id is None
