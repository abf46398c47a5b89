"""The action `resize`: what is refused, what is held of the quota, and two at once."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import accepting, quotas
from chalicelib.store.models import Instance, Operation, Quota, ServiceStatusRow
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations


def resize(api: Api, row: Instance, body: Any) -> Answer:
    return api.post(f"/instances/{row.id}/action", {"resize": body})


def to(size: Any) -> dict[str, Any]:
    return {"volume": {"size": size}}


@pytest.mark.parametrize("size", [5, "5"])
def test_a_larger_volume_is_an_operation_that_holds_its_quota(
    api: Api, make: Make, hints: list[str], size: Any
) -> None:
    row = make(volume_size=2, held={"instances": 1, "ram": 512, "volumes": 2})
    Quota(row.tenant_id, instances=1, ram=512, volumes=2).save()
    assert resize(api, row, to(size)).status == 202
    (operation,) = operations(row.id)
    assert (operation.action, operation.arguments) == ("resize_volume", {"volume_size": 5})
    assert hints == [operation.id]
    stored = Instance.get(row.id)
    assert (stored.status, stored.volume_size, stored.held["volumes"]) == (Status.RESIZE, 2, 5)
    assert quotas.used_of(quotas.get_quota(row.tenant_id))["volumes"] == 5
    assert resize(api, row, to(6)).status == 422, "as Trove: the status is RESIZE"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (to(2), 400, "must be larger than the current volume size of '2'"),
        (to(1), 400, "must be larger"),
        (to(0), 400, "positive integer"),
        (to(-3), 400, "positive integer"),
        (to("many"), 400, "positive integer"),
        (to(2.5), 400, "resize volume['size']"),
        (to(11), 413, "cannot exceed maximum of 10 GB"),
        (to(10**30), 413, "cannot exceed maximum"),
        ({"volume": {}}, 400, "'size' is a required property"),
        ({"volume": {"size": 3, "type": "fast"}}, 400, "'type' was unexpected"),
        ({}, 400, "either a 'volume' or a 'flavorRef'"),
        (to(3) | {"flavorRef": "2"}, 400, "either a 'volume' or a 'flavorRef'"),
    ],
)
def test_what_is_no_larger_volume_changes_nothing(
    api: Api, make: Make, hints: list[str], body: Any, status: int, said: str
) -> None:
    row = make(volume_size=2)
    answer = resize(api, row, body)
    assert answer.status == status
    assert said in answer.fault()
    assert (operations(row.id), hints, Instance.get(row.id).status) == ([], [], Status.ACTIVE)


def test_more_than_the_quota_has_is_413(api: Api, make: Make) -> None:
    row = make(volume_size=2, held={"instances": 1, "ram": 512, "volumes": 2})
    Quota(row.tenant_id, instances=1, ram=512, volumes=38).save()
    answer = resize(api, row, to(5))
    assert (answer.status, "['volumes']" in answer.fault()) == (413, True)
    assert resize(api, row, to(4)).status == 202


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.ACTIVE])
def test_only_an_active_instance_is_resized(api: Api, make: Make, status: Status) -> None:
    expected = 404 if status is Status.DELETED else 422
    assert resize(api, make(status), to(5)).status == expected


def test_a_full_volume_grows_while_its_database_is_down(api: Api, make: Make) -> None:
    row = make()
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.status.set("crashed")])
    assert resize(api, row, to(5)).status == 202


def test_a_guest_that_is_not_heard_is_not_resized(api: Api, make: Make) -> None:
    row = make()
    last = ServiceStatusRow.updated.set(aws.clock() - settings().heartbeat_expiry_seconds)
    ServiceStatusRow(row.id).update(actions=[last])
    assert resize(api, row, to(5)).status == 422


def test_a_resize_that_ended_meanwhile_is_measured_against(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(volume_size=2)
    accept = accepting.accept

    def late(instance: Instance, operation: Operation, **more: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", accept)
        Instance(row.id).update(actions=[Instance.volume_size.set(6)])
        return accept(instance, operation, **more)

    monkeypatch.setattr(accepting, "accept", late)
    answer = resize(api, row, to(5))
    assert (answer.status, "size of '6'" in answer.fault()) == (400, True)


def test_nobody_resizes_what_is_anothers(api: Api, other: Api, make: Make) -> None:
    assert resize(other, make(), to(5)).status == 404
