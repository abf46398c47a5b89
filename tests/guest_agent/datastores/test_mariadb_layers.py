"""Settings in layers: none rewrites another, and the engine is asked what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.engines import mariadb
from guest_agent.datastores.mariadb import configuration
from guest_agent.datastores.mariadb.layout import Layout
from tests.guest_agent.control_plane import wait_for
from tests.guest_agent.datastores.conftest import Guest

READ = "SELECT @@innodb_buffer_pool_size DIV 1048576, @@max_connections"
TINY, SMALL = (mariadb.template(ram) for ram in (512, 1024))


def test_a_resize_rewrites_the_layer_of_the_flavor_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "volume")
    chosen = {"max_connections": 7}
    assert configuration.write(layout, "127.0.0.1", TINY, chosen)
    others = {path: path.read_text() for path in (layout.config, layout.group_layer)}
    before = layout.flavor_layer.read_text()
    assert configuration.write(layout, "127.0.0.1", SMALL, chosen)
    assert {path: path.read_text() for path in others} == others
    assert layout.flavor_layer.read_text() != before
    assert layout.group_layer.read_text().endswith("[mariadbd]\nmax_connections = 7\n")
    assert not configuration.write(layout, "127.0.0.1", SMALL, chosen)


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
    for ram, connections in ((1024, 200), (2048, 400), (512, 100)):
        asked = {"flavor": {"ram": ram, "vcpus": 1}}
        told = guest.ask("start_db_with_conf_changes", asked)["settings"]
        ((pool, most),) = guest.as_agent(READ)
        assert most == told["max_connections"] == connections
        assert pool * 1024**2 == told["innodb_buffer_pool_size"]
        assert pool * 1024**2 == mariadb.template(ram)["innodb_buffer_pool_size"]
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
    other = layout.layers / "90-other.cnf"
    other.write_text("[mariadbd]\nlocal_infile = ON\nskip_name_resolve = OFF\n")
    guest.ask("update_overrides", {"values": {"max_connections": 77}})
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
    other = layout.layers / "90-other.cnf"
    other.write_text("[mariadbd]\nmax_connections = 1000000\n")
    code, said = guest.refusal("start_db_with_conf_changes", {"flavor": {"ram": 1024, "vcpus": 1}})
    assert code == "GuestError"
    assert "max_connections" in said
