"""A bundle that is fetched: piece by piece, and nothing of it is used that is another one."""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.bus.contract.arguments import UpgradeAgent
from guest_agent import bundle
from guest_agent.errors import GuestError
from guest_agent.http import Http

CONTENT = bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that gives what is asked for, in small pieces."""

    def get(_: Any, url: str, headers: dict[str, str], seconds: float) -> Any:
        first, last = map(int, headers["Range"].removeprefix("bytes=").split("-"))
        return SimpleNamespace(status=206, body=CONTENT[first : last + 1])

    monkeypatch.setattr(Http, "get", get)
    monkeypatch.setattr(bundle, "PIECE_BYTES", 1000)


def asked(sha256: str) -> UpgradeAgent:
    return UpgradeAgent("1", "2.0", sha256, len(CONTENT), "https://store/bundle")


def test_its_digest_is_of_all_its_pieces(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    found = bundle._fetch(asked("any"), target)
    assert target.read_bytes() == CONTENT
    assert found == hashlib.sha256(CONTENT).hexdigest()


def test_nothing_of_another_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(bundle, "_do", lambda command, *_: ran.append(command))
    other = hashlib.sha256(CONTENT[:-1]).hexdigest()
    with pytest.raises(GuestError, match="nothing was installed"):
        bundle.install(tmp_path / "base", asked(other), lambda _: None)
    assert ran == []


def test_the_lock_of_an_installation_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    monkeypatch.setattr(bundle, "_install", lambda base, request, lock, _: held.append(lock))
    bundle.install(tmp_path / "base", asked("any"), lambda _: None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.flock(held[0], fcntl.LOCK_UN)
    bundle.install(tmp_path / "base", asked("any"), lambda _: None)
    assert len(held) == 2
    assert (tmp_path / "base" / f"{bundle.INCOMING}.lock").exists()
