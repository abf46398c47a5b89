"""What a tenant's own token shows of a network decides, and a Neutron that is away decides nothing.

Against the local cloud's and a real Neutron: `tests/cloud/contract/test_networks.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from keystoneauth1.exceptions import ConnectFailure

from chalicelib import aws
from chalicelib.auth.connection import Connection
from chalicelib.auth.networks import Networks
from chalicelib.errors import BadRequest

URL = "https://network.example.org:9696"
TENANT, TOKEN = "tenant-1", "the-tenants-token"


class Answer:
    """An answer of Neutron's."""

    def __init__(self, status: int, body: Any) -> None:
        self.status_code, self.ok = status, status < 400
        self.content = body if isinstance(body, bytes) else json.dumps(body).encode()


class FakeSession:
    """keystoneauth's session, as far as the look uses it."""

    def __init__(self) -> None:
        self.url: str | None = URL
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self.away = False

    def get_endpoint(self, **_: Any) -> str | None:
        return self.url

    def get(self, url: str, *, headers: dict[str, str], **options: Any) -> Answer:
        assert options["authenticated"] is False, "the service's own token is not sent"
        self.asked.append((url.removeprefix(f"{URL}/v2.0/"), headers["X-Auth-Token"]))
        if self.away:
            raise ConnectFailure("no route")
        return self.answers.get(url.removeprefix(f"{URL}/v2.0/"), Answer(404, {}))


@pytest.fixture
def neutron(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    made = FakeSession()
    monkeypatch.setattr(Connection, "session", lambda _: made)
    monkeypatch.setenv("COFFER_NETWORK_ID", "the-operators")
    aws.forget("settings")
    yield made
    monkeypatch.undo()
    aws.forget("settings")


def look(**nic: str) -> str | None:
    return Networks(Connection())(TOKEN, TENANT, nic)


def network(**about: Any) -> Answer:
    return Answer(200, {"network": {"project_id": "other", "shared": False, **about}})


@pytest.mark.parametrize("about", [{"project_id": TENANT}, {"shared": True}])
def test_a_network_of_ones_own_and_one_that_is_shown_as_shared_may_be_used(
    neutron: FakeSession, about: dict[str, Any]
) -> None:
    neutron.answers["networks/n1"] = network(**about)
    assert look(network_id="n1") == "n1"
    assert neutron.asked == [("networks/n1", TOKEN)]


def test_a_subnet_says_its_network(neutron: FakeSession) -> None:
    neutron.answers["subnets/s1"] = Answer(200, {"subnet": {"network_id": "n1"}})
    neutron.answers["networks/n1"] = network(shared=True)
    assert look(subnet_id="s1") == "n1"


def test_one_that_is_only_seen_may_not_be_used(neutron: FakeSession) -> None:
    """An external network is; and an administrator sees them all."""
    neutron.answers["networks/n1"] = network()
    with pytest.raises(BadRequest, match="Network n1 cannot be found"):
        look(network_id="n1")


@pytest.mark.parametrize("name", ["n9", "../quotas", "a/b?c"])
def test_one_that_is_not_shown_is_told_at_once(neutron: FakeSession, name: str) -> None:
    with pytest.raises(BadRequest, match="cannot be found"):
        look(network_id=name)
    ((path, _),) = neutron.asked
    assert path.count("/") == 1


def test_the_operators_network_need_not_be_shown(neutron: FakeSession) -> None:
    assert look(network_id="the-operators") is None
    assert neutron.asked == []
    assert look(subnet_id="one-of-it") is None, "nor its subnets"


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_neutron_that_says_nothing_decides_nothing(neutron: FakeSession, status: int) -> None:
    neutron.answers["networks/n1"] = Answer(status, b"<html>")
    assert look(network_id="n1") is None


def test_a_neutron_that_is_away_or_not_in_the_catalog_decides_nothing(
    neutron: FakeSession,
) -> None:
    neutron.away = True
    assert look(network_id="n1") is None
    neutron.away, neutron.url = False, None
    assert look(network_id="n1") is None
    neutron.url, neutron.answers["networks/n1"] = f"{URL}/v2.0", Answer(200, b"no JSON")
    assert look(network_id="n1") is None
