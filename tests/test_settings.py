"""The environment's numbers: one that makes no sense ends a container at its start."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from chalicelib import aws
from chalicelib.settings import BadSetting, Settings, settings

NUMBERS = sorted(name for name, kind in get_type_hints(Settings).items() if kind is int)
MAY_BE_NONE = {"quota_instances", "quota_ram_mb", "quota_volumes", "quota_backups"}
MAY_BE_ZERO = {*MAY_BE_NONE, "token_cache_seconds"}


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process remembers is not looked at, and not left behind."""
    monkeypatch.setattr(aws, "_provider", aws.Provider())


def given(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> int:
    monkeypatch.setenv(f"COFFER_{name.upper()}", value)
    return int(getattr(settings(), name))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_a_least(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A rate of no requests was a division by zero in each of them."""
    least = -1 if name in MAY_BE_NONE else 0 if name in MAY_BE_ZERO else 1
    assert given(monkeypatch, name, str(least)) == least
    aws.forget("settings")
    with pytest.raises(BadSetting, match=name):
        given(monkeypatch, name, str(least - 1))


def test_a_page_has_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="page_size"):
        given(monkeypatch, "page_size", "1001")


def test_what_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="lease_seconds"):
        given(monkeypatch, "lease_seconds", "soon")
