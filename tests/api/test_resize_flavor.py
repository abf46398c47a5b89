"""The action `resize` to another flavor: what is refused, and what is held of the quota."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import aws
from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from chalicelib.store import accepting, quotas
from chalicelib.store.models import Flavor, Instance, Operation, Quota, ServiceStatusRow
from tests.api.client import Answer, Api
from tests.api.conftest import Make, operations

HELD = {"instances": 1, "ram": 512, "volumes": 2}
TINY = {"id": "1", "name": "db.tiny", "ram": 512, "vcpus": 1}
SMALL = {"id": "2", "name": "db.small", "ram": 1024, "vcpus": 2}


@pytest.fixture(autouse=True)
def flavors(api: Api) -> None:
    Flavor("2", name="db.small", ram=1024, vcpus=2, disk=5).save()
    Flavor("3", name="db.local", ram=1024, vcpus=2, disk=5, ephemeral=10).save()
    Flavor("4", name="db.slim", ram=2048, vcpus=2, disk=4).save()


def resize(api: Api, row: Instance, reference: Any) -> Answer:
    return api.post(f"/instances/{row.id}/action", {"resize": {"flavorRef": reference}})


@pytest.mark.parametrize("reference", ["2", 2, "http://cloud/flavors/2"])
def test_another_flavor_is_an_operation_that_holds_its_memory(
    api: Api, make: Make, hints: list[str], reference: Any
) -> None:
    row = make(held=HELD)
    Quota(row.tenant_id, instances=1, ram=512, volumes=2).save()
    assert resize(api, row, reference).status == 202
    (operation,) = operations(row.id)
    assert operation.action == "resize_flavor"
    assert operation.arguments == {"flavor": SMALL, "before": TINY, "epoch": 0}
    assert hints == [operation.id]
    stored = Instance.get(row.id)
    assert (stored.status, stored.flavor_id, stored.held["ram"]) == (Status.RESIZE, "1", 1024)
    assert quotas.used_of(quotas.get_quota(row.tenant_id))["ram"] == 1024
    assert resize(api, row, "big-one").status == 422, "as Trove: the status is RESIZE"


def test_a_smaller_flavor_gives_nothing_back_before_its_end(api: Api, make: Make) -> None:
    row = make(flavor_id="2", flavor_ram=1024, flavor_vcpus=2, held={**HELD, "ram": 1024})
    Quota(row.tenant_id, instances=1, ram=1024, volumes=2).save()
    assert resize(api, row, "1").status == 202
    assert Instance.get(row.id).held["ram"] == 1024


@pytest.mark.parametrize(
    ("reference", "status", "said"),
    [
        ("1", 400, "must be different from the current flavor id of '1'"),
        ("nowhere", 400, "Flavor nowhere cannot be found"),
        ("x" * 300, 400, "cannot be found"),
        ("3", 501, "local disk"),
        ("4", 400, "disk of flavor '4' (4 GiB) is smaller than the server's (5 GiB)"),
        ("", 400, "cannot be found"),
        ({"id": "2"}, 400, "resize flavorRef"),
        (None, 400, "either a 'volume' or a 'flavorRef'"),
    ],
)
def test_what_cannot_be_had_changes_nothing(
    api: Api, make: Make, hints: list[str], reference: Any, status: int, said: str
) -> None:
    row = make(held=HELD)
    answer = resize(api, row, reference)
    assert answer.status == status
    assert said in answer.fault()
    assert (operations(row.id), hints, Instance.get(row.id).status) == ([], [], Status.ACTIVE)


def test_a_resize_that_failed_may_be_asked_for_again(api: Api, make: Make) -> None:
    """Nova's part may be done, and the row tells it; the engine's settings may not."""
    row = make(held=HELD, fault_message="The resize may be done in part.")
    assert resize(api, row, "1").status == 202


def test_more_memory_than_the_quota_has_is_413(api: Api, make: Make) -> None:
    row = make(held=HELD)
    Quota(row.tenant_id, instances=1, ram=512, volumes=2, limits={"ram": 1000}).save()
    answer = resize(api, row, "2")
    assert (answer.status, "['ram']" in answer.fault()) == (413, True)
    Quota(row.tenant_id, instances=1, ram=512, volumes=2, limits={"ram": 1024}).save()
    assert resize(api, row, "2").status == 202


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.ACTIVE])
def test_only_an_active_instance_is_resized(api: Api, make: Make, status: Status) -> None:
    expected = 404 if status is Status.DELETED else 422
    assert resize(api, make(status), "2").status == expected


def test_a_database_that_is_down_may_need_more_memory(api: Api, make: Make) -> None:
    row = make(held=HELD)
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.status.set("crashed")])
    assert resize(api, row, "2").status == 202


def test_a_guest_that_is_not_heard_is_not_resized(api: Api, make: Make) -> None:
    row = make(held=HELD)
    last = ServiceStatusRow.updated.set(aws.clock() - settings().heartbeat_expiry_seconds)
    ServiceStatusRow(row.id).update(actions=[last])
    assert resize(api, row, "2").status == 422


def test_a_resize_that_ended_meanwhile_is_what_the_next_begins_with(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make(held=HELD)
    accept = accepting.accept

    def late(instance: Instance, operation: Operation, **more: Any) -> bool:
        monkeypatch.setattr(accepting, "accept", accept)
        Instance(row.id).update(actions=[Instance.flavor_id.set("2")])
        return accept(instance, operation, **more)

    monkeypatch.setattr(accepting, "accept", late)
    answer = resize(api, row, "2")
    assert (answer.status, "flavor id of '2'" in answer.fault()) == (400, True)


def test_nobody_resizes_what_is_anothers(api: Api, other: Api, make: Make) -> None:
    assert resize(other, make(), "2").status == 404
