"""The rings where they are kept: every step can be repeated, and two at once lose no key."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from chalicelib.bus import keyring
from chalicelib.bus.keyring import DISTRIBUTE_SECONDS, RETAIN_SECONDS, KeyRing, TooEarly
from chalicelib.parameters import BACKUP_KEYS
from infra import secret_store
from infra.errors import StackError
from infra.keyrings import FRESH_SECONDS, RINGS, KeyRings

NOW = 1_800_000_000.0
PATH = "/coffer"


class Account:
    """A deployment's parameters."""

    def __init__(self) -> None:
        self.ssm: Any = boto3.client("ssm", region_name="us-east-1")
        self.said: list[str] = []
        self.rings = KeyRings(self.ssm, PATH, self.said.append)
        for number, name in enumerate(RINGS, 1):
            self.put(name, keyring.first(bytes([number]) * 32, NOW))

    def put(self, name: str, ring: KeyRing) -> None:
        value = msgspec.json.encode(ring).decode()
        self.ssm.put_parameter(
            Name=f"{PATH}/{name}", Value=value, Type="SecureString", Overwrite=True
        )

    def ring(self, name: str = RINGS[0]) -> KeyRing:
        return msgspec.json.decode(self.stored(name), type=KeyRing)

    def stored(self, name: str) -> str:
        found = self.ssm.get_parameter(Name=f"{PATH}/{name}", WithDecryption=True)
        return str(found["Parameter"]["Value"])

    def versions(self) -> list[tuple[list[int], int]]:
        return [(sorted(ring.keys), ring.current) for ring in map(self.ring, RINGS)]

    def rotate(self, now: float) -> float:
        done = self.rings.distribute(now)
        assert done is not None
        self.rings.use(done)
        return done


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Account()


def test_a_rotation_distributes_before_it_uses(account: Account) -> None:
    usable_at = account.rings.distribute(NOW + 10)
    assert usable_at == NOW + 10 + DISTRIBUTE_SECONDS
    assert account.versions() == [([1, 2], 1)] * len(RINGS)
    with pytest.raises(TooEarly):
        account.rings.use(usable_at - 1)
    assert account.versions() == [([1, 2], 1)] * len(RINGS)
    account.rings.use(usable_at)
    assert account.versions() == [([1, 2], 2)] * len(RINGS)


def test_the_rings_get_keys_of_their_own(account: Account) -> None:
    account.rings.distribute(NOW)
    made = {key for name in RINGS for key in account.ring(name).keys.values()}
    assert len(made) == 2 * len(RINGS)


def test_a_rotation_that_was_cut_off_goes_on_with_its_key(account: Account) -> None:
    first = account.ring(RINGS[0]).with_new(bytes([9]) * 32, NOW)
    account.put(RINGS[0], first)  # it died before the second ring
    later = NOW + 60
    assert account.rings.distribute(later) == later + DISTRIBUTE_SECONDS
    assert account.ring(RINGS[0]) == first
    done = later + DISTRIBUTE_SECONDS
    account.put(RINGS[0], first.with_newest_in_use(done))  # and again, between the two uses
    account.rings.distribute(done)
    account.rings.use(done)
    assert account.versions() == [([1, 2], 2)] * len(RINGS)


def test_a_rotation_that_ended_just_now_is_not_begun_again(account: Account) -> None:
    done = account.rotate(NOW)
    assert account.rings.distribute(done + FRESH_SECONDS - 1) is None
    assert account.versions() == [([1, 2], 2)] * len(RINGS)
    assert account.rings.distribute(done + 1, again=True) is not None
    assert account.versions() == [([1, 2, 3], 2)] * len(RINGS)


def test_old_versions_are_retired_when_nothing_of_them_is_left(account: Account) -> None:
    done = account.rotate(NOW)
    with pytest.raises(StackError, match=r"15\.0 days more"):
        account.rings.retire(done)
    assert account.versions() == [([1, 2], 2)] * len(RINGS)
    account.rings.retire(done + RETAIN_SECONDS)
    account.rings.retire(done + RETAIN_SECONDS)
    assert account.versions() == [([2], 2), ([2], 2), ([1, 2], 2), ([1, 2], 2)]


def test_a_leaked_key_can_be_retired_at_once(account: Account) -> None:
    done = account.rotate(NOW)
    account.rings.retire(done, forced=True)
    assert account.versions() == [([2], 2), ([2], 2), ([1, 2], 2), ([1, 2], 2)]


def test_a_key_that_somebody_else_added_at_the_same_time_is_put_back(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = account.ring().with_new(bytes([7]) * 32, NOW)
    own_read = account.rings._read

    def read_and_be_overtaken(name: str, version: int | None = None) -> Any:
        found = own_read(name, version)
        if version is None and name == RINGS[0]:
            account.put(name, theirs)
        return found

    monkeypatch.setattr(account.rings, "_read", read_and_be_overtaken)
    with pytest.raises(StackError, match="somebody else"):
        account.rings.distribute(NOW)
    assert account.ring() == theirs


def test_a_full_ring_says_what_to_do(account: Account) -> None:
    ring = account.ring()
    while len(ring.keys) < keyring.MOST_VERSIONS:
        ring = ring.with_new(bytes([5]) * 32, NOW)
    account.put(RINGS[0], ring.with_newest_in_use(NOW + DISTRIBUTE_SECONDS))
    with pytest.raises(StackError) as full:
        account.rings.distribute(NOW + 2 * FRESH_SECONDS)
    assert "--retire" in full.value.advice


def test_no_version_of_the_backups_ring_is_ever_retired(account: Account) -> None:
    """What it has sealed lives as long as the backups do."""
    now = NOW
    for _ in range(3):
        now = account.rotate(now + FRESH_SECONDS)
        account.rings.retire(now + RETAIN_SECONDS, forced=True)
    assert (list(account.ring(BACKUP_KEYS).keys), account.ring().newest) == ([1, 2, 3, 4], 4)
    assert "backup-keys: keeps every version, as backups are sealed with them" in account.said


def test_a_full_ring_of_the_backups_keeps_no_other_from_rotating(account: Account) -> None:
    ring = account.ring(BACKUP_KEYS)
    while len(ring.keys) < keyring.MOST_KEPT_VERSIONS:
        ring = ring.with_new(secrets.token_bytes(32), NOW, keyring.MOST_KEPT_VERSIONS)
    ring = ring.with_newest_in_use(NOW + DISTRIBUTE_SECONDS)
    account.put(BACKUP_KEYS, ring)
    assert len(account.stored(BACKUP_KEYS)) < 4096, "a standard parameter holds no more"
    account.rotate(NOW + 2 * FRESH_SECONDS)
    assert account.versions()[:2] == [([1, 2], 2)] * 2
    assert account.ring(BACKUP_KEYS) == ring
    assert f"backup-keys: full; version {ring.newest} stays in use" in account.said


def test_a_ring_stays_under_the_key_that_it_is_encrypted_with(account: Account) -> None:
    key = boto3.client("kms", region_name="us-east-1").create_key()["KeyMetadata"]["KeyId"]
    for name in RINGS:
        secret_store.store(account.ssm, f"{PATH}/{name}", account.stored(name), key)
    account.rotate(NOW)
    assert [secret_store.key_of(account.ssm, f"{PATH}/{name}") for name in RINGS] == [key] * len(
        RINGS
    )
    assert secret_store.key_of(account.ssm, f"{PATH}/none such") is None


def test_where_nothing_is_deployed_it_says_so(account: Account) -> None:
    with pytest.raises(StackError, match="no parameter /elsewhere/guest-keys"):
        KeyRings(account.ssm, "/elsewhere", account.said.append).distribute(NOW)


def test_no_key_is_shown(account: Account) -> None:
    account.rotate(NOW)
    text = "\n".join(account.said)
    assert "version 2 is in use" in text
    assert len(max(text.split(), key=len)) < 20


def test_a_deploy_does_not_put_the_first_key_back(account: Account) -> None:
    account.rings.distribute(NOW)
    secret_store.ensure(account.ssm, f"{PATH}/{RINGS[0]}", "first", "alias/coffer", keep=True)
    assert account.ring().newest == 2


def test_two_deploys_at_once_make_one_ring(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's may have sealed a backup already."""
    look = account.ssm.get_parameter

    def look_and_be_overtaken(**asked: Any) -> Any:
        monkeypatch.undo()
        try:
            return look(**asked)
        finally:
            account.ssm.put_parameter(Name=asked["Name"], Value="theirs", Type="SecureString")

    monkeypatch.setattr(account.ssm, "get_parameter", look_and_be_overtaken)
    name = "/coffer-2/backup-keys"
    secret_store.ensure(account.ssm, name, "ours", "alias/coffer", keep=True)
    stored = account.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert stored["Value"] == "theirs"
    assert secret_store.key_of(account.ssm, name) == "alias/coffer"


def test_a_secret_is_written_when_its_value_or_its_key_is_another(account: Account) -> None:
    def ensure(value: str, key: str, *, keep: bool = False) -> bool:
        return secret_store.ensure(account.ssm, f"{PATH}/cloud", value, key, keep=keep)

    assert ensure("a", "alias/first", keep=True)
    assert not ensure("a", "alias/first")
    assert ensure("b", "alias/first")
    assert ensure("c", "alias/second", keep=True)
    assert account.stored("cloud") == "b"
    assert secret_store.key_of(account.ssm, f"{PATH}/cloud") == "alias/second"
