"""The counters of a MariaDB, or a MySQL."""

from __future__ import annotations

from typing import Final

from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.mariadb.sql import Session

_ASKED: Final = """
SELECT VARIABLE_NAME, VARIABLE_VALUE FROM {telling}.global_status
 WHERE VARIABLE_NAME IN ('Threads_connected', 'Questions', 'Innodb_buffer_pool_read_requests',
                         'Innodb_buffer_pool_reads')
 UNION ALL SELECT 'LIMIT', @@GLOBAL.max_connections
 UNION ALL SELECT 'POSITION', @@GLOBAL.{position}"""


def read(session: Session) -> Counters:
    """The counters of this moment. What InnoDB did not read from the disk was in its pool."""
    asked = _ASKED.format(telling=session.TELLING, position=session.POSITION)
    told = {str(name).upper(): value for name, value in session.rows(asked)}
    reads = int(told["INNODB_BUFFER_POOL_READ_REQUESTS"])
    return Counters(
        connections=int(told["THREADS_CONNECTED"]),
        connection_limit=int(told["LIMIT"]),
        work=int(told["QUESTIONS"]),
        hits=reads - int(told["INNODB_BUFFER_POOL_READS"]),
        reads=reads,
        position=str(told["POSITION"]),
    )
