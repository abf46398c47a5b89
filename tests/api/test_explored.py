"""The API explored by its own document, in one process: no 500, and nothing that is not told.

`make test-api` has more examples (`COFFER_API_EXAMPLES`), all bounds, and both callers.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from schemathesis import openapi

from chalicelib.api import limits, published
from chalicelib.api.application import ROUTES, Application
from chalicelib.api.rates import Rates
from tests.api.asgi import Asgi
from tests.api.client import Api
from tests.api.conftest import Guest, Make
from tests.support.exploring import Outcome, chosen, explore

EXAMPLES = int(os.environ.get("COFFER_API_EXAMPLES", "1"))
ANSWERS: dict[str, dict[str, Any]] = {
    "list_databases": {"databases": [{"name": "web"}], "next_marker": "web"},
    "list_users": {"users": [{"name": "ann", "host": "10.1.%", "databases": [{"name": "web"}]}]},
    "get_user": {"user": {"name": "ann"}},
    "list_access": {"databases": [{"name": "web"}]},
    "is_root_enabled": {"enabled": True},
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    """No request is one too many, and the guest answers what fits its contract."""
    monkeypatch.setattr(Rates, "require", lambda *_: None)
    guest.answers |= ANSWERS


def explored(
    caller: Api, make: Make, *, examples: int = EXAMPLES, only: str = "", thorough: bool = False
) -> Outcome:
    row = make(resources={"server_id": "s-1", "volume_id": "v-1"})
    places = {"project": caller.project, "instance": row.id, "tenant": caller.project}
    config = chosen(caller.token, places, examples, thorough=thorough)
    schema = openapi.from_asgi("/v1.0/openapi.json", Asgi(caller.app), config=config)
    return explore(schema.include(path_regex=only) if only else schema)


def test_an_administrator_meets_nothing_that_is_not_described(admin: Api, make: Make) -> None:
    outcome = explored(admin, make)
    assert outcome.found == []
    assert outcome.requests > len(ROUTES)


@pytest.mark.api
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("role", ["member", "admin"])
def test_at_length_nobody_does(app: Application, api: Api, make: Make, role: str) -> None:
    assert explored(Api(app, api.project, role), make, thorough=True).found == []


def test_what_is_not_described_is_found(
    admin: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.rendered()  # the document is of the type that answers have no more
    monkeypatch.setattr(limits, "AbsoluteLimits", lambda *_, **told: told)
    outcome = explored(admin, make, only="/limits$", thorough=True)
    assert any("Response violates schema" in each for each in outcome.found), outcome.found
