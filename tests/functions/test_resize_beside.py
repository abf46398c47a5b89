"""A volume that the cloud grows only outside of its server: off, out, grown, in, on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.lifecycle import Status
from functions.resize_volume import MOST_ASKED
from tests.simulator.served import Served

ALWAYS = 99999


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    try:
        yield made
    finally:
        made.close()


def resize(served: Served, size: int = 3) -> None:
    assert served.ask("resize", {"volume": {"size": size}}) == 202
    served.settle()


def grown(served: Served) -> tuple[str, str, str, int, int]:
    """How server and volume are, the size of the volume and of the file system on it."""
    disk = served.fleet.volumes[served.volume.id]
    volume = served.volume
    return served.server.status, volume.status, served.fault, volume.size, disk.file_system_gib


@pytest.mark.parametrize("why", ["not_in_use", "left_as_it_was"])
def test_what_cinder_does_not_extend_in_use_is_extended_beside_its_server(
    served: Served, why: str
) -> None:
    served.spoil("volume", "extend_volume", why, times=ALWAYS)
    resize(served)
    assert grown(served) == ("ACTIVE", "in-use", "", 3, 3)
    assert (served.status, served.row["volume_size"], served.guest.up) == (Status.ACTIVE, 3, True)
    assert [each.action for each in served.server.actions] == ["create", "stop", "start"]
    served.holds()


def test_a_volume_that_grows_in_use_leaves_its_server_alone(served: Served) -> None:
    """A backend that left it as it was once may have been busy."""
    served.spoil("volume", "extend_volume", "left_as_it_was", times=MOST_ASKED - 1)
    resize(served)
    assert grown(served) == ("ACTIVE", "in-use", "", 3, 3)
    assert [each.action for each in served.server.actions] == ["create"]
    served.holds()


def test_a_database_that_is_dead_of_a_full_volume_is_helped(served: Served) -> None:
    served.fleet.crash_database(served.server.id)
    served.guest.given_up = True  # as its agent does when it does not start
    served.run(30)
    assert not served.guest.up
    served.spoil("volume", "extend_volume", "not_in_use", times=ALWAYS)
    resize(served)
    assert grown(served) == ("ACTIVE", "in-use", "", 3, 3)
    served.holds()


@pytest.mark.parametrize(
    ("mode", "said"), [("quota", "The deployment has no room"), ("refuse", "The cloud refused")]
)
def test_what_is_refused_outside_too_brings_the_database_back(
    served: Served, mode: str, said: str
) -> None:
    served.spoil("volume", "extend_volume", "not_in_use")
    served.spoil("volume", "extend_volume", mode)
    resize(served)
    assert served.fault.startswith(f"The resize of the volume was given up: {said}")
    state = grown(served)
    assert (*state[:2], *state[3:]) == ("ACTIVE", "in-use", 1, 1)
    assert (served.status, served.row["volume_size"], served.guest.up) == (Status.ACTIVE, 1, True)
    served.holds()


def test_a_volume_that_breaks_outside_is_told_and_goes_back_by_a_start(served: Served) -> None:
    served.spoil("volume", "extend_volume", "not_in_use")
    served.spoil("volume", "extend_volume", "error")
    resize(served)
    assert served.status == Status.ERROR
    assert "The volume went to error_extending; an operator has to reset it." in served.fault
    assert " Start the instance. " in served.fault
    served.cloud.volume.reset_status(served.cloud.admin(), served.volume.id, "available")
    assert served.ask("start") == 202
    served.settle()
    assert grown(served)[:3] == ("ACTIVE", "in-use", "")
    assert served.status == Status.ACTIVE
    served.holds()


def test_a_server_that_is_gone_meanwhile_is_told(served: Served) -> None:
    served.spoil("volume", "extend_volume", "not_in_use", times=ALWAYS)
    assert served.ask("resize", {"volume": {"size": 3}}) == 202
    while served.server.status != "SHUTOFF":
        served.run(0.1)
    served.cloud.compute._lifecycle.vanish(served.server)
    served.settle()
    assert served.status == Status.ERROR
    assert "The server has vanished;" in served.fault


def test_a_volume_that_somebody_took_out_is_put_back(served: Served) -> None:
    served.cloud.compute.detach_volume(served.cloud.admin(), served.server.id, served.volume.id)
    resize(served)
    assert (served.server.status, served.volume.status, served.volume.size) == (
        "ACTIVE",
        "in-use",
        3,
    )
    assert served.server.volumes[0].volume_id == served.volume.id
