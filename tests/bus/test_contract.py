"""The API's calls are methods of the guests', and a full page fits what it takes."""

from __future__ import annotations

import msgspec

from chalicelib.bus import contract
from chalicelib.bus.envelope import MAX_BODY_BYTES
from guest_agent.contract import METHODS, PAGE_LIMIT


def test_every_call_is_a_method_of_the_guests() -> None:
    assert set(contract.CALLS) <= set(METHODS)
    assert all(name == call.name for name, call in contract.CALLS.items())


def test_a_full_page_of_the_longest_names_is_taken() -> None:
    databases = [{"name": "x" * 64, "character_set": "utf8mb4", "collate": "c" * 32}]
    page = {"databases": databases * PAGE_LIMIT, "next_marker": "x" * 64}
    assert len(contract.LIST_DATABASES.decode(page).databases) == contract.MOST_ROWS
    assert len(msgspec.json.encode(page)) < MAX_BODY_BYTES < contract.MOST_RESULT_BYTES
