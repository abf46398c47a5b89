"""Whether a PostgreSQL takes writes: a layer of its configuration makes each new transaction one
that only reads, and whoever is in one that has written is put out.

PostgreSQL knows no such fence against those who choose otherwise: a session may say that its
transactions write. It is put out at the next look that finds it in one. So this keeps applications
from filling a volume, and makes it slow for those who want to.
"""

from __future__ import annotations

from typing import Final

from chalicelib.engines.postgresql import ADMINISTRATOR
from guest_agent.datastores.postgresql.layout import Layout
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.files import write_changed

_REFUSED: Final = """\
# Written by the guest agent while the volume is full; changes are overwritten.
default_transaction_read_only = on
"""
_TAKEN: Final = "# Written by the guest agent: there is room on the volume.\n"
_MOST_SESSIONS: Final = 10_000


def refused(session: Session, layout: Layout) -> bool:
    """Whether it takes none, or may not have read yet what it is to do."""
    layer = layout.full_layer
    return layer.exists() and (layer.read_text() != _TAKEN or not _is_read(session, layout))


def refuse(session: Session, layout: Layout) -> None:
    """Let it take none, and put out who is at a transaction that has written."""
    _write(session, layout, _REFUSED)
    session.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND backend_xid IS NOT NULL AND usename <> $1",
        ADMINISTRATOR,
        most=_MOST_SESSIONS,
    )


def refuse_from_now_on(layout: Layout) -> bool:
    """Let it take none once it reads its files again; whether it has to, for that."""
    return write_changed({layout.full_layer: _REFUSED}, mode=0o644)


def take(session: Session, layout: Layout) -> None:
    """Let it take writes again."""
    _write(session, layout, _TAKEN)


def _write(session: Session, layout: Layout, text: str) -> None:
    if write_changed({layout.full_layer: text}, mode=0o644) or not _is_read(session, layout):
        session.rows("SELECT pg_reload_conf()")


def _is_read(session: Session, layout: Layout) -> bool:
    """Whether it has read its configuration since the layer was written."""
    ((at,),) = session.rows("SELECT extract(epoch FROM pg_conf_load_time())::float8")
    return float(at) > layout.full_layer.stat().st_mtime
