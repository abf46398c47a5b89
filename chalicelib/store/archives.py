"""Rows of archives of logs: wanted by a schedule, told of by the guest, gone with their bases.

    begin      archive, the instance's `archive_id`, the schedule, an event     one transaction
    told       number, sum, until when, by heartbeats in their order            one write
    ended      its guest has told that its log does not go on                   one write
    follow     the next archive, when the guest asks what is wanted             one transaction
    stop       archive ended, the instance's `archive_id` removed               one transaction

`archive_id` of the instance is what is wanted: the guest learns it with its credentials.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.domain import archives as rules
from chalicelib.domain.archives import State
from chalicelib.errors import Conflict
from chalicelib.store import backups, instances
from chalicelib.store.backups import Items
from chalicelib.store.base import ConditionFailed, transact, transacted, update_if
from chalicelib.store.events import Asked, new_event
from chalicelib.store.models import Archive, EventRow, Instance
from chalicelib.store.subjects import history_ends

LEAST_SECONDS: Final = 600.0
"""Between two archives of an instance: a guest whose log breaks again and again makes no more."""
WRITE_MS: Final = 60_000
"""A later `until` alone is written when it has gone on so far: an idle database is a write a
minute, and not one for each heartbeat."""
PAGE: Final = 1000
MOST_LISTED: Final = 200
"""Newest archives of an instance that anybody looks at."""
BACKWARDS: Final = "Its guest has told less than before: the volume, or its note of it, is older."
Order = tuple[int, int, int]
"""Of a heartbeat: generation, epoch, seq."""


class Told(NamedTuple):
    """What a guest tells of its archive; without an `until_ms` its database does not run."""

    state: State
    broken: bool
    number: int
    sha256: str | None
    from_ms: int
    until_ms: int
    until_position: str
    waiting: int
    reason: str


def new_archive(instance: Instance, schedule_id: str) -> Archive:
    """A row that is not stored yet. Its key comes when its guest asks for the store."""
    now, archive_id = aws.clock(), aws.new_id()
    return Archive(
        id=archive_id,
        tenant_id=instance.tenant_id,
        instance_id=instance.id,
        created=now,
        updated=now,
        schedule_id=schedule_id,
        location=rules.location(instance.tenant_id, archive_id),
        state=State.NEW,
    )


def find_archive(archive_id: str) -> Archive | None:
    """The row, read consistently, or None."""
    try:
        return Archive.get(archive_id, consistent_read=True)
    except Archive.DoesNotExist:
        return None


def find_archives(archive_ids: Iterable[str]) -> dict[str, Archive]:
    """The rows that are there, by id, read consistently."""
    found = Archive.batch_get(list(archive_ids), consistent_read=True)
    return {row.id: row for row in found}


def of_instance(instance_id: str) -> list[Archive]:
    """The archives of an instance, newest first, `MOST_LISTED` at most; as the index knows them.

    Those that are history are passed over: a log that breaks again and again leaves any number.
    """
    found = Archive.source_index.query(
        instance_id,
        scan_index_forward=False,
        filter_condition=Archive.expires.does_not_exist(),
        page_size=PAGE,
        limit=MOST_LISTED,
    )
    return list(found)


def beginning(row: Archive) -> Items:
    """What the transaction writes that turns archiving on.

    Clauses: the instance is there, and has no archive (another schedule; a second request).
    """
    alone = Instance.index_tenant.exists() & Instance.archive_id.does_not_exist()
    event = _event(row, "began", "The log is to be archived from now on.")

    def build(write: TransactWrite) -> None:
        write.save(row, condition=Archive.id.does_not_exist())
        write.update(
            Instance(row.instance_id),
            actions=[Instance.archive_id.set(row.id)],
            condition=alone,
        )
        write.save(event)

    return build


def begun_by(instance_id: str, schedule_id: str) -> Items:
    """The same, of a new archive; `Conflict` where the instance has one."""
    instance = instances.get_instance(instance_id)
    if instance.archive_id is not None:
        raise Conflict(
            f"The log of instance {instance.id} is archived already: one schedule at most has "
            "'point_in_time'."
        )
    return beginning(new_archive(instance, schedule_id))


def stopping(instance_id: str, schedule_id: str, why: str) -> Items:
    """What the transaction writes that turns a schedule's archiving off.

    Clauses: the archive and the instance are as they were read; nothing for what is off.
    """
    instance = instances.find_instance(instance_id)
    row = find_archive(instance.archive_id) if instance and instance.archive_id else None
    if instance is None or row is None or row.schedule_id != schedule_id:
        return lambda _: None
    ending = [] if row.state == State.ENDED else _ending(why)
    actions = [*ending, *_forgetting(row)]
    same, event = Archive.state == row.state, _event(row, "ended", why)
    wanted = Instance.archive_id == row.id
    unwanted: list[Action] = [Instance.archive_id.remove(), Instance.log_waits.remove()]

    def build(write: TransactWrite) -> None:
        if actions:
            write.update(row, actions=actions, condition=same)
        write.update(instance, actions=unwanted, condition=wanted)
        write.save(event)

    return build


def present(instance: Instance) -> Archive | None:
    """The archive that an instance's log is wanted for now; begins the next one behind one that
    has ended by itself.

    Soon after another one, it is the ended one still: the guest asks again.
    """
    if instance.archive_id is None:
        return None
    row = find_archive(instance.archive_id)
    if row is not None:
        _settle_restart(instance, row)
    if row is None or row.state != State.ENDED or aws.clock() - row.created < LEAST_SECONDS:
        return row
    return _follow(row) or row


def _settle_restart(instance: Instance, row: Archive) -> None:
    """Have an instance tell whether its log waits for a start, as its guest has told since the last
    operation has ended; what was told before may be over."""
    waits = row.state == State.RESTART and row.updated >= instance.updated
    if (waits or row.state == State.RUNS) and waits != bool(instance.log_waits):
        _write_waits(instance, row.id, waits=waits)


def end(row: Archive, why: str, *, empty: bool) -> None:
    """End an archive that cannot go on; `empty` if no piece of it is known to be in the store.

    Clause: it is as it was read; raises `ConditionFailed`.
    """
    forgetting = _forgetting(row) if empty else []
    actions, event = [*_ending(why), *forgetting], _event(row, "ended", why)
    key = Archive.sealed_key
    same = Archive.state == row.state
    same &= key.does_not_exist() if row.sealed_key is None else key == row.sealed_key

    def build(write: TransactWrite) -> None:
        write.update(row, actions=actions, condition=same)
        write.save(event)

    transact(build)


def _follow(row: Archive) -> Archive | None:
    """Have another archive instead of one that has ended. Clause: the instance wants that one."""
    instance = instances.find_instance(row.instance_id)
    if instance is None:
        return None
    following = new_archive(instance, row.schedule_id)
    why = f"{row.reason or 'It has ended.'} Another archive begins."
    event, wanted = _event(row, "broken", why), Instance.archive_id == row.id
    forgetting, there = _forgetting(row), Archive.id.exists()

    def build(write: TransactWrite) -> None:
        if forgetting:
            write.update(row, actions=forgetting, condition=there)
        write.save(following, condition=Archive.id.does_not_exist())
        write.update(instance, actions=[Instance.archive_id.set(following.id)], condition=wanted)
        write.save(event)

    return following if transacted(build) else None


def settle(instance: Instance, schedule_id: str) -> None:
    """Have an archive for a schedule that wants one, where a restored table has lost it."""
    if instance.archive_id is not None:
        if find_archive(instance.archive_id) is not None:
            return
        lost = Instance.archive_id == instance.archive_id
        try:
            update_if(instance, [Instance.archive_id.remove(), Instance.log_waits.remove()], lost)
        except ConditionFailed:
            return
    transacted(beginning(new_archive(instance, schedule_id)))


def seal(row: Archive, sealed_key: str) -> Archive:
    """Give an archive its key, unless it has one; the row as it is then."""
    try:
        update_if(row, [Archive.sealed_key.set(sealed_key)], Archive.sealed_key.does_not_exist())
    except ConditionFailed:
        return find_archive(row.id) or row
    return row


def note_restart(instance: Instance, row: Archive) -> None:
    """Its database keeps its log after a restart only, and clients see so."""
    _write_waits(instance, row.id, waits=True)


def _write_waits(instance: Instance, archive_id: str, *, waits: bool) -> None:
    """Clause: that archive is wanted still."""
    action = Instance.log_waits.set(True) if waits else Instance.log_waits.remove()
    wanted = (Instance.archive_id == archive_id) & Instance.index_tenant.exists()
    try:
        update_if(instance, [action], wanted)
    except ConditionFailed:
        return


def tell(row: Archive, order: Order, said: Told) -> None:
    """Write what a guest tells of its archive, if it says more than the row, or it is time.

    That it waits for a start is written again: the last start may have been before that was asked.
    """
    news = (
        said.broken
        or said.state != row.state
        or (said.until_ms and said.number != row.number)  # else it tells of no head
        or (said.reason or None) != row.reason
        or said.until_ms - (row.until_ms or 0) >= WRITE_MS
        or (said.state == State.RESTART and aws.clock() - row.updated >= LEAST_SECONDS)
    )
    if news and row.state != State.ENDED:
        told(row, order, said)


def told(row: Archive, order: Order, said: Told) -> None:
    """Write what a guest has told of its archive.

    Clauses: it is later than what was told before (reorder, duplicates, a zombie), and the archive
    has not ended. What goes back ends it: what was sent then is on no way back from the new head.
    """
    actions: list[Action]
    if goes_back(row, said):
        actions = _ending(BACKWARDS)
    elif said.broken:
        actions = [*_head(row, said), *_ending(said.reason)]
    else:
        actions = [*_head(row, said), Archive.state.set(said.state)]
        actions.append(Archive.reason.set(said.reason) if said.reason else Archive.reason.remove())
    generation, epoch, seq = order
    actions += [
        Archive.generation.set(generation),
        Archive.epoch.set(epoch),
        Archive.seq.set(seq),
        Archive.waiting_bytes.set(said.waiting),
        Archive.updated.set(aws.clock()),
    ]
    try:
        update_if(row, actions, _later(order) & (Archive.state != State.ENDED))
    except ConditionFailed:
        return


def goes_back(row: Archive, said: Told) -> bool:
    """Whether a guest has sent less than was told of its archive, or something else."""
    if not said.until_ms:
        return False  # its database does not run, so it tells nothing of it
    another = said.number == row.number > 0 and said.sha256 != row.sha256
    return said.number < row.number or another


def _head(row: Archive, said: Told) -> list[Action]:
    """Its new head. An agent that was started again knows less of `until` than was told."""
    if not said.until_ms:
        return []
    head: list[Action] = [
        Archive.number.set(said.number),
        Archive.from_ms.set(said.from_ms),
        Archive.until_ms.set(max(said.until_ms, int(row.until_ms or 0))),
    ]
    if said.until_position:
        head.append(Archive.until_position.set(said.until_position))
    return [*head, Archive.sha256.set(said.sha256)] if said.sha256 is not None else head


def _later(order: Order) -> Condition:
    generation, epoch, seq = order
    same = Archive.generation == generation
    later: Condition = Archive.generation < generation
    later |= same & (Archive.epoch < epoch)
    later |= same & (Archive.epoch == epoch) & (Archive.seq < seq)
    return later


def _ending(why: str) -> list[Action]:
    now = aws.clock()
    return [Archive.state.set(State.ENDED), Archive.reason.set(why), Archive.ended.set(now)]


def _forgetting(row: Archive) -> list[Action]:
    """What is written to one that has ended without a piece: no look through the store finds it.

    Where a backup is kept that it goes on from, that one's deletion does the same.
    """
    if row.number or any(each.archive_id == row.id for each in backups.all_of(row.instance_id)):
        return []
    return [Archive.expires.set(history_ends(aws.clock()))]


def buried(row: Archive) -> None:
    """Its pieces are gone, and it is not wanted: keep the row as history for a while."""
    actions: list[Action] = [
        Archive.expires.set(history_ends(aws.clock())),
        Archive.sealed_key.remove(),
        Archive.state.set(State.ENDED),
    ]
    update_if(row, actions, Archive.id.exists())


def _event(row: Archive, what: str, text: str, asked: Asked | None = None) -> EventRow:
    return new_event(row.instance_id, f"log_archive.{what}", text, row.tenant_id, asked)
