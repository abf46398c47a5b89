"""Whether a MySQL takes writes: `read_only`, as with MariaDB; a wait for it has whole seconds."""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.mariadb.writes import put_out
from guest_agent.datastores.mysql.sql import Session
from guest_agent.datastores.session import LOCK_SECONDS
from guest_agent.errors import Unavailable

_WAIT_SECONDS: Final = 1


def refuse(session: Session) -> None:
    """Let it take none; who holds that up for more than a moment is put out."""
    session.run(f"SET SESSION lock_wait_timeout = {_WAIT_SECONDS}")
    try:
        session.run("SET GLOBAL read_only = ON")
    except Unavailable:
        put_out(session)
        session.run("SET GLOBAL read_only = ON")
    finally:
        session.run(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
