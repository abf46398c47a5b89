"""PostgreSQL's counters."""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.postgresql.sql import Session

_ASKED: Final = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
 current_setting('max_connections'), sum(xact_commit + xact_rollback)::bigint,
 sum(blks_hit)::bigint, sum(blks_hit + blks_read)::bigint,
 CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text
 FROM pg_stat_database"""


def read(session: Session) -> Counters:
    """The counters of this moment; the position is that of its log."""
    ((connections, limit, work, hits, reads, position),) = session.rows(_ASKED)
    return Counters(
        int(connections), int(limit), int(work), int(hits), int(reads), str(position or "")
    )
