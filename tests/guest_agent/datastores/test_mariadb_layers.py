"""Settings in layers: none rewrites another, and the engine is asked what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores.mariadb import configuration
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.errors import GuestError
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest

TINY, SMALL, MEDIUM = (Flavor(ram=ram, vcpus=1) for ram in (512, 1024, 2048))
READ = "SELECT @@innodb_buffer_pool_size DIV 1048576, @@max_connections"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path / "volume")


def chosen(layout: Layout, text: str, name: str = "50-chosen.cnf") -> Path:
    path = layout.layers / name
    path.write_text(f"[mariadbd]\n{text}\n")
    return path


def test_a_resize_rewrites_the_layer_of_the_flavor_alone(layout: Layout) -> None:
    assert configuration.write(layout, "127.0.0.1", TINY)
    other = chosen(layout, "max_connections = 7")
    fixed, before = layout.config.read_text(), layout.flavor_layer.read_text()
    assert configuration.write(layout, "127.0.0.1", SMALL)
    assert layout.config.read_text() == fixed
    assert layout.flavor_layer.read_text() != before
    assert other.read_text() == "[mariadbd]\nmax_connections = 7\n"
    assert not configuration.write(layout, "127.0.0.1", SMALL)


def test_the_later_layer_says_what_is_wanted(layout: Layout) -> None:
    configuration.write(layout, "127.0.0.1", SMALL)
    sizes = {"innodb_buffer_pool_size": 409 * 1024**2, "max_connections": 200}
    assert configuration.wanted(layout) == sizes
    chosen(layout, "max-connections = 70\nskip-name-resolve")
    chosen(layout, "innodb_buffer_pool_size = '1G'", "90-later.cnf")
    assert configuration.wanted(layout) == {
        "innodb_buffer_pool_size": 1024**3,
        "max_connections": 70,
    }


def test_a_layer_without_a_number_is_told(layout: Layout) -> None:
    configuration.write(layout, "127.0.0.1", SMALL)
    chosen(layout, "max_connections")
    with pytest.raises(GuestError, match="gives max_connections no number"):
        configuration.wanted(layout)


@pytest.mark.parametrize(
    ("pool", "connections", "holds"),
    [(512, 100, True), (520, 100, True), (511, 100, False), (529, 100, False), (512, 99, False)],
)
def test_whole_chunks_are_no_difference(pool: int, connections: int, holds: bool) -> None:
    wanted = {"innodb_buffer_pool_size": 512 * 1024**2, "max_connections": 100}
    running = {"innodb_buffer_pool_size": pool * 1024**2, "max_connections": connections}
    assert configuration.holds(wanted, running) is holds


@pytest.mark.database
def test_an_engine_runs_with_the_settings_of_its_new_flavor_and_tells_them(guest: Guest) -> None:
    guest.prepare()
    assert guest.as_agent(READ) == [(204, 100)]
    for flavor, connections in ((SMALL, 200), (MEDIUM, 400), (TINY, 100)):
        asked = {"flavor": {"ram": flavor.ram, "vcpus": 1}}
        told = guest.ask("start_db_with_conf_changes", asked)["settings"]
        ((pool, most),) = guest.as_agent(READ)
        assert most == told["max_connections"] == connections
        assert pool * 1024**2 == told["innodb_buffer_pool_size"]
        assert pool == configuration.buffer_pool_mib(flavor)
    assert "shop" in str(guest.ask("list_databases"))


@pytest.mark.database
def test_a_database_that_has_its_settings_is_not_stopped_for_them(guest: Guest) -> None:
    guest.prepare()
    asked = {"flavor": {"ram": 512, "vcpus": 1}}
    with guest.login() as connection:
        guest.ask("start_db_with_conf_changes", asked)
        connection.ping(reconnect=False)


@pytest.mark.database
def test_what_was_chosen_stays_and_nothing_stands_for_what_is_fixed(guest: Guest) -> None:
    guest.prepare()
    layout = Layout(guest.server.root, guest.server.volume)
    chosen(layout, "max_connections = 77\nlocal_infile = ON\nskip_name_resolve = OFF")
    told = guest.ask("start_db_with_conf_changes", {"flavor": {"ram": 1024, "vcpus": 1}})
    assert told["settings"]["max_connections"] == 77
    assert guest.as_agent("SELECT @@local_infile, @@skip_name_resolve") == [(0, 1)]
    assert guest.as_agent(READ) == [(409, 77)]


@pytest.mark.database
def test_a_database_that_was_stopped_for_a_resize_comes_back_for_the_smaller(guest: Guest) -> None:
    guest.prepare()
    guest.ask("start_db_with_conf_changes", {"flavor": {"ram": 1024, "vcpus": 1}})
    guest.ask("stop_db", {"flavor": {"ram": 512, "vcpus": 1}})
    guest.server.kill_agent()
    guest.server.start_agent()
    wait_for(lambda: "The database was started." in guest.server.said())
    assert guest.as_agent(READ) == [(204, 100)]


@pytest.mark.database
def test_an_engine_that_does_not_take_its_settings_is_told(guest: Guest) -> None:
    guest.prepare()
    layout = Layout(guest.server.root, guest.server.volume)
    chosen(layout, "max_connections = 1000000")
    code, said = guest.refusal("start_db_with_conf_changes", {"flavor": {"ram": 1024, "vcpus": 1}})
    assert code == "GuestError"
    assert "max_connections" in said
