"""The keys of backups and logs: sealed for one project, opened for no other, and for good."""

from __future__ import annotations

import pytest

from chalicelib import aws, parameters
from chalicelib.bus import keys
from chalicelib.bus.envelope import BadSeal
from chalicelib.bus.keyring import KeyRing
from chalicelib.conductor import data_keys
from chalicelib.conductor.data_keys import KEY_BYTES, Kind, Owner
from chalicelib.errors import Unavailable
from chalicelib.parameters import REFRESH_SECONDS
from chalicelib.store.models import Archive, Backup
from simulator import template
from tests.support.bare import Fault, World

MINE = Owner(Kind.BACKUP, "tenant-1", "backup-1")
OTHERS = (
    MINE._replace(tenant_id="tenant-2"),
    MINE._replace(kind=Kind.LOG),
    MINE._replace(id="backup-2"),
)
PLAIN = bytes(range(KEY_BYTES))


def test_a_key_is_as_long_as_it_has_to_be_and_new_each_time(world: World) -> None:
    made = [data_keys.opened(MINE, data_keys.new_key(MINE)) for _ in range(2)]
    assert {len(key) for key in made} == {KEY_BYTES}
    assert made[0] != made[1]


@pytest.mark.parametrize("owner", OTHERS)
def test_a_key_is_opened_for_its_project_and_for_what_it_is_of_alone(
    world: World, owner: Owner
) -> None:
    text = data_keys.sealed(MINE, PLAIN)
    assert data_keys.opened(MINE, text) == PLAIN
    with pytest.raises(BadSeal):
        data_keys.opened(owner, text)


def test_each_project_has_a_key_of_its_own(world: World) -> None:
    """What a key is bound to is not all that parts two projects."""
    text = data_keys.sealed(MINE, PLAIN).removeprefix(data_keys.OF_PROJECT)
    _, context = data_keys._bound_to(MINE)
    for purpose, opens in (("backup/tenant-1", True), ("backup/tenant-2", False)):
        try:
            assert keys.reveal(purpose, context, text, parameters.BACKUP_KEYS) == PLAIN
        except BadSeal:
            assert not opens
        else:
            assert opens


@pytest.mark.parametrize("kind", Kind)
def test_what_was_sealed_before_projects_had_keys_is_opened(world: World, kind: Kind) -> None:
    owner = MINE._replace(kind=kind)
    before = keys.protect(str(kind), owner.id, PLAIN, parameters.BACKUP_KEYS)
    assert data_keys.opened(owner, before) == PLAIN
    with pytest.raises(BadSeal):
        data_keys.opened(owner._replace(id="backup-2"), before)


def test_to_code_of_before_a_key_is_one_that_it_cannot_open(world: World) -> None:
    """Beside it in a deployment: it answers that it does not go at the moment."""
    with pytest.raises(BadSeal):
        keys.reveal("backup", MINE.id, data_keys.sealed(MINE, PLAIN), parameters.BACKUP_KEYS)


def test_a_rotation_leaves_what_was_sealed_before_it(world: World) -> None:
    ring = parameters.held(parameters.BACKUP_KEYS, KeyRing)
    text = data_keys.sealed(MINE, PLAIN)
    ring = ring.with_new(bytes([7]) * 32, aws.clock())
    world.put(parameters.BACKUP_KEYS, ring.with_newest_in_use(ring.usable_at))
    world.run(REFRESH_SECONDS)
    after = data_keys.sealed(MINE, PLAIN)
    assert after.startswith(f"{data_keys.OF_PROJECT}{ring.newest}.")
    assert [data_keys.opened(MINE, each) for each in (text, after)] == [PLAIN, PLAIN]


# --------------------------------------------------------------------------------- sealed by KMS


@pytest.fixture
def in_kms(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("COFFER_SEAL_BACKUPS_WITH", "key")
    return world


def test_kms_makes_a_key_that_opens_for_its_project_and_what_it_is_of_alone(in_kms: World) -> None:
    text = data_keys.new_key(MINE)
    assert text.startswith(data_keys.BY_KMS)
    assert len(data_keys.opened(MINE, text)) == KEY_BYTES
    for owner in OTHERS:
        with pytest.raises(BadSeal):
            data_keys.opened(owner, text)
    assert not any(call.startswith("ssm") for call in in_kms.log), "the ring has no part in it"


def test_the_ring_opens_nothing_that_kms_has_sealed(in_kms: World) -> None:
    """Whoever has read it, and the tables."""
    blob = data_keys.new_key(MINE).removeprefix(data_keys.BY_KMS)
    version = parameters.held(parameters.BACKUP_KEYS, KeyRing).current
    for form in (f"{version}.{blob}", f"{data_keys.OF_PROJECT}{version}.{blob}"):
        with pytest.raises(BadSeal):
            data_keys.opened(MINE, form)


def test_kms_is_told_whose_key_it_opens(in_kms: World) -> None:
    """It writes that down."""
    assert data_keys._context(MINE) == {
        "deployment": template.DEPLOYMENT_ID,
        "project": "tenant-1",
        "backup": "backup-1",
    }


@pytest.mark.parametrize("first", ["key", "ring"])
def test_whatever_seals_what_is_new_each_form_is_opened(
    world: World, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    texts = []
    for chosen in (first, "ring" if first == "key" else "key"):
        monkeypatch.setenv("COFFER_SEAL_BACKUPS_WITH", chosen)
        aws.forget("settings")
        texts.append(data_keys.new_key(MINE))
    assert len({text.partition(":")[0] for text in texts}) == 2
    assert [len(data_keys.opened(MINE, each)) for each in texts] == [KEY_BYTES, KEY_BYTES]


@pytest.mark.parametrize("text", ["kms:", "kms:Zm9v", "kms:no base64", "kms:ü"])
def test_what_kms_has_not_sealed_is_no_key(in_kms: World, text: str) -> None:
    with pytest.raises(BadSeal):
        data_keys.opened(MINE, text)


def test_while_the_key_is_not_to_be_used_there_is_none_and_then_there_is(in_kms: World) -> None:
    text = data_keys.new_key(MINE)
    key = data_keys.opened(MINE, text)
    in_kms.kms.enabled = False
    with pytest.raises(Unavailable, match="at the moment"):
        data_keys.opened(MINE, text)
    with pytest.raises(Unavailable, match="at the moment"):
        data_keys.new_key(MINE)
    in_kms.kms.enabled = True
    assert data_keys.opened(MINE, text) == key


def test_kms_out_of_reach_is_an_outage_and_no_lost_key(in_kms: World) -> None:
    text = data_keys.new_key(MINE)
    made = len(in_kms.log)
    in_kms.faults.update(dict.fromkeys(range(made + 1, made + 9), Fault.REFUSED))
    with pytest.raises(Unavailable):
        data_keys.opened(MINE, text)


def test_to_code_of_before_a_key_of_kms_is_one_that_it_cannot_open(in_kms: World) -> None:
    with pytest.raises(BadSeal):
        keys.reveal("backup", MINE.id, data_keys.new_key(MINE), parameters.BACKUP_KEYS)


def test_whose_a_key_is_its_row_tells() -> None:
    backup, archive = Backup(id="b", tenant_id="t"), Archive(id="a", tenant_id="t")
    assert data_keys.owner_of(backup) == Owner(Kind.BACKUP, "t", "b")
    assert data_keys.owner_of(archive) == Owner(Kind.LOG, "t", "a")
