"""The action `upgrade_agent`: whose it is, where it is accepted, and what it needs."""

from __future__ import annotations

from typing import Any, Final

import pytest

from chalicelib.bus.contract import UPGRADE_AGENT
from chalicelib.lifecycle import Status
from chalicelib.store.models import Instance, ServiceStatusRow
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations, report

BUNDLE: Final = {"version": "0.1.0+1f3a9c02", "sha256": "ab" * 32, "size": 9_000_000}


def ask(api: Api, row: Instance, body: Any = BUNDLE, query: str = "") -> Answer:
    path = f"/mgmt/instances/{row.id}/action{query}"
    return api.post(path, {"upgrade_agent": body})


def of_release(make: Make, release: int = UPGRADE_AGENT.since, **changes: Any) -> Instance:
    row = make(service=None, **changes)
    report(row, "healthy", epoch=1, agent_release=release)
    return row


def test_an_upgrade_begins_below_an_instance_that_serves(
    admin: Api, make: Make, hints: list[str]
) -> None:
    row = of_release(make)
    assert ask(admin, row, query="?dry_run=true").body["dry_run"]["status"]["during"] == "ACTIVE"
    assert operations(row.id) == []
    assert ask(admin, row).status == 202
    (operation,) = operations(row.id)
    assert (operation.action, operation.arguments) == ("upgrade_agent", BUNDLE)
    assert hints == [operation.id]
    assert Instance.get(row.id).status == Status.ACTIVE
    assert ask(admin, row).status == 202, "the same is under way"
    assert ask(admin, row, BUNDLE | {"size": 1}).status == 422
    assert len(operations(row.id)) == 1


def test_an_agent_that_is_too_old_for_it_is_sent_nothing(
    admin: Api, make: Make, hints: list[str]
) -> None:
    row = of_release(make, UPGRADE_AGENT.since - 1)
    answer = ask(admin, row)
    assert answer.status == 501
    assert "of an older release, which has no 'upgrade_agent'" in answer.fault()
    assert (operations(row.id), hints) == ([], [])


def test_who_is_not_heard_is_not_asked(admin: Api, make: Make) -> None:
    row = of_release(make)
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.updated.set(0.0)])
    assert ask(admin, row).status == 422


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.DELETED])
def test_it_is_accepted_where_there_is_an_agent(admin: Api, make: Make, status: Status) -> None:
    row = make(status)
    assert ask(admin, row).status == (202 if status is Status.ACTIVE else 422)


@pytest.mark.parametrize(
    "changes",
    [
        *({"version": "../../etc"}, {"version": ""}, {"version": "1.0\n"}, {"sha256": "AB" * 32}),
        *({"sha256": "ab"}, {"size": 0}, {"size": 2**31}, {"url": "https://elsewhere"}),
    ],
)
def test_it_names_a_bundle(admin: Api, make: Make, changes: dict[str, Any]) -> None:
    row = of_release(make)
    assert ask(admin, row, BUNDLE | changes).status == 400
    assert operations(row.id) == []


def test_only_administrators_ask(api: Api, make: Make) -> None:
    row = of_release(make)
    assert ask(api, row).status == 401
    assert operations(row.id) == []
