"""The engines' logs: a restore to a position holds exactly what the log has up to it."""

from __future__ import annotations

import pytest

from chalicelib import engines
from guest_agent.datastores.mariadb import log as mariadb_log
from guest_agent.errors import GuestError
from tests.guest_agent.datastores.archived import Archive
from tests.guest_agent.datastores.customer import ENGINES, Engine
from tests.guest_agent.datastores.numbered import Numbering, held, numbering
from tests.guest_agent.datastores.test_backups import guest_of

pytestmark = pytest.mark.database


def number_up_to(rows: Numbering, engine: Engine, position: str) -> int:
    """The last row that lies in the log up to there."""
    positions = engines.ENGINES[engine.manager].positions
    assert positions is not None
    until = positions.read(position)
    assert until is not None, position
    found = [positions.read(each) for each in rows.positions]
    assert None not in found, rows.positions[-1]
    return sum(each is not None and each <= until for each in found)


@pytest.mark.parametrize("engine", ENGINES[:2], ids=lambda each: each.manager)
def test_a_restore_to_a_position_holds_exactly_the_rows_up_to_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pieces that end anywhere within an event of MariaDB's.
    monkeypatch.setattr(mariadb_log, "PIECE_BYTES", 5000)
    with guest_of(engine, monkeypatch) as guest:
        archive = Archive(guest)
        with numbering(guest, positions=True) as rows:
            archive.send()
            copy = archive.copy()
            for _ in range(3):
                rows.more(40)
                assert archive.send()
        written = len(rows.positions)
    if engine.manager == "mariadb":  # within a round a piece may end with half of a transaction
        assert all(bool(each.until_position) == bool(each.until_ms) for each in archive.kept)
    first = number_up_to(rows, engine, copy.copied.reached_position)
    last = number_up_to(rows, engine, archive.until_position)
    assert 0 < first < last - 80 < last <= written
    for number in (first + 1, (first + last) // 2, last):
        position = rows.positions[number - 1]
        with archive.restored(copy, archive.until_ms, monkeypatch, position) as guest:
            assert held(guest) == number
    with (
        pytest.raises(GuestError, match="the log cannot be restored"),
        archive.restored(copy, archive.until_ms, monkeypatch, _behind(archive.until_position)),
    ):
        pass


def _behind(position: str) -> str:
    """A position that is far behind another one."""
    if "/" in position:
        high, _ = position.split("/")
        return f"{int(high, 16) + 1:X}/0"
    domain, server, number = position.split("-")
    return f"{domain}-{server}-{int(number) + 100_000}"
