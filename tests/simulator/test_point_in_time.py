"""Point in time in the simulator: shipped handlers, agents and archiver, and a simulated S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.bus.contract import answers, pieces
from chalicelib.bus.contract.archiving import ArchiveState
from chalicelib.bus.contract.pieces import parsed
from chalicelib.domain.archives import shown
from chalicelib.store.models import BackupSchedule
from guest_agent.backups import replaying
from guest_agent.backups.archiver import Archiver, Note
from guest_agent.datastores.log import Piece
from simulator.fleet.logs import SimLog
from simulator.template import BACKUPS_BUCKET, PREFIX
from simulator.versions import FIRST
from tests.simulator.backing_up import DATABASE, Backups, whole


@pytest.fixture
def stack() -> Iterator[Backups]:
    with whole({"COFFER_BACKUP_TIMEOUT_SECONDS": "86400"}) as made:
        yield made


def archived(stack: Backups, *, writes: bool = True) -> str:
    """An instance whose log is archived, with a base; its id."""
    instance_id = stack.begin()
    asked = {"name": "s", "instance": instance_id, "interval_hours": 24, "point_in_time": True}
    made = stack.ask("POST", "/backup_schedules", {"backup_schedule": asked})
    assert made.status == 200, made.body
    row = stack.ask("GET", f"/instances/{instance_id}").document["instance"]
    if row["status"] == "RESTART_REQUIRED":
        restart = stack.ask("POST", f"/instances/{instance_id}/action", {"restart": {}})
        assert restart.status == 202, restart.body
        stack.settle()
    stack.run(120.0)
    if writes:
        stack.write(instance_id, "before the base")
    stack.back_up(instance_id)
    return instance_id


def archives(stack: Backups, instance_id: str) -> list[dict[str, Any]]:
    answer = stack.ask("GET", f"/instances/{instance_id}/archives")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.document["archives"]
    return found


def at(stack: Backups, instance_id: str, moment: str | None, what: str = "time") -> Any:
    """The answer to a create with the data of a moment, or of a position."""
    wanted = {
        "name": "again",
        "flavorRef": "1",
        "volume": {"size": 1},
        "restorePoint": {"instance": instance_id, what: moment},
    }
    return stack.ask("POST", "/instances", {"instance": wanted})


def restored(stack: Backups, instance_id: str, moment: str | None, what: str = "time") -> set[str]:
    """The rows of an instance that is made of a moment, or of a position."""
    made = at(stack, instance_id, moment, what)
    assert made.status == 200, made.body
    stack.settle()
    return set(stack.held(made.document["instance"]["id"]).databases[DATABASE].rows)


def now(stack: Backups) -> str:
    return shown(int(stack.kernel.now * 1000))


def test_a_restore_to_a_moment_has_exactly_what_was_committed_up_to_it(stack: Backups) -> None:
    instance_id = archived(stack)
    moments: dict[str, set[str]] = {}
    for number in range(6):
        stack.write(instance_id, f"row {number}")
        stack.run(40.0)
        moments[now(stack)] = set(stack.held(instance_id).databases[DATABASE].rows)
        stack.run(40.0)
    stack.run(300.0)
    (archive,) = archives(stack, instance_id)
    assert archive["state"] == "runs"
    for moment, rows in moments.items():
        assert archive["restorable_from"] <= moment <= archive["restorable_until"]
        assert restored(stack, instance_id, moment) == rows
    assert restored(stack, instance_id, archive["restorable_until"]) >= rows


def test_a_restore_to_a_position_has_exactly_what_the_log_has_up_to_it(stack: Backups) -> None:
    instance_id = archived(stack)
    found: dict[str, set[str]] = {}
    for number in range(6):
        stack.write(instance_id, f"row {number}")
        held = stack.held(instance_id)
        found[f"0-1-{held.log_position}"] = set(held.databases[DATABASE].rows)
        stack.run(40.0)
    stack.run(300.0)
    (archive,) = archives(stack, instance_id)
    first, last = archive["restorable_from_position"], archive["restorable_until_position"]
    assert last == f"0-1-{stack.held(instance_id).log_position}"
    for position, rows in found.items():
        assert restored(stack, instance_id, position, "position") == rows
    assert restored(stack, instance_id, first, "position") == {"before the base"}
    for position in ("0-1-0", f"{last}0", "0-2-7"):
        refused = at(stack, instance_id, position, "position")
        assert refused.status == 400, refused.body
        assert f"Possible is from {first} to {last}." in str(refused.document)
    assert at(stack, instance_id, "0/3000060", "position").status == 400


def test_an_agent_that_knows_no_positions_replays_to_none(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have answered with all of the log."""
    instance_id = archived(stack)
    stack.write(instance_id, "behind the base")
    stack.run(300.0)
    last = archives(stack, instance_id)[0]["restorable_until_position"]
    monkeypatch.setattr(
        replaying, "applied", lambda log: answers.Applied(log.target_ms if log else 0)
    )
    made = at(stack, instance_id, last, "position")
    stack.settle()
    again = made.document["instance"]["id"]
    assert status(stack, again) == "ERROR"
    rows = stack.region.dynamodb.rows(f"{PREFIX}-operations")
    (reason,) = (each["reason"] for each in rows if each["instance_id"] == again)
    assert "an older one" in reason


def test_a_database_in_which_nothing_was_committed_is_restored_too(stack: Backups) -> None:
    """Its archive has no piece, and no key: its guest never asked for the store."""
    instance_id = archived(stack, writes=False)
    stack.run(300.0)
    (archive,) = archives(stack, instance_id)
    made = at(stack, instance_id, archive["restorable_until"])
    assert made.status == 200, made.body
    stack.settle()
    assert status(stack, made.document["instance"]["id"]) == "ACTIVE"
    (schedule,) = stack.ask("GET", "/backup_schedules").document["backup_schedules"]
    assert stack.ask("DELETE", f"/backup_schedules/{schedule['id']}").status == 202
    assert archives(stack, instance_id)[0]["restorable_until"], "its base is kept"
    (backup,) = stack.ask("GET", "/backups").document["backups"]
    assert stack.ask("DELETE", f"/backups/{backup['id']}").status == 202
    stack.settle()
    assert archives(stack, instance_id) == []
    assert next(stack.region.dynamodb.rows(f"{PREFIX}-archives"))["expires"]


def test_what_a_guest_writes_among_its_pieces_is_read_over(stack: Backups) -> None:
    instance_id = archived(stack)
    stack.run(300.0)
    (piece, *_) = (key for key in stack.keys if "/log/" in key)
    location = piece.rpartition("/")[0]
    bucket = stack.region.s3.buckets[BACKUPS_BUCKET]
    held = bucket.get(piece)
    assert held is not None
    for number in range(1500):
        bucket.put(f"{location}/000000000001.{number:04d}", held)
    (archive,) = archives(stack, instance_id)
    assert restored(stack, instance_id, archive["restorable_until"]) == {"before the base"}


def test_a_moment_that_is_not_possible_is_refused_with_those_that_are(stack: Backups) -> None:
    instance_id = archived(stack)
    stack.run(300.0)
    (archive,) = archives(stack, instance_id)
    for moment in ("2001-01-01T00:00:00Z", "2199-01-01T00:00:00+01:00"):
        refused = at(stack, instance_id, moment)
        assert refused.status == 400
        said = refused.document["badRequest"]["message"]
        assert archive["restorable_from"] in said
        assert archive["restorable_until"] in said


def test_an_archive_that_has_a_gap_ends_and_another_one_begins(stack: Backups) -> None:
    instance_id = archived(stack)
    stack.run(900.0)
    (guest,) = stack.fleet.of_instance(instance_id)
    assert guest.volume is not None
    log = guest.volume.log
    assert log is not None
    stack.write(instance_id, "is lost")
    log.release(guest.volume.contents.log_position)
    during = now(stack)
    stack.run(900.0)
    second, first = archives(stack, instance_id)
    assert (first["state"], second["state"]) == ("ended", "runs")
    assert first["reason"]
    assert at(stack, instance_id, during).status == 400
    stack.back_up(instance_id)
    stack.write(instance_id, "behind it")
    stack.run(300.0)
    second, first = archives(stack, instance_id)
    assert first["restorable_until"] < during < second["restorable_from"]
    assert "is lost" in restored(stack, instance_id, second["restorable_until"])
    kinds = {row["kind"] for row in stack.region.dynamodb.rows(f"{PREFIX}-events")}
    assert {"log_archive.began", "log_archive.broken"} <= kinds


def test_a_volume_that_fills_with_its_log_takes_writes_again(stack: Backups) -> None:
    """The archive ends, and another one begins."""
    instance_id = archived(stack)
    (guest,) = stack.fleet.of_instance(instance_id)
    stack.write(instance_id, "a bulk load")
    assert stack.fleet.fill_with_log(guest.server_id, 0.5)
    closed = []
    for seconds in (3.0, 900.0):
        stack.run(seconds)
        closed.append(guest.closed)
    assert closed == [True, False]
    second, first = archives(stack, instance_id)
    assert (first["state"], second["state"]) == ("ended", "runs")
    assert "a share of the volume" in first["reason"]


def test_a_log_that_is_not_wanted_any_more_makes_room_at_once(stack: Backups) -> None:
    """A database without writes is told, too: the log may be what takes them from it."""
    instance_id = archived(stack)
    (guest,) = stack.fleet.of_instance(instance_id)
    stack.fleet.leave_room(guest.server_id, 0.5)
    stack.run(120.0)
    assert guest.closed
    (schedule,) = stack.ask("GET", "/backup_schedules").document["backup_schedules"]
    assert stack.ask("DELETE", f"/backup_schedules/{schedule['id']}").status == 202
    stack.run(60.0)
    assert not guest.disk.keeps_log
    stack.fleet.mend_disk(guest.server_id)


def test_an_agent_that_dies_between_a_piece_and_its_note_leaves_no_gap(stack: Backups) -> None:
    instance_id = archived(stack)
    (guest,) = stack.fleet.of_instance(instance_id)
    for number in range(12):
        stack.write(instance_id, f"row {number}")
        stack.run(59.0)
        guest.crash()
    stack.run(600.0)
    (archive,) = archives(stack, instance_id)
    assert archive["state"] == "runs"
    rows = set(stack.held(instance_id).databases[DATABASE].rows)
    assert restored(stack, instance_id, archive["restorable_until"]) == rows


def test_a_stolen_guest_takes_no_moment_of_before(
    stack: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells a head that was never sent; what its true agent tells then ends the archive."""
    instance_id = archived(stack)
    stack.write(instance_id, "before")
    stack.run(120.0)
    before = now(stack)
    stack.run(1.0)
    stack.write(instance_id, "behind it")
    stack.run(120.0)
    (number,) = {each["number"] for each in stack.region.dynamodb.rows(f"{PREFIX}-archives")}

    def lies(self: Archiver, state: ArchiveState, note: Note, why: str) -> None:
        tell(self, state, replace(note, number=note.number + 1, sha256="f" * 64), why)

    tell = Archiver._tell
    with monkeypatch.context() as stolen:
        stolen.setattr(Archiver, "_tell", lies)
        stack.run(180.0)
    stack.run(180.0)
    (told,) = stack.region.dynamodb.rows(f"{PREFIX}-archives")
    assert (told["number"], told["sha256"], told["state"]) == (number + 1, "f" * 64, "ended")
    assert restored(stack, instance_id, before) == {"before the base", "before"}


def with_its_newest_lost(stack: Backups) -> tuple[str, str]:
    """An instance of whose archive F18 has lost the last piece, and a moment well before that."""
    instance_id = archived(stack)
    moments: list[str] = []
    for number in range(3):
        stack.write(instance_id, f"row {number}")
        stack.run(60.0)
        moments.append(now(stack))
        stack.run(60.0)
    stack.run(120.0)
    newest = max(each for each in stack.keys if "/log/" in each)
    stack.region.s3.buckets[BACKUPS_BUCKET].delete(newest)
    archive, name = newest.split("/")[2], parsed(newest.rpartition("/")[2])
    assert name is not None
    stack.invariants.hub.spoiled[archive] = None
    stack.invariants.hub.spoiled_pieces[archive] = {name.number}
    return instance_id, moments[0]


def test_a_piece_that_is_lost_takes_no_moment_of_before(stack: Backups) -> None:
    instance_id, moment = with_its_newest_lost(stack)
    assert restored(stack, instance_id, moment) == {"before the base", "row 0"}


def test_a_lost_piece_that_takes_moments_of_before_is_told_by_l12(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pieces, "going_on", lambda *_: iter(()))
    stack = Backups(options={"COFFER_BACKUP_TIMEOUT_SECONDS": "86400"})
    try:
        instance_id, moment = with_its_newest_lost(stack)
        assert at(stack, instance_id, moment).status == 200
        stack.settle()
        assert "L12 is broken" in stack.explain()
    finally:
        stack.close()


def test_archiving_that_is_turned_off_leaves_the_moments_before(stack: Backups) -> None:
    instance_id = archived(stack)
    stack.write(instance_id, "in it")
    stack.run(300.0)
    listed = stack.ask("GET", f"/backup_schedules?instance_id={instance_id}")
    (schedule,) = listed.document["backup_schedules"]
    path = f"/backup_schedules/{schedule['id']}"
    changed = stack.ask("PUT", path, {"backup_schedule": {"point_in_time": False}})
    assert changed.status == 200, changed.body
    stack.run(120.0)
    (guest,) = stack.fleet.of_instance(instance_id)
    assert not guest.disk.keeps_log
    (archive,) = archives(stack, instance_id)
    assert archive["state"] == "ended"
    assert "in it" in restored(stack, instance_id, archive["restorable_until"])
    assert stack.ask("DELETE", f"/instances/{instance_id}").status == 202
    stack.settle()
    assert archives(stack, instance_id)[0]["restorable_until"] == archive["restorable_until"]


def test_a_gap_that_is_overlooked_is_told_by_l12(monkeypatch: pytest.MonkeyPatch) -> None:
    def overlooked(self: SimLog, position: str) -> Iterator[Piece]:
        log = self._guest.kept()
        log.start = min(log.start, int(position))
        return since(self, position)

    since = SimLog.since
    monkeypatch.setattr(SimLog, "since", overlooked)
    stack = Backups(options={"COFFER_BACKUP_TIMEOUT_SECONDS": "86400"})
    try:
        instance_id = archived(stack)
        (guest,) = stack.fleet.of_instance(instance_id)
        assert guest.volume is not None
        assert guest.volume.log is not None
        stack.run(300.0)
        stack.write(instance_id, "is lost")
        guest.volume.log.release(guest.volume.contents.log_position)
        stack.write(instance_id, "is there")
        stack.run(600.0)
        (archive,) = archives(stack, instance_id)
        made = at(stack, instance_id, archive["restorable_until"])
        assert made.status == 200, made.body
        stack.settle()
        assert "L12 is broken" in stack.explain()
    finally:
        stack.close()


def numbers(stack: Backups) -> list[int]:
    """Of the pieces that lie in the store."""
    named = (parsed(key.rpartition("/")[2]) for key in stack.keys)
    return [each.number for each in named if each is not None]


def test_what_no_backup_needs_any_more_goes_with_the_last_that_has(stack: Backups) -> None:
    instance_id = archived(stack)
    for number in range(3):
        stack.write(instance_id, f"row {number}")
        stack.run(120.0)
    (first,) = stack.ask("GET", "/backups").document["backups"]
    second = stack.back_up(instance_id)
    stack.write(instance_id, "behind it")
    stack.run(300.0)
    floor = int(stack.row(second)["archive_number"])
    before = numbers(stack)
    assert min(before) <= floor < max(before)
    assert stack.ask("DELETE", f"/backups/{first['id']}").status == 202
    stack.settle()
    assert numbers(stack) == [each for each in before if each > floor]
    (archive,) = archives(stack, instance_id)
    assert restored(stack, instance_id, archive["restorable_until"]) == set(
        stack.held(instance_id).databases[DATABASE].rows
    )
    assert at(stack, instance_id, first["created"] + "Z").status == 400


@pytest.mark.deep
@pytest.mark.long
def test_a_log_that_has_ended_without_a_base_is_removed_a_day_later(stack: Backups) -> None:
    instance_id = archived(stack)
    stack.write(instance_id, "in it")
    stack.run(300.0)
    assert numbers(stack)
    assert stack.ask("DELETE", f"/instances/{instance_id}").status == 202
    stack.settle()
    (backup,) = stack.ask("GET", "/backups").document["backups"]
    assert stack.ask("DELETE", f"/backups/{backup['id']}").status == 202
    stack.run(2 * 86400.0)
    assert stack.keys == []
    assert stack.ask("GET", f"/instances/{instance_id}/archives").status == 404


def wanting(stack: Backups) -> tuple[str, str]:
    """An instance whose log is archived with its next restart, and the path of its schedule."""
    instance_id = stack.begin()
    asked = {"name": "s", "instance": instance_id, "interval_hours": 24, "point_in_time": True}
    made = stack.ask("POST", "/backup_schedules", {"backup_schedule": asked})
    assert made.status == 200, made.body
    assert status(stack, instance_id) == "RESTART_REQUIRED"
    return instance_id, f"/backup_schedules/{made.document['backup_schedule']['id']}"


def status(stack: Backups, instance_id: str) -> str:
    return str(stack.ask("GET", f"/instances/{instance_id}").document["instance"]["status"])


def restart(stack: Backups, instance_id: str) -> None:
    asked = stack.ask("POST", f"/instances/{instance_id}/action", {"restart": {}})
    assert asked.status == 202, asked.body
    stack.settle()


def test_a_log_that_is_not_wanted_any_more_needs_no_restart(stack: Backups) -> None:
    instance_id, schedule = wanting(stack)
    off = {"backup_schedule": {"point_in_time": False}}
    assert stack.ask("PUT", schedule, off).status == 200
    assert status(stack, instance_id) == "ACTIVE"
    assert archives(stack, instance_id) == [], "of one that never began nothing is to be told"


def test_after_a_rebuild_a_restart_is_wanted_as_long_as_its_archive_waits(stack: Backups) -> None:
    """Its new engine may have been told before it started, or behind that."""
    instance_id, _ = wanting(stack)
    codes: list[int] = []
    body = {"rebuild": {"image_id": FIRST["mariadb"].image_id}}
    path = f"/mgmt/instances/{instance_id}/action"
    stack.do(lambda: codes.append(stack.admin("POST", path, body).status))
    assert codes == [202]
    stack.settle()
    assert status(stack, instance_id) == "RESTART_REQUIRED"
    stack.run(3600.0)
    (archive,) = archives(stack, instance_id)
    assert archive["state"] == "runs"
    assert status(stack, instance_id) == "ACTIVE"


def test_an_archive_that_follows_another_one_may_want_a_restart_too(stack: Backups) -> None:
    instance_id = archived(stack)
    (guest,) = stack.fleet.of_instance(instance_id)
    assert guest.volume is not None
    guest.disk.keeps_log = guest.volume.keeps_log = False  # as by somebody's hand
    restart(stack, instance_id)
    stack.run(3600.0)
    second, first = archives(stack, instance_id)
    assert (first["state"], second["state"]) == ("ended", "restart")
    assert status(stack, instance_id) == "RESTART_REQUIRED"
    restart(stack, instance_id)
    assert status(stack, instance_id) == "ACTIVE"


def test_a_log_that_no_schedule_wants_after_a_restore_of_tables_ends(stack: Backups) -> None:
    """By the function's own role: its job reads and ends what only its table tells."""
    instance_id = archived(stack)

    def restored_without_its_schedule() -> None:
        for row in BackupSchedule.scan():
            row.delete()
        event = {"step": "restore_rows", "part": "archives"}
        answer = stack.region.lambda_.call(f"{PREFIX}-taskmanager-cloud", event)
        told = [f"{instance_id}: no schedule wants its log"]
        assert answer.result == {"told": told, "next": {"part": "logs"}}

    stack.do(restored_without_its_schedule)
    assert [each["state"] for each in archives(stack, instance_id)] == ["ended"]
