"""Whether a MariaDB takes writes: `read_only`, which customers have no right to change or to pass.

A transaction that has written cannot commit any more. Temporary tables go on, and may take the
last of the volume.
"""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.mariadb.sql import Session
from guest_agent.datastores.os_user import agent_account
from guest_agent.errors import GuestError, Unavailable

_MOMENT_SECONDS: Final = 0.25
"""For statements that are at work, and for explicit locks: one may fill the rest of the volume."""
_ENDING_SECONDS: Final = 1.0
"""For those that have been put out."""
_MOST_THREADS: Final = 10_000


def refused(session: Session) -> bool:
    """Whether it takes none, as it says itself."""
    return bool(session.rows("SELECT 1 FROM DUAL WHERE @@GLOBAL.read_only"))


def refuse(session: Session) -> None:
    """Let it take none; who holds that up for more than a moment is put out."""
    try:
        _set(session, _MOMENT_SECONDS)
    except Unavailable:
        put_out(session)
        _set(session, _ENDING_SECONDS)


def take(session: Session) -> None:
    """Let it take writes again."""
    session.run("SET GLOBAL read_only = OFF")


def _set(session: Session, seconds: float) -> None:
    """Nothing begins to write while this waits for those who do."""
    session.run(f"SET SESSION max_statement_time = {seconds}")
    try:
        session.run("SET GLOBAL read_only = ON")
    finally:
        session.run("SET SESSION max_statement_time = 0")


def put_out(session: Session) -> None:
    """End the sessions that hold locks or are at a statement: all but those that only wait."""
    for (thread,) in session.rows(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE USER NOT IN (%s, 'system user')"
        " AND ID <> CONNECTION_ID()",
        agent_account(),
        most=_MOST_THREADS,
    ):
        try:
            session.run(f"KILL CONNECTION {int(thread)}")
        except GuestError:
            continue  # it has ended by itself
