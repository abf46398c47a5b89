"""Whether a database that answers has found that its data are damaged, as its log tells."""

from __future__ import annotations

from guest_agent.datastores.error_log import ErrorLog


class Damage:
    """Reads the log when that has grown; what was found holds until the next start."""

    def __init__(self) -> None:
        self._size = 0
        self._found: str | None = None

    def look(self, log: ErrorLog) -> str:
        """What it has found, as part of a sentence; empty for nothing."""
        if self._found is None and (size := log.size()) != self._size:
            self._size, self._found = size, log.first_damage()
        return f"the database has found damaged data ({self._found})" if self._found else ""

    def forget(self) -> None:
        """It is started anew."""
        self._size, self._found = 0, None
