"""Backups whose keys the key in KMS seals: they outlive its outages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.conductor import data_keys
from tests.simulator.backing_up import Backups, whole


@pytest.fixture
def stack() -> Iterator[Backups]:
    with whole({"COFFER_SEAL_BACKUPS_WITH": "key"}) as made:
        yield made


def test_a_chain_is_restored_by_keys_that_kms_has_sealed(stack: Backups) -> None:
    instance_id = stack.begin()
    stack.write(instance_id, "1")
    chain = [stack.back_up(instance_id, incremental=1) for _ in range(2)]
    held = stack.held(instance_id)
    for each in chain:
        assert stack.row(each)["sealed_key"].startswith(data_keys.BY_KMS)
    assert stack.held(stack.restore(chain[-1])).same_as(held)
    calls = stack.region.effects.made
    assert calls["kms", "GenerateDataKeyWithoutPlaintext"] == len(chain)
    assert calls["kms", "Decrypt"] >= 2 * len(chain)


@pytest.mark.parametrize("minutes", [2, 20])
def test_a_backup_waits_for_kms_or_fails_and_those_before_are_sound(
    stack: Backups, minutes: int
) -> None:
    """It waits as long as for the store; what it has begun is gone when that was too long."""
    instance_id = stack.begin()
    stack.write(instance_id, "1")
    before, held = stack.back_up(instance_id), stack.held(instance_id)
    stack.region.kms.enabled = False
    stack.kernel.call_later(minutes * 60.0, setattr, stack.region.kms, "enabled", True)
    made = stack.row(stack.back_up(instance_id))
    stack.run(minutes * 60.0)
    assert stack.region.kms.enabled
    assert made["status"] == ("COMPLETED" if minutes == 2 else "FAILED")
    if minutes == 20:
        assert "answered 503 to storage" in made["fault_message"]
    assert stack.held(stack.restore(before)).same_as(held)
