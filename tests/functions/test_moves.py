"""What is seen of a server that was to be moved."""

from __future__ import annotations

import pytest

from chalicelib.cloud.servers import Server
from chalicelib.store.models import Operation
from functions import moves, power
from functions.outcomes import Done


@pytest.mark.parametrize(
    ("status", "as_before", "booted"),
    [
        ("VERIFY_RESIZE", False, True),
        ("VERIFY_RESIZE", True, True),
        ("ACTIVE", False, True),
        ("ACTIVE", True, False),
    ],
)
def test_a_server_that_was_moved_has_booted_whoever_has_confirmed_it(
    monkeypatch: pytest.MonkeyPatch, status: str, *, as_before: bool, booted: bool
) -> None:
    """Its agent of before is waited for by nobody then; one that nothing was to change goes on."""
    found = Server("server-1", "db", status, deleting=False, fault=None, owner=None)
    monkeypatch.setattr(power, "server_of", lambda _: found)
    move = moves.Move(
        "resize",
        ask=lambda *_: None,
        is_there=lambda *_: True,
        is_back=lambda *_: as_before,
    )
    assert move.begin(Operation("operation-1"), None) == Done({"has_booted": booted})
