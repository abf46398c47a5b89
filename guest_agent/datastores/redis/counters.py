"""Redis's counters."""

from __future__ import annotations

from guest_agent.datastores.gauges import Counters
from guest_agent.datastores.redis.resp import Session


def read(session: Session) -> Counters:
    """The counters of this moment; a position only where there is a replica, or a primary."""
    told = info(session, "clients", "stats", "replication")
    hits = int(told["keyspace_hits"])
    replicated = told["role"] != "master" or told["connected_slaves"] != "0"
    return Counters(
        connections=int(told["connected_clients"]),
        connection_limit=int(told["maxclients"]),
        work=int(told["total_commands_processed"]),
        hits=hits,
        reads=hits + int(told["keyspace_misses"]),
        position=told["master_repl_offset"] if replicated else "",
    )


def info(session: Session, *sections: str) -> dict[str, str]:
    """What it tells of itself in these sections, by name."""
    told = session.ask("INFO", *sections)
    lines = told.decode(errors="replace").splitlines() if isinstance(told, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)
