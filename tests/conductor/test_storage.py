"""What a guest gets of the object store: for its own backup, while it is made, and nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from pynamodb.expressions.update import Action

from chalicelib import aws, containers, errors
from chalicelib.bus import proofs
from chalicelib.conductor import data_keys, storage
from chalicelib.conductor.data_keys import Kind, Owner
from chalicelib.conductor.storage import Ask, Storage
from chalicelib.domain import attempts
from chalicelib.domain.archives import State
from chalicelib.domain.containers import Container
from chalicelib.domain.flows import CREATE_BACKUP
from chalicelib.domain.operations import OperationStatus
from chalicelib.settings import settings
from chalicelib.status import BackupStatus
from chalicelib.store import accepting, archives, backups, instances, making_backups, operations
from chalicelib.store.ending import Ending, end_operation
from chalicelib.store.models import Archive, Backup, Instance, Operation
from tests.conductor.conftest import Built
from tests.support.bare import World


class Making:
    """An instance that is being backed up."""

    def __init__(self, world: World, built: Built, parents: tuple[str, ...] = ()) -> None:
        self.world, self.built = world, built
        if built.operation.live is not None:
            end_operation(built.operation, Ending(OperationStatus.SUCCEEDED))
            built.operation.live = None
        self.key = aws.token_bytes(32)
        self.backup = new_backup(built, self.key, parents)
        row = instances.get_instance(built.instance.id)
        arguments = {"backup": self.backup.id}
        self.operation = operations.operation_of(row, CREATE_BACKUP, arguments=arguments)
        assert accepting.accept(row, self.operation, beside=making_backups.making(self.backup))

    def ask(self, **changes: Any) -> Ask:
        return asked(self.world, self.built, self.backup.id, **changes)


def new_backup(built: Built, key: bytes, parents: tuple[str, ...] = ()) -> Backup:
    backup_id, tenant = aws.new_id(), built.instance.tenant_id
    return Backup(
        id=backup_id,
        tenant_id=tenant,
        index_tenant=tenant,
        instance_id=built.instance.id,
        index_source=built.instance.id,
        status=BackupStatus.NEW,
        created=aws.clock(),
        updated=aws.clock(),
        held=dict(making_backups.HELD),
        name="nightly",
        datastore_version_id="v",
        datastore_name="mariadb",
        datastore_version="10.11",
        datastore_version_number="10.11.6",
        manager="mariadb",
        parents=list(parents),
        location=f"{tenant}/{parents[0] if parents else backup_id}/{backup_id}",
        sealed_key=data_keys.sealed(Owner(Kind.BACKUP, tenant, backup_id), key),
    )


def asked(world: World, built: Built, backup: str, **changes: Any) -> Ask:
    world.run(1)
    fields: dict[str, Any] = {
        "instance_id": built.instance.id,
        "generation": 1,
        "issued_at_ms": int(world.now * 1000) + 1,
        "backup_id": backup,
    }
    signature = built.guest.sign(proofs.of_storage(**fields))
    return Ask(**({**fields, "signature": signature} | changes))


def complete(making: Making) -> None:
    made = {"checksum": "ab" * 32, "size": 1, "data_size": 1}
    making.operation.update(actions=[Operation.resources["backup"].set(made)])
    end_operation(making.operation, Ending(OperationStatus.SUCCEEDED))


def policy(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(world.assumed[-1]["Policy"])["Statement"]
    return found


@pytest.fixture
def making(world: World, built: Built) -> Making:
    return Making(world, built)


def test_who_makes_a_backup_writes_below_its_location_alone(world: World, making: Making) -> None:
    lent: Storage = storage.storage(making.ask())
    assert lent.writes
    assert base64.b64decode(lent.keys[making.backup.id]) == making.key
    assert (lent.bucket, lent.endpoint) == (settings().backups_bucket, None)
    where = f"arn:aws:s3:::{settings().backups_bucket}/{making.backup.location}/*"
    assert policy(world) == [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": where}]
    found = backups.find_backup(making.backup.id)
    assert found is not None
    assert found.status == BackupStatus.BUILDING


def test_a_backup_gets_its_key_with_the_first_ask_and_keeps_it(world: World, built: Built) -> None:
    making = Making(world, built)
    making.backup.update(actions=[Backup.sealed_key.remove()])
    first = storage.storage(making.ask())
    assert len(base64.b64decode(first.keys[making.backup.id])) == 32
    assert storage.storage(making.ask()).keys == first.keys


def test_a_key_that_a_restored_table_does_not_know_is_not_made_anew(
    world: World, built: Built
) -> None:
    making = Making(world, built)
    before = Backup.get(making.backup.id)
    before.sealed_key = None
    before.save()
    storage.storage(making.ask())
    before.save()
    with pytest.raises(errors.Gone):
        storage.storage(making.ask())
    assert Backup.get(making.backup.id).sealed_key is None


def test_of_two_first_asks_at_once_both_get_one_key(
    world: World, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = Making(world, built)
    making.backup.update(actions=[Backup.sealed_key.remove()])
    asks = [making.ask(), making.ask()]
    lent: list[Storage] = []

    find = backups.find_backup

    def late(backup_id: str) -> Backup | None:
        row = find(backup_id)
        monkeypatch.setattr(backups, "find_backup", find)
        lent.append(storage.storage(asks[1]))
        return row

    monkeypatch.setattr(backups, "find_backup", late)
    lent.append(storage.storage(asks[0]))
    assert lent[0].keys == lent[1].keys


def test_who_is_restored_reads_its_chain_alone(world: World, built: Built, other: Built) -> None:
    full = Making(world, built)
    complete(full)
    child = Making(world, built, (full.backup.id,))
    complete(child)
    other.operation.update(
        actions=[
            Operation.action.set("restore_instance"),
            Operation.arguments.set({"backup": child.backup.id}),
        ]
    )
    lent = storage.storage(asked(world, other, child.backup.id))
    assert not lent.writes
    assert set(lent.keys) == {full.backup.id, child.backup.id}
    chain = f"{full.backup.tenant_id}/{full.backup.id}"
    where = f"arn:aws:s3:::{settings().backups_bucket}/{chain}/*"
    assert policy(world) == [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": where}]
    with pytest.raises(errors.Gone):
        storage.storage(asked(world, other, full.backup.id))


@pytest.mark.parametrize(("seconds", "lent"), [(3.0, True), (9.0, False)])
def test_keys_that_open_slowly_are_asked_for_again(
    world: World, built: Built, monkeypatch: pytest.MonkeyPatch, *, seconds: float, lent: bool
) -> None:
    """Of a long chain: before the gateway would give an answer of its own."""
    full = Making(world, built)
    complete(full)
    child = Making(world, built, (full.backup.id,))
    complete(child)
    child.operation.update(actions=[Operation.action.set("restore_instance")])
    body = asked(world, built, child.backup.id)
    opened = data_keys.opened

    def slow(owner: Owner, text: str) -> bytes:
        world.run(seconds)
        return opened(owner, text)

    monkeypatch.setattr(data_keys, "opened", slow)
    monkeypatch.setattr(storage, "_about", lambda *_: child.operation)
    if lent:
        assert len(storage.storage(body).keys) == 2
        return
    with pytest.raises(errors.Unavailable, match="in time"):
        storage.storage(body)


def test_nobody_gets_another_ones(world: World, making: Making, other: Built) -> None:
    given = len(world.assumed)
    with pytest.raises(errors.Gone, match="No operation of the instance needs that backup"):
        storage.storage(asked(world, other, making.backup.id))
    forged = asked(world, other, making.backup.id, instance_id=making.built.instance.id)
    with pytest.raises(errors.Unauthorized, match="signature"):
        storage.storage(forged)
    with pytest.raises(errors.Unauthorized, match="signature"):
        storage.storage(making.ask(backup_id=aws.new_id()))
    assert len(world.assumed) == given


def test_a_request_counts_once(world: World, making: Making) -> None:
    ask = making.ask()
    storage.storage(ask)
    with pytest.raises(errors.BadRequest, match="seen before"):
        storage.storage(ask)


@pytest.mark.parametrize("how", ["cancelled", "compensating", "ended", "lost"])
def test_what_goes_back_or_is_over_lends_nothing(world: World, making: Making, how: str) -> None:
    match how:
        case "cancelled":
            making.operation.update(actions=[Operation.cancelled.set("No.")])
        case "compensating":
            making.operation.update(actions=[Operation.compensating.set(True)])
        case "ended":
            complete(making)
        case _:
            making.backup.delete()
    given = len(world.assumed)
    with pytest.raises(errors.Gone):
        storage.storage(making.ask())
    assert len(world.assumed) == given


def test_a_key_that_a_lost_ring_has_sealed_is_asked_for_again(making: Making) -> None:
    whose = data_keys.owner_of(making.backup)
    sealed = data_keys.sealed(whose._replace(id=aws.new_id()), making.key)
    making.backup.update(actions=[Backup.sealed_key.set(sealed)])
    with pytest.raises(errors.Unavailable, match="cannot be opened"):
        storage.storage(making.ask())


def test_another_projects_row_is_lent_to_nobody_and_its_key_does_not_open(
    world: World, making: Making, other: Built
) -> None:
    """Neither by what an operation is about, nor where a row has come to another project."""
    complete(making)
    other.operation.update(
        actions=[
            Operation.action.set("restore_instance"),
            Operation.arguments.set({"backup": making.backup.id}),
        ]
    )
    making.backup.update(actions=[Backup.tenant_id.set("tenant-2")])
    given = len(world.assumed)
    with pytest.raises(errors.Gone):
        storage.storage(asked(world, other, making.backup.id))
    other.operation.update(actions=[Operation.tenant_id.set("tenant-2")])
    with pytest.raises(errors.Unavailable, match="cannot be opened"):
        storage.storage(asked(world, other, making.backup.id))
    assert len(world.assumed) == given


def test_a_session_policy_has_room_in_its_2048_characters(world: World, making: Making) -> None:
    storage.storage(making.ask())
    assert len(world.assumed[-1]["Policy"]) < 600


PLACE = Container("https://swift/v1/AUTH_tenant/mine", 1)
ATTEMPTS = ("first-attempt", "second-attempt")


@pytest.fixture
def in_swift(making: Making) -> Making:
    actions: list[Action] = [
        Backup.container_url.set(PLACE.url),
        Backup.container_key.set(PLACE.key),
    ]
    making.backup.update(actions=actions)
    return making


def known(making: Making) -> list[attempts.Attempt]:
    return attempts.of(Backup.get(making.backup.id).attempts)


def writing(making: Making, attempt: str | None = None) -> storage.LentContainer:
    body = making.ask() if attempt is None else of(making, attempt)
    lent = storage.storage(body).container
    assert lent is not None
    return lent


def of(making: Making, attempt: str, said: str | None = None) -> Ask:
    """An ask in an attempt, signed for it or for another one."""
    plain = making.ask()
    text = proofs.of_storage(
        plain.instance_id, plain.generation, plain.issued_at_ms, plain.backup_id, attempt
    )
    signature = making.built.guest.sign(text)
    return msgspec.structs.replace(plain, attempt=said or attempt, signature=signature)


def test_an_import_is_lent_as_that_object_alone(in_swift: Making, other: Built) -> None:
    """By an URL of it, and of nothing beside it; only while an instance is made of it."""
    complete(in_swift)
    found = {"key": "a b.xbstream.gz", "size": 1, "etag": "0" * 32, "large": False}
    in_swift.backup.update(actions=[Backup.imported.set(found)])
    with pytest.raises(errors.Gone):
        storage.storage(asked(in_swift.world, other, in_swift.backup.id))
    other.operation.update(
        actions=[
            Operation.action.set("restore_instance"),
            Operation.arguments.set({"backup": in_swift.backup.id}),
        ]
    )
    lent = storage.storage(asked(in_swift.world, other, in_swift.backup.id))
    assert (lent.writes, lent.keys, lent.container, lent.credentials) == (False, {}, None, None)
    assert lent.object is not None
    expires = lent.object.expires_at
    assert 0 < expires - in_swift.world.now <= containers.LENT_SECONDS
    assert lent.object.url == containers.url_of(PLACE, "GET", "a b.xbstream.gz", expires)
    assert lent.object.url.startswith(f"{PLACE.url}/a%20b.xbstream.gz?temp_url_sig=")
    assert "temp_url_prefix" not in lent.object.url


def test_who_writes_into_a_container_says_in_which_attempt(world: World, in_swift: Making) -> None:
    given = len(world.assumed)
    nothing = writing(in_swift)
    assert (nothing.signatures, nothing.prefix, known(in_swift)) == ({}, "", [])
    lent = writing(in_swift, ATTEMPTS[0])
    assert lent.prefix == f"{in_swift.backup.location}/{ATTEMPTS[0]}/"
    signed = containers.signature(PLACE, "PUT", lent.prefix, lent.expires_at)
    assert (lent.url, lent.signatures) == (PLACE.url, {"PUT": signed})
    assert 0 < lent.expires_at - world.now <= containers.LENT_SECONDS
    assert [each.id for each in known(in_swift)] == [ATTEMPTS[0]]
    assert len(world.assumed) == given, "nothing of AWS is lent"
    world.run(60)
    later = writing(in_swift, ATTEMPTS[0])
    (attempt,) = known(in_swift)
    assert lent.expires_at < later.expires_at <= attempt.until


def test_only_the_newest_attempt_is_lent_more_and_there_are_not_many(in_swift: Making) -> None:
    for attempt in ATTEMPTS:
        writing(in_swift, attempt)
    with pytest.raises(errors.Gone, match="Another attempt"):
        writing(in_swift, ATTEMPTS[0])
    for number in range(attempts.MOST - len(ATTEMPTS)):
        writing(in_swift, f"attempt-{number}")
    with pytest.raises(errors.Gone, match="too many"):
        writing(in_swift, "one-more")
    assert len(known(in_swift)) == attempts.MOST


def test_of_two_attempts_at_once_one_is_asked_for_again(
    in_swift: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [of(in_swift, each) for each in ATTEMPTS]
    find = backups.find_backup

    def late(backup_id: str) -> Backup | None:
        row = find(backup_id)
        monkeypatch.setattr(backups, "find_backup", find)
        storage.storage(bodies[1])
        return row

    Backup.get(in_swift.backup.id).update(actions=[Backup.status.set(BackupStatus.BUILDING)])
    monkeypatch.setattr(backups, "find_backup", late)
    with pytest.raises(errors.Unavailable, match="try again"):
        storage.storage(bodies[0])
    assert [each.id for each in known(in_swift)] == [ATTEMPTS[1]]


def test_an_attempt_is_a_part_of_what_is_signed(in_swift: Making) -> None:
    with pytest.raises(errors.Unauthorized, match="signature"):
        storage.storage(of(in_swift, ATTEMPTS[0], said=ATTEMPTS[1]))
    assert known(in_swift) == []


def test_who_is_restored_reads_below_its_chain_and_is_told_the_attempt(
    in_swift: Making, other: Built
) -> None:
    writing(in_swift, ATTEMPTS[0])
    complete(in_swift)
    other.operation.update(
        actions=[
            Operation.action.set("restore_instance"),
            Operation.arguments.set({"backup": in_swift.backup.id}),
        ]
    )
    lent = storage.storage(asked(in_swift.world, other, in_swift.backup.id))
    assert lent.container is not None
    assert lent.container.prefix == f"{in_swift.backup.tenant_id}/{in_swift.backup.id}/"
    assert set(lent.container.signatures) == {"GET"}
    assert lent.attempts == {in_swift.backup.id: ATTEMPTS[0]}
    assert (lent.credentials, lent.bucket) == (None, None)


@pytest.mark.parametrize("whose", ["nobody", "another tenant", "nobody who can open it"])
def test_a_log_that_is_gone_is_not_replayed(
    world: World, built: Built, other: Built, whose: str
) -> None:
    """Without it the data would be of another moment than was asked for."""
    full = Making(world, built)
    complete(full)
    log = archives.new_archive(instances.get_instance(built.instance.id), "schedule-1")
    if whose == "another tenant":
        log.tenant_id = "tenant-2"
        log.save()
    if whose == "nobody who can open it":
        log.number = 7
        log.save()
    restore = {"backup": full.backup.id, "log": {"archive": log.id}}
    other.operation.update(
        actions=[Operation.action.set("restore_instance"), Operation.arguments.set(restore)]
    )
    given = len(world.assumed)
    with pytest.raises(errors.Gone):
        storage.storage(asked(world, other, full.backup.id))
    assert len(world.assumed) == given


def test_a_guest_writes_its_log_below_its_own_archive_alone(
    world: World, built: Built, other: Built
) -> None:
    log = archives.new_archive(instances.get_instance(built.instance.id), "schedule-1")
    log.save()
    for each in (built, other):
        Instance(each.instance.id).update(actions=[Instance.archive_id.set(log.id)])
    lent = storage.storage(asked(world, built, log.id))
    assert (lent.writes, set(lent.keys)) == (True, {log.id})
    where = f"arn:aws:s3:::{settings().backups_bucket}/{log.location}/*"
    assert policy(world) == [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": where}]
    with pytest.raises(errors.Gone):
        storage.storage(asked(world, other, log.id))
    log.update(actions=[Archive.state.set(State.ENDED)])
    with pytest.raises(errors.Gone):
        storage.storage(asked(world, built, log.id))


@pytest.mark.parametrize("sent", [False, True])
def test_an_archive_whose_key_a_restore_has_lost_ends_when_something_was_sent(
    world: World, built: Built, *, sent: bool
) -> None:
    """Nobody opens what another key has sealed: the next archive begins with one of its own."""
    log = archives.new_archive(instances.get_instance(built.instance.id), "schedule-1")
    log.save()
    Instance(built.instance.id).update(actions=[Instance.archive_id.set(log.id)])
    key = storage.storage(asked(world, built, log.id)).keys[log.id]
    if sent:
        bucket = settings().backups_bucket
        aws.client("s3").put_object(Bucket=bucket, Key=f"{log.location}/1", Body=b"sealed")
    log.update(actions=[Archive.sealed_key.remove()])
    if not sent:
        assert storage.storage(asked(world, built, log.id)).keys[log.id] != key
        return
    with pytest.raises(errors.Gone):
        storage.storage(asked(world, built, log.id))
    ended = archives.find_archive(log.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.ENDED, storage.LOST_KEY)
