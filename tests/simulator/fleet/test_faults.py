"""What can go wrong with a guest, and that its agent comes out of it as the contract says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.effects import Effect
from simulator.fleet.guest import Guest
from simulator.kernel import Coroutine
from tests.simulator.fleet.world import LIFE_SECONDS, PERIOD, PREPARE, World

CREATE = {"databases": [{"name": "new"}]}


class CrashAt:
    """A hook that crashes the guest before or after its k-th effect."""

    def __init__(self, world: World, guest: Guest, number: int, moment: str) -> None:
        self._world = world
        self._guest = guest
        self._left = number
        self._moment = moment

    def before(self, effect: Effect) -> None:
        self._left -= effect.owner == self._guest.server_id
        self._act("before", effect)

    def after(self, effect: Effect) -> None:
        self._act("after", effect)

    def _act(self, moment: str, effect: Effect) -> None:
        mine = effect.owner == self._guest.server_id
        if self._left == 0 and mine and moment == self._moment:
            self._left = -1
            self._world.fleet.crash(self._guest.server_id)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_effect_of_a_command_leaves_one_effect_and_an_answer(moment: str) -> None:
    seen: set[str | None] = set()
    for number in range(1, 14):
        world, close = _installed()
        guest = world.prepared()
        position = world.fleet.contents(guest.server_id).log_position
        hook = CrashAt(world, guest, number, moment)
        world.effects.hooks.append(hook)
        command = world.send(guest, "create_database", CREATE, life=120)
        world.run(100)
        answers = world.results(command)
        close()
        assert answers, f"no answer after a crash {moment} effect {number}"
        codes = {answer.error.code if answer.error else None for answer in answers}
        assert codes <= {None, "Interrupted"}
        seen |= codes
        grown = world.fleet.contents(guest.server_id).log_position - position
        assert grown == 1 or (grown == 0 and codes == {"Interrupted"})
        assert world.statuses()[-1] == "healthy"
    assert seen == {None, "Interrupted"}


@pytest.mark.parametrize("seconds", [0.01, 2.0, 8.0, 15.0])
def test_a_prepare_that_is_cut_off_is_finished_by_the_next_run(seconds: float) -> None:
    world, close = _installed()
    guest = world.boot()
    world.run(40)
    command = world.send(guest, "prepare", PREPARE, life=900)
    world.run(seconds)
    world.fleet.crash(guest.server_id)
    world.run(200)
    close()
    assert {answer.error for answer in world.results(command)} == {None}
    assert world.statuses()[-1] == "healthy"
    assert world.epochs[guest.agent_file.instance_id if guest.agent_file else ""] == 2


def _installed() -> tuple[World, Callable[[], object]]:
    from chalicelib import aws

    world = World()
    previous = aws.install(world.provider)
    return world, lambda: aws.install(previous)


def test_a_crash_kills_what_runs_and_nothing_of_it_goes_on(world: World) -> None:
    guest = world.boot()
    world.run(40)
    world.send(guest, "prepare", PREPARE, life=900)
    world.run(3)
    lives: list[Coroutine] = list(guest._coroutines)
    assert lives
    world.fleet.crash(guest.server_id)
    assert all(each.is_over() for each in lives)
    assert guest.idle


def test_a_reboot_keeps_disk_and_volume_and_begins_a_new_epoch(world: World) -> None:
    guest = world.prepared()
    before = world.fleet.contents(guest.server_id)
    key = guest.public_key
    world.fleet.reboot(guest.server_id)
    world.run(60)
    assert world.calls == ["enrol", "renew"]
    assert guest.public_key == key
    assert world.fleet.contents(guest.server_id) == before
    assert {beat.epoch for beat in world.of("heartbeat")} == {2}
    assert world.statuses()[-1] == "healthy"


def test_a_rebuild_makes_a_new_disk_with_another_key_and_keeps_the_volume(world: World) -> None:
    guest = world.prepared()
    world.fleet.rebuild(world.spec(1, generation=2), lambda error: None)
    world.run(60)
    after = world.fleet.guests[guest.server_id]
    assert after is not guest
    assert after.public_key != guest.public_key
    assert after.volume is guest.volume
    assert world.calls == ["enrol", "enrol"]


def test_a_zombie_reports_with_its_old_keys_until_it_learns_that_it_is_superseded(
    world: World,
) -> None:
    guest = world.prepared()
    world.fleet.rebuild(world.spec(1, generation=2), lambda error: None)
    world.run(60)
    world.reports.clear()
    assert world.fleet.zombie(guest.server_id) is guest
    world.run(2 * PERIOD)
    assert [beat.epoch for beat in world.of("heartbeat") if beat.generation == 1][:2] == [1, 1]
    world.run(LIFE_SECONDS)
    world.reports.clear()
    world.run(2 * PERIOD)
    assert guest.retired or guest.memory.session is None
    assert {beat.generation for beat in world.of("heartbeat")} <= {2}


def test_a_deleted_server_is_silent(world: World) -> None:
    guest = world.prepared()
    world.fleet.destroy(guest.server_id, lambda error: None)
    world.run(3 * PERIOD)
    assert world.reports == []
    assert len(world.fleet) == 0


def test_a_hung_agent_does_nothing_and_goes_on_where_it_was(world: World) -> None:
    guest = world.prepared()
    world.fleet.hang(guest.server_id, 300)
    command = world.send(guest, "list_databases", {}, life=600)
    world.run(290)
    assert world.reports == []
    world.run(15)
    assert len(world.results(command)) == 1
    assert world.statuses()[-1] == "healthy"


def test_a_torn_journal_runs_a_command_again_that_had_been_answered(world: World) -> None:
    guest = world.prepared()
    world.send(guest, "create_database", CREATE, command_id="command-1")
    world.run(5)
    world.fleet.tear_journal(guest.server_id)
    world.run(5)
    world.send(guest, "create_database", CREATE, command_id="command-1")
    world.run(5)
    codes = [answer.error.code if answer.error else None for answer in world.results("command-1")]
    assert codes == [None, "DatabaseAlreadyExists"]


def test_a_damaged_journal_refuses_what_it_may_have_begun(world: World) -> None:
    guest = world.prepared()
    command = world.send(guest, "create_database", CREATE, life=600)
    world.fleet.damage_journal(guest.server_id)
    world.run(10)
    (answer,) = world.results(command)
    assert answer.error
    assert answer.error.code == "Interrupted"


def test_a_guest_whose_clock_is_wrong_learns_the_time_of_the_services(world: World) -> None:
    guest = world.prepared()
    world.fleet.skew(guest.server_id, 500.0)
    world.run(2 * PERIOD)
    command = world.send(guest, "list_databases", {}, life=30)
    world.run(5)
    (answer,) = world.results(command)
    assert answer.error is None
    assert abs(answer.issued_at - world.kernel.now) < 10
    world.fleet.drift(guest.server_id, 600.0)
    world.run(600)
    assert world.provider.skew[guest.server_id] == pytest.approx(500 + 600 * 600 / 86400, abs=1)
    world.fleet.heal()
    world.run(3 * PERIOD)
    assert abs(guest.clock.offset) < 2


@pytest.mark.parametrize("lost", [True, False])
def test_a_guest_that_was_cut_off_answers_when_the_network_heals(world: World, lost: bool) -> None:
    guest = world.prepared()
    world.fleet.partition(guest.server_id, lost=lost, deaf=True)
    command = world.send(guest, "list_databases", {}, life=3000)
    world.run(400)
    if lost:
        assert world.reports == []
    else:
        assert "healthy" in world.statuses()
    world.fleet.heal()
    world.run(120)
    assert world.results(command)
    assert world.statuses()[-1] == "healthy"


def test_a_full_disk_is_an_answer_and_ends_with_it(world: World) -> None:
    guest = world.prepared()
    world.send(guest, "prepare", PREPARE, life=60)
    world.run(0.5)
    world.fleet.fill_disk(guest.server_id)
    world.run(200)
    assert not world.of("result")
    world.fleet.heal()
    world.run(60)
    assert world.of("result")


def test_a_database_that_dies_is_reported_at_once_and_restarted_by_command(world: World) -> None:
    guest = world.prepared()
    world.fleet.crash_database(guest.server_id)
    world.run(2)
    assert world.statuses() == ["crashed"]
    world.send(guest, "restart", {}, life=120)
    world.run(30)
    assert world.statuses()[-1] == "healthy"


def test_a_guest_that_nobody_lets_in_asks_less_and_less_often(world: World) -> None:
    world.status = 503
    world.boot()
    world.run(600)
    assert 20 < len(world.calls) < 60
    world.status = 200
    world.run(60)
    assert len(world.epochs) == 1


def test_a_guest_that_is_gone_asks_once_a_minute(world: World) -> None:
    world.boot()
    world.status = 410
    world.run(600)
    assert 10 <= len(world.calls) <= 24
    assert world.reports == []
