"""What an instance holds, and whether it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import quotas
from chalicelib.errors import OverLimit

amounts = st.fixed_dictionaries({name: st.integers(0, 20) for name in quotas.RESOURCES})
limits = st.fixed_dictionaries({name: st.integers(-1, 20) for name in quotas.RESOURCES})


@given(amounts, amounts, limits)
def test_what_exceeds_a_limit_is_refused_and_named_and_nothing_else(
    used: dict[str, int], delta: dict[str, int], limits: dict[str, int]
) -> None:
    over = sorted(
        name for name in delta if limits[name] != -1 and used[name] + delta[name] > limits[name]
    )
    if not over:
        quotas.require_fit(used, delta, limits)
        return
    with pytest.raises(OverLimit) as caught:
        quotas.require_fit(used, delta, limits)
    assert caught.value.message == f"Quota exceeded for resources: {over}."
    assert caught.value.status == 413


def test_an_instance_holds_itself_its_memory_and_its_disk() -> None:
    assert quotas.held_by_instance(512, 2) == {"instances": 1, "ram": 512, "volumes": 2}
    assert set(quotas.held_by_instance(1, 1)) < set(quotas.RESOURCES)
