"""MySQL's counters."""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.mysql.sql import Session

_ASKED: Final = """
SELECT UPPER(VARIABLE_NAME), VARIABLE_VALUE FROM performance_schema.global_status
 WHERE VARIABLE_NAME IN ('Threads_connected', 'Questions', 'Innodb_buffer_pool_read_requests',
                         'Innodb_buffer_pool_reads')
 UNION ALL SELECT 'LIMIT', @@GLOBAL.max_connections
 UNION ALL SELECT 'POSITION', @@GLOBAL.gtid_executed"""


def read(session: Session) -> Counters:
    """The counters of this moment. What InnoDB did not read from the disk was in its pool."""
    told = {str(name): value for name, value in session.rows(_ASKED)}
    reads = int(told["INNODB_BUFFER_POOL_READ_REQUESTS"])
    return Counters(
        connections=int(told["THREADS_CONNECTED"]),
        connection_limit=int(told["LIMIT"]),
        work=int(told["QUESTIONS"]),
        hits=reads - int(told["INNODB_BUFFER_POOL_READS"]),
        reads=reads,
        position=str(told["POSITION"]),
    )
