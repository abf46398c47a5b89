"""A server that Nova has no more is made anew on the port and the volume that are kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.cloud import names
from chalicelib.lifecycle import Status
from tests.simulator.served import Served


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    try:
        yield made
    finally:
        made.close()


def vanish(served: Served) -> None:
    """As somebody deletes it with Nova's own client."""
    served.cloud.compute._lifecycle.vanish(served.server)


def rebuild(served: Served) -> None:
    image_id = next(iter(served.cloud.image.images))
    assert served.ask("rebuild", {"image_id": image_id}, admin=True) == 202
    served.settle()


def test_a_server_is_made_anew_with_the_rows_the_address_and_the_quota(served: Served) -> None:
    before, old, held = served.resources(), served.server, served.row["held"]
    address = served.guest.address
    vanish(served)
    rebuild(served)
    assert (served.status, served.fault, served.row["generation"]) == (Status.ACTIVE, "", 2)
    new = served.server
    assert new.id != old.id
    assert new.name == names.server(served.id, 2, str(served.row["name"]))
    assert (new.flavor, new.port_ids) == (old.flavor, old.port_ids)
    assert served.resources() == {**before, "server_id": new.id}
    assert (served.guest.address, served.row["held"]) == (address, held)
    assert served.asked("stop_db") == []
    served.holds()


def test_one_that_somebody_deleted_and_nova_keeps_gives_its_volume_to_the_new_one(
    served: Served,
) -> None:
    old = served.server
    served.cloud.keep_deleted(86400.0)
    served.cloud.compute.delete(served.cloud.admin(), old.id)
    served.run(5)
    assert (old.status, served.volume.status) == ("SOFT_DELETED", "in-use")
    rebuild(served)
    assert (served.status, served.fault) == (Status.ACTIVE, "")
    assert served.server.id != old.id
    served.holds()


@pytest.mark.parametrize(
    "ask", [("restart", {}), ("resize", {"flavorRef": "4"}), ("stop", {}), ("start", {})]
)
def test_whatever_meets_a_server_that_is_gone_tells_the_way_on(
    served: Served, ask: tuple[str, dict[str, str]]
) -> None:
    if ask[0] == "start":
        served.ask("stop")
        served.settle()
    vanish(served)
    assert served.ask(*ask) == 202
    served.settle()
    assert "rebuild the instance (openstack database instance rebuild)" in served.fault
    if served.status == Status.STOPPED:
        return
    rebuild(served)
    assert (served.status, served.fault) == (Status.ACTIVE, "")
    served.holds()


def test_a_stopped_instance_whose_server_is_gone_is_stopped_again_afterwards(
    served: Served,
) -> None:
    assert served.ask("stop") == 202
    served.settle()
    vanish(served)
    rebuild(served)
    assert (served.status, served.fault) == (Status.STOPPED, "")
    assert served.server.status == "SHUTOFF"
    assert served.ask("start") == 202
    served.settle()
    assert served.status == Status.ACTIVE
    served.holds()


def test_a_create_whose_answer_was_lost_makes_one_server(served: Served) -> None:
    vanish(served)
    served.spoil("compute", "create_server", "timeout_after")
    rebuild(served)
    assert (served.status, served.fault) == (Status.ACTIVE, "")
    served.holds()


def test_no_host_leaves_the_data_and_the_next_rebuild_as_the_way_on(served: Served) -> None:
    vanish(served)
    served.spoil("compute", "create_server", "error")
    rebuild(served)
    assert served.status == Status.ERROR
    assert "No valid host was found" in served.fault
    assert served.volume.status == "available"
    rebuild(served)
    assert (served.status, served.fault, served.row["generation"]) == (Status.ACTIVE, "", 3)
    served.holds()


def test_a_server_without_its_volume_is_replaced(served: Served) -> None:
    """As a resize beside its server leaves it that nobody could bring back."""
    old = served.server
    served.cloud.compute.detach_volume(served.cloud.admin(), old.id, served.volume.id)
    rebuild(served)
    assert (served.status, served.fault) == (Status.ACTIVE, "")
    assert served.server.id != old.id
    served.holds()


def test_without_its_volume_nothing_is_made(served: Served) -> None:
    vanish(served)
    served.cloud.volume.volumes.pop(served.volume.id)
    rebuild(served)
    assert (served.status, served.row["generation"]) == (Status.ACTIVE, 1)
    assert "The server has vanished, and the volume with its data." in served.fault
    assert served.cloud.compute.servers == {}


def test_a_volume_that_is_not_free_is_waited_for_and_told(served: Served) -> None:
    vanish(served)
    served.cloud.volume.reset_status(served.cloud.admin(), served.volume.id, "in-use")
    rebuild(served)
    assert (served.status, served.row["generation"]) == (Status.ACTIVE, 1)
    assert "is in-use still; when it is detached" in served.fault
    assert served.took() < 300
    served.cloud.volume.reset_status(served.cloud.admin(), served.volume.id, "available")
    rebuild(served)
    assert served.status == Status.ACTIVE
    served.holds()


def test_a_server_that_goes_in_the_middle_is_made_anew_too(served: Served) -> None:
    image_id = next(iter(served.cloud.image.images))
    assert served.ask("rebuild", {"image_id": image_id}, admin=True) == 202
    served.until("server")
    vanish(served)
    served.settle()
    assert (served.status, served.fault, served.row["generation"]) == (Status.ACTIVE, "", 2)
    served.holds()
