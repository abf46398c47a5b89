"""MariaDB's counters."""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.mariadb.sql import Session

_ASKED: Final = """
SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
 WHERE VARIABLE_NAME IN ('THREADS_CONNECTED', 'QUESTIONS', 'INNODB_BUFFER_POOL_READ_REQUESTS',
                         'INNODB_BUFFER_POOL_READS')
 UNION ALL SELECT 'LIMIT', @@GLOBAL.max_connections
 UNION ALL SELECT 'POSITION', @@GLOBAL.gtid_current_pos"""


def read(session: Session) -> Counters:
    """The counters of this moment. What InnoDB did not read from the disk was in its pool."""
    told = {str(name).upper(): value for name, value in session.rows(_ASKED)}
    reads = int(told["INNODB_BUFFER_POOL_READ_REQUESTS"])
    return Counters(
        connections=int(told["THREADS_CONNECTED"]),
        connection_limit=int(told["LIMIT"]),
        work=int(told["QUESTIONS"]),
        hits=reads - int(told["INNODB_BUFFER_POOL_READS"]),
        reads=reads,
        position=str(told["POSITION"]),
    )
