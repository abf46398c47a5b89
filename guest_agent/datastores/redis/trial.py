"""A backup of Redis tried out: each entry of its RDB read by Redis's own checker.

No second engine: it would need the memory of the first once more.
"""

from __future__ import annotations

from pathlib import Path

from guest_agent.datastores import processes, tool, trial
from guest_agent.datastores.copies import Unsound
from guest_agent.datastores.redis.copies import DUMP
from guest_agent.datastores.redis.layout import ACL_FILE
from guest_agent.datastores.redis.resp import Session
from guest_agent.datastores.trial import TRIAL_SECONDS, Watch
from guest_agent.manager import Progress


class RedisTrial(trial.Trial[Session]):
    def examine(self, folders: list[Path], watch: Watch, progress: Progress) -> None:
        folder = folders[-1]
        for name in (ACL_FILE, DUMP):
            if not (folder / name).is_file():
                raise Unsound(f"it holds no {name}")
        progress("reading all entries")
        command = [processes.program("redis-check-rdb"), str(folder / DUMP)]
        code, said = tool.ended(command, self.server.user, watch.look, TRIAL_SECONDS)
        if code != 0:
            raise tool.ToolFailed(code, f"redis-check-rdb ended with {code}: {said}")
