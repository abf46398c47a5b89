"""The life of a fake guest: enrol, prepare, answer, report, and be idle for next to nothing."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from typing import Any

import msgspec
import pytest

from chalicelib import aws
from chalicelib.bus.contract import FIRST_RELEASE, RELEASE
from guest_agent.enrolment import Session
from simulator.fleet.guest import Guest
from simulator.kernel import Kernel
from tests.simulator.fleet.world import LIFE_SECONDS, PERIOD, PREPARE, World

MOST_BYTES_IDLE = 3072


def test_a_guest_boots_enrols_prepares_and_reports(world: World) -> None:
    guest = world.boot()
    world.run(30)
    assert world.calls == ["enrol"]
    assert world.statuses() == []
    command = world.send(guest, "prepare", PREPARE, life=600)
    world.run(60)
    (answer,) = world.results(command)
    assert (answer.result, answer.error) == (
        {"status": "healthy", "holds_configuration": True},
        None,
    )
    stages = [(report.result or {})["stage"] for report in world.of("progress")]
    assert stages[0] == "preparing the volume"
    assert world.statuses()[-1] == "healthy"
    contents = world.fleet.contents(guest.server_id)
    assert list(contents.databases) == ["shop"]
    assert contents.users["alice", "%"].grants == {"shop"}


def test_an_idle_guest_beats_in_its_period_and_holds_nothing(world: World) -> None:
    guest = world.prepared()
    assert guest.idle
    events = world.kernel.events
    world.run(10 * PERIOD)
    assert world.statuses() == ["healthy"] * 10
    assert world.kernel.events - events <= 10 * 4
    beats = world.of("heartbeat")
    assert [beat.seq for beat in beats] == sorted({beat.seq for beat in beats})
    periods = [b.issued_at - a.issued_at for a, b in itertools.pairwise(beats)]
    assert periods == pytest.approx([PERIOD] * 9, abs=0.1)
    assert guest.idle


def test_idle_polls_are_counted_and_cost_no_event(world: World) -> None:
    world.prepared()
    before = world.fleet.receives
    world.run(200)
    assert world.fleet.receives - before == 10


def test_it_renews_at_half_of_the_credentials_life(world: World) -> None:
    world.prepared()
    world.run(2 * LIFE_SECONDS)
    assert 3 <= world.calls.count("renew") <= 4
    assert world.epochs == {"00000000-0000-4000-8000-000000000001": 1}


def test_a_short_command_is_answered_within_a_second(world: World) -> None:
    guest = world.prepared()
    command = world.send(guest, "list_users", {})
    world.run(1)
    (answer,) = world.results(command)
    assert (answer.result or {})["users"] == [
        {"name": "alice", "host": "%", "databases": [{"name": "shop"}]}
    ]


def test_a_message_that_comes_again_is_answered_again_and_not_run_again(world: World) -> None:
    guest = world.prepared()
    create = {"databases": [{"name": "new"}]}
    for _ in range(2):
        world.send(guest, "create_database", create, command_id="command-1")
        world.run(5)
    answers = world.results("command-1")
    assert [answer.error for answer in answers] == [None, None]


def test_heartbeats_go_on_while_a_long_command_runs(world: World) -> None:
    guest = world.boot()
    world.run(40)
    world.fleet.slow_disk(guest.server_id, 40.0)
    world.send(guest, "prepare", PREPARE, life=3000)
    world.run(1500)
    statuses = world.statuses()
    assert statuses[:3] == ["building"] * 3
    assert statuses[-1] == "healthy"
    assert len(world.of("result")) == 1


def test_a_newer_key_is_fetched_when_a_message_needs_it(world: World) -> None:
    guest = world.prepared()
    world.key_version = 2
    command = world.send(guest, "list_databases", {})
    world.run(10)
    assert len(world.results(command)) == 1


def test_the_same_seed_gives_the_same_trace() -> None:
    assert _trace(seed=7) == _trace(seed=7)
    assert _trace(seed=7) != _trace(seed=8)


def _trace(seed: int) -> tuple[str, int]:
    world = World(seed)
    previous = aws.install(world.provider)
    try:
        guests = [world.boot(number) for number in range(1, 6)]
        world.run(40)
        for guest in guests:
            world.send(guest, "prepare", PREPARE, life=600)
        world.run(200)
        world.fleet.crash(guests[0].server_id)
        world.run(200)
        return world.kernel.trace_hash, world.kernel.events
    finally:
        aws.install(previous)


def test_an_idle_guest_fits_in_a_few_kilobytes(world: World) -> None:
    count = 500
    specs = [world.spec(number) for number in range(1, count + 1)]
    for spec in specs:
        del world.fleet.volumes[spec.volumes[0].volume_id]
    world.fleet.settle(specs[0], _session(world, 1), period=PERIOD)
    tracemalloc.start()
    for number, spec in enumerate(specs[1:], start=2):
        world.fleet.settle(spec, _session(world, number), period=PERIOD)
    world.kernel.run(world.kernel.now + 3 * PERIOD)
    world.sqs.purge_queue(QueueUrl="heartbeats")
    gc.collect()  # agents of a moment's work that nobody holds any more
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(guest.idle for guest in world.fleet)
    assert held / count < MOST_BYTES_IDLE


def _session(world: World, number: int) -> Session:
    admission: dict[str, Any] = world.admission(f"00000000-0000-4000-8000-{number:012d}", 1)
    return msgspec.json.decode(msgspec.json.encode(admission), type=Session)


def test_a_settled_guest_is_one_that_reports_and_answers(world: World) -> None:
    guest: Guest = world.fleet.settle(world.spec(), _session(world, 1), period=PERIOD)
    world.keys["00000000-0000-4000-8000-000000000001-1"] = guest.public_key
    command = world.send(guest, "list_databases", {})
    world.run(2 * PERIOD)
    assert world.statuses() == ["healthy"] * 2
    assert len(world.results(command)) == 1
    world.run(LIFE_SECONDS)
    assert world.calls == ["renew"] * 2


def test_user_data_that_configures_no_agent_boots_a_silent_server(world: World) -> None:
    spec = world.spec()
    silent = type(spec)(**{**vars(spec), "user_data": b"#!/bin/sh"})
    world.fleet.boot(silent, lambda error: None)
    world.run(120)
    assert world.calls == []


def test_the_kernel_is_the_only_clock(world: World) -> None:
    assert isinstance(world.fleet.kernel, Kernel)
    assert world.fleet.around.skew is world.provider.skew


def test_a_guest_of_the_first_release_tells_none_and_does_not_know_what_is_newer(
    world: World,
) -> None:
    world.fleet.around.release = lambda: FIRST_RELEASE
    guest = world.prepared()
    world.run(PERIOD)
    assert all("release" not in (beat.result or {}) for beat in world.of("heartbeat"))
    command = world.send(guest, "resize_fs", {"size": 2})
    world.run(5)
    (answer,) = world.results(command)
    assert answer.error is not None
    assert answer.error.code == "NotSupported"
    known = world.send(guest, "stop_db", {"flavor": {"ram": 512, "vcpus": 1}})
    world.run(10)
    assert [each.error for each in world.results(known)] == [None]


def test_what_is_rebuilt_has_the_agent_of_today(world: World) -> None:
    world.fleet.around.release = lambda: FIRST_RELEASE
    guest = world.boot()
    world.fleet.rebuild(world.spec(1, 2), lambda error: None)
    assert guest.disk.release == FIRST_RELEASE
    assert world.fleet.guests[guest.server_id].disk.release == RELEASE
