"""The parts of the contract about a log: on any engine that has a `Log`, beside its backups."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from chalicelib.bus.contract import answers, arguments
from guest_agent.datastores.backups import BackupsManager
from guest_agent.datastores.log import Log
from guest_agent.datastores.server import S
from guest_agent.errors import NotSupported
from guest_agent.files import write_whole
from guest_agent.manager import WithLog


class LoggedManager(BackupsManager[S], WithLog):
    """The agent's archiver does the work (`guest_agent.backups.archiver`)."""

    LOG: ClassVar[type[Log[Any]] | None] = None

    def log(self) -> Log[S] | None:
        """Its log; None of an engine that keeps none to replay."""
        return None if self.LOG is None else self.LOG(self._life.server, self._session)

    def keep_log(self, request: arguments.KeepLog) -> answers.LogKept:
        if self.LOG is None or self.want_log is None:
            raise NotSupported(f"{self.SERVER.ENGINE.name} keeps no log to replay")
        return answers.LogKept(restart_required=not self.want_log(request.archive))

    def read_note(self) -> bytes | None:
        with suppress(FileNotFoundError):
            return self._life.server.layout.log_note.read_bytes()
        return None

    def write_note(self, note: bytes) -> None:
        write_whole(self._life.server.layout.log_note, note)
