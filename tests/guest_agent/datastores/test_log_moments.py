"""The engines' logs, archived below a customer who writes all the time: a restore to a moment holds
exactly what was committed up to it."""

from __future__ import annotations

from typing import Final

import pytest

from chalicelib.domain.archives import told_apart
from tests.guest_agent.datastores.archived import Archive
from tests.guest_agent.datastores.customer import ENGINES, Engine
from tests.guest_agent.datastores.numbered import held, numbering
from tests.guest_agent.datastores.test_backups import guest_of

pytestmark = pytest.mark.database
LAST_MS: Final = {"mariadb": 1.0, "postgresql": 0.0}
"""What is taken of the moment's own millisecond, which is the last one of a second in MariaDB."""


@pytest.mark.parametrize("engine", ENGINES[:2], ids=lambda each: each.manager)
def test_a_restore_to_a_moment_holds_exactly_the_rows_up_to_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with guest_of(engine, monkeypatch) as guest:
        archive = Archive(guest)
        with numbering(guest) as rows:
            archive.send()
            copy = archive.copy()
            moments = []
            for _ in range(2):
                rows.more(30)
                moments.append(rows.moment())
                rows.more(30)
                assert archive.send()
        assert archive.send(), "what was written behind the last piece"
        assert not archive.send(), "nothing was written since"
        moments.append(archive.until_ms + 1000)
        everything = held(guest)
    for asked in moments:
        moment = told_apart(asked, engine.manager)
        least, most = rows.up_to(moment, LAST_MS[engine.manager])
        with archive.restored(copy, moment, monkeypatch) as guest:
            assert least <= held(guest) <= most
    assert most == everything
