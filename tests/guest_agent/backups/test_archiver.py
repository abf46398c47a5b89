"""What the archiver tells of a log between its rounds, and while its store is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import pytest
from msgspec.structs import replace

from chalicelib.bus.contract import answers, arguments
from chalicelib.bus.contract.archiving import ArchiveState, Archiving
from chalicelib.bus.contract.pieces import PieceName, parsed
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.backups import archiver, replaying
from guest_agent.backups.archiver import Archiver
from guest_agent.backups.store import StoreFailed
from guest_agent.datastores.log import Log, Piece
from guest_agent.errors import Unavailable
from guest_agent.manager import WithLog
from guest_agent.memory import Memory
from tests.guest_agent.backups.objects import VirtualEvent
from tests.guest_agent.fakes import FakeManager, World

ARCHIVE = arguments.Archive("00000000-0000-4000-8000-000000000001", "tenant/log/1", 60)
SILENT: Final = "the database does not answer"


class Written(Log[Any]):
    """A log that has what a test writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.positions: dict[int, str] = {}
        self.halves: set[int] = set()
        self.on_read: Callable[[], None] = lambda: None
        self.released, self.answers, self.piece_bytes = 0, True, 1
        self.least_waiting = 0
        """While something waits."""

    def keep(self) -> bool:
        if not self.answers:
            raise Unavailable(SILENT)
        return True

    def forget(self) -> None:
        self.written.clear()

    def begin(self) -> str:
        return str(len(self.written))

    def since(self, position: str) -> Iterator[Piece]:
        self.on_read()
        for at in range(int(position), len(self.written)):
            until_ms = 0 if at in self.halves else 10**14
            told = self.positions.get(at, "")
            yield Piece(str(at), str(at + 1), until_ms, partial(self._chunks, at), told)

    def _chunks(self, at: int) -> Iterator[bytes]:
        yield self.written[at]

    def release(self, position: str) -> None:
        self.released = int(position)

    def waiting(self, position: str) -> int:
        found = (len(self.written) - int(position)) * self.piece_bytes
        return max(found, self.least_waiting) if found else 0


class Place:
    """A store that takes what comes, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.pieces: list[PieceName] = []
        self.held: dict[str, bytes] = {}
        self.on_put: Callable[[], None] = lambda: None

    def put(self, key: str, body: bytes, sha256: str) -> None:
        if self.away:
            raise StoreFailed("the store is away")
        name = parsed(key.rpartition("/")[2])
        assert name is not None
        self.pieces.append(name)
        self.held[key] = body
        self.on_put()

    def get(self, key: str, most: int) -> bytes:
        return self.held[key]

    def data_key(self, backup_id: str) -> bytes:
        return bytes(32)


class Logged(FakeManager, WithLog):
    """A datastore with a log, and a volume that a note lies on."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.place, self.note = Written(), Place(), b""
        self.open_store = lambda _, __: self.place

    def log(self) -> Written:
        return self.kept

    def read_note(self) -> bytes:
        return self.note

    def write_note(self, note: bytes) -> None:
        self.note = note

    def keep_log(self, request: arguments.KeepLog) -> answers.LogKept:
        raise AssertionError(request)


class Rounds:
    """An archiver, round by round, and all that a heartbeat could have told meanwhile."""

    def __init__(self, world: World) -> None:
        self.world, self.manager, self.memory = world, Logged(), Memory()
        self.archiver = Archiver(self.manager, self.memory, lambda: None)
        self.archiver.want(ARCHIVE)
        self.meanwhile: list[Archiving] = []
        self.manager.kept.on_read = lambda: self.meanwhile.append(self.told)

    @property
    def told(self) -> Archiving:
        assert self.memory.archiving is not None
        return self.memory.archiving

    def start_again(self) -> None:
        """The agent, which knows no more than what is noted on the volume."""
        self.memory = Memory()
        self.archiver = Archiver(self.manager, self.memory, lambda: None)
        self.archiver.want(ARCHIVE)

    def leave(self) -> None:
        """A pulse while the agent is to leave."""
        self.archiver.look(Status.HEALTHY, leaving=True)

    def run(self, rounds: int = 1, status: Status = Status.HEALTHY) -> None:
        for _ in range(rounds):
            self.world.now += ARCHIVE.every_seconds
            self.archiver.look(status)
            self.world.run_spawned()


@pytest.fixture
def rounds(world: World) -> Rounds:
    return Rounds(world)


def test_an_idle_log_never_tells_an_earlier_moment_than_it_has_told(rounds: Rounds) -> None:
    rounds.run(60)
    told = [each.until_ms for each in rounds.meanwhile]
    assert told == sorted(told)
    assert rounds.told.until_ms - told[-1] == ARCHIVE.every_seconds * 1000


def test_what_is_committed_behind_a_rest_is_of_no_moment_before(rounds: Rounds) -> None:
    """Also when the agent was started again: a statement may say that it is an hour old."""
    rounds.run()
    rounds.manager.kept.written.append(b"before")
    rounds.run(60)
    told = rounds.told.until_ms
    rounds.start_again()
    rounds.manager.kept.written.append(b"behind")
    rounds.run()
    before, behind = rounds.manager.place.pieces
    assert before.from_ms < before.until_ms < told == behind.from_ms < behind.until_ms


def test_the_last_position_is_told_that_is_sure(rounds: Rounds) -> None:
    """A piece that ends within a transaction tells none; what is noted an agent has after it."""
    log = rounds.manager.kept
    log.positions = {0: "0-1-7", 2: "0-1-9"}
    told = []
    rounds.run()
    for each in (b"one", b"half", b"the other"):
        told.append(rounds.told.until_position)
        log.written.append(each)
        rounds.run()
    rounds.start_again()
    rounds.run()
    assert [*told, rounds.told.until_position] == ["", "0-1-7", "0-1-7", "0-1-9"]


def test_a_piece_tells_a_restore_a_moment_where_its_round_has_ended_and_nowhere_else(
    rounds: Rounds,
) -> None:
    """What is in it was committed behind the rest that it begins with, and may be half of that."""
    log, place = rounds.manager.kept, rounds.manager.place
    log.halves, log.positions = {1}, {0: "0-1-7", 2: "0-1-9"}
    rounds.run()
    log.written.append(b"one")
    rounds.run(60)
    log.written += [b"half", b"the other"]
    rounds.run()
    wanted = arguments.LogToReplay(ARCHIVE.id, ARCHIVE.location, 0, 3, None, "0", 10**14)
    found = list(replaying.replayed(wanted, place, place.pieces))
    ends = [name.until_ms for name in place.pieces]
    assert [each.until_ms for each in found] == [ends[0], 0, ends[2]]
    assert [each.until_position for each in found] == ["0-1-7", "", "0-1-9"]


def test_no_backup_is_a_base_while_moments_are_there_twice(rounds: Rounds) -> None:
    """The pieces behind it would say to be of later than its end."""
    rounds.run(10)
    assert rounds.archiver.place() is not None
    rounds.world.now -= 30
    assert rounds.archiver.place() is None
    rounds.world.now += 30
    assert rounds.archiver.place() is not None


@pytest.mark.parametrize(
    ("seconds", "state"), [(100.0, ArchiveState.RUNS), (200.0, ArchiveState.BROKEN)]
)
def test_a_clock_that_is_put_back_ends_an_archive(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, seconds: float, state: ArchiveState
) -> None:
    """What is committed now would be of moments that were told of before."""
    rounds.run(10)
    back = int(rounds.world.now * 1000) - int(seconds * 1000) + ARCHIVE.every_seconds * 1000
    monkeypatch.setattr(archiver, "_now_ms", lambda: back)
    rounds.run()
    assert rounds.told.state is state
    assert rounds.told.reason == ("" if state is ArchiveState.RUNS else archiver._PUT_BACK)


def test_a_store_that_is_away_holds_up_from_where_it_went_away(rounds: Rounds) -> None:
    rounds.run(60)
    until_ms = rounds.told.until_ms
    rounds.manager.place.away = True
    rounds.manager.kept.written.append(b"new")
    rounds.run(3)
    assert rounds.told.until_ms == until_ms
    assert [each.reason for each in rounds.meanwhile[-2:]] == ["the store is away"] * 2
    rounds.manager.place.away = False
    rounds.run()
    assert (rounds.told.state, rounds.told.number, rounds.told.reason) == (ArchiveState.RUNS, 1, "")
    assert rounds.told.until_ms > until_ms


def test_a_database_that_takes_no_writes_is_asked_for_its_log(rounds: Rounds) -> None:
    """That may be what fills its volume: it goes as it is sent."""
    rounds.run()
    rounds.manager.kept.written += [b"one", b"two"]
    rounds.run(status=Status.BLOCKED)
    assert (rounds.told.state, rounds.told.number, rounds.told.reason) == (ArchiveState.RUNS, 2, "")
    assert rounds.manager.kept.released == 2


def test_a_database_that_takes_no_writes_keeps_its_share_of_the_volume_for_its_log(
    rounds: Rounds,
) -> None:
    """While the store is away, too: beyond that the archive ends, and the log goes."""
    rounds.run()
    rounds.manager.place.away = True
    log = rounds.manager.kept
    log.piece_bytes = int(rounds.manager.filesystem()["total"] * archiver.GIB / archiver.SHARE)
    log.written.append(b"as much as may wait")
    rounds.run(status=Status.BLOCKED)
    assert (rounds.told.state, rounds.told.reason) == (ArchiveState.RUNS, "the store is away")
    assert [kind for kind, _ in rounds.memory.events] == ["log_waits"]
    log.written.append(b"and more")
    rounds.run(status=Status.BLOCKED)
    assert rounds.told.state is ArchiveState.BROKEN
    assert log.released == 2


@pytest.mark.parametrize(
    ("status", "state"),
    [(Status.BLOCKED, ArchiveState.RUNS), (Status.SHUTDOWN, ArchiveState.WAITS)],
)
def test_a_database_that_does_not_answer_is_waited_for(
    rounds: Rounds, status: Status, state: ArchiveState
) -> None:
    """One that hangs lags behind; one that does not run has nothing to send. It is so for an agent
    that is started beside it, too."""
    rounds.run()
    until_ms = rounds.told.until_ms if state is ArchiveState.RUNS else 0
    rounds.manager.kept.answers = False
    for _ in range(2):
        rounds.run(status=status)
        told = rounds.told
        assert (told.state, told.reason, told.until_ms) == (state, SILENT, until_ms)
        rounds.start_again()


def paced(rounds: Rounds, count: int, piece_bytes: int) -> float:
    """In which time so many are sent, in times that the bandwidth gives one of them."""
    rounds.archiver._stop = VirtualEvent(rounds.world)
    kept, held = rounds.manager.kept, rounds.manager.place.held
    rounds.run()
    kept.piece_bytes, kept.written = piece_bytes, [b"a commit"] * count
    rounds.archiver.want(replace(ARCHIVE, bandwidth=100))
    began = rounds.world.now
    rounds.run()
    assert len(held) == count
    size = len(next(iter(held.values())))
    return (rounds.world.now - began - ARCHIVE.every_seconds) * 100 / size


def test_a_log_is_sent_as_slowly_as_the_bandwidth_says(rounds: Rounds) -> None:
    assert 8.9 <= paced(rounds, 10, piece_bytes=1) <= 9.1


def test_a_log_that_outruns_the_bandwidth_is_sent_before_its_archive_ends(rounds: Rounds) -> None:
    most = rounds.archiver._most()
    rounds.manager.kept.least_waiting = most * 3 // 4
    assert paced(rounds, 10, piece_bytes=1) < 1.1
    assert rounds.told.state is ArchiveState.RUNS


class PausedByPulses(VirtualEvent):
    """Who waits for it sees a pulse of an agent that is to leave."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__(rounds.world)
        self.rounds = rounds

    def wait(self, timeout: float | None = None) -> bool:
        if timeout:
            self.rounds.leave()
        return super().wait(timeout)


@pytest.mark.parametrize("bandwidth", [0, 1], ids=["without a bandwidth", "with one"])
def test_an_agent_that_is_to_leave_sends_no_more_than_the_piece_that_it_is_at(
    rounds: Rounds, bandwidth: int
) -> None:
    """A backlog of hours would hold up its upgrade; the next process goes on with it."""
    rounds.archiver._stop = PausedByPulses(rounds)
    place = rounds.manager.place
    if not bandwidth:
        place.on_put = rounds.leave
    rounds.run()
    rounds.manager.kept.written = [b"a commit"] * 10
    rounds.archiver.want(replace(ARCHIVE, bandwidth=bandwidth))
    began = rounds.world.now
    rounds.run()
    assert len(rounds.manager.place.pieces) == 1
    assert (rounds.told.state, rounds.told.number) == (ArchiveState.RUNS, 1)
    assert not rounds.archiver.working
    assert rounds.world.now - began == ARCHIVE.every_seconds, "it waited for nothing"
    place.on_put = lambda: None
    rounds.start_again()
    rounds.run()
    assert [each.number for each in rounds.manager.place.pieces] == list(range(1, 11))
