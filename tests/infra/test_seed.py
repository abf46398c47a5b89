"""What an operator offers is run by a manager that the guests have."""

from __future__ import annotations

from typing import Any

import pytest

from infra import seed
from infra.errors import UnusableInputError


def test_a_version_whose_manager_nobody_is_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[Any] = []
    monkeypatch.setattr(seed, "offer", lambda *offered: stored.append(offered))
    good: dict[str, Any] = {"manager": "mariadb", "version": "1", "image_tags": []}
    offered = {
        name: {"default": "1", "versions": {"1": about}}
        for name, about in (("mariadb", good), ("keys", good | {"manager": "keys"}))
    }
    with pytest.raises(UnusableInputError, match="has the manager 'keys', which is not known"):
        seed.seed(offered)
    assert stored == []


def test_a_version_that_is_no_longer_chosen_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances have it, and its image is their way back."""
    stored: list[Any] = []
    monkeypatch.setattr(seed, "offer", lambda _, versions: stored.extend(versions))
    about: dict[str, Any] = {"manager": "mariadb", "version": "1", "image_tags": []}
    versions = {"1": about | {"active": False}, "2": about}
    seed.seed({"mariadb": {"default": "2", "versions": versions}})
    assert [(each.name, each.active) for each in stored] == [("1", False), ("2", True)]
