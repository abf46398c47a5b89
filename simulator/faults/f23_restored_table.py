"""F23: tables are restored to an earlier moment, as `docs/operations.md` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulator.aws.lambda_ import Event, Fate, Function
from simulator.faults.base import Fault
from simulator.template import PREFIX

INSTANCES: Final = f"{PREFIX}-instances"
QUOTAS: Final = f"{PREFIX}-quotas"
GROUPS: Final = (f"{PREFIX}-configurations", f"{PREFIX}-attachments")
BACKUPS: Final = tuple(f"{PREFIX}-{name}" for name in ("backups", "backup-schedules", "archives"))
WITH_QUOTAS: Final = 0.5
"""Share of the restores that put the quotas back as well."""
WITH_GROUPS: Final = 0.3
"""Of those of configuration groups, with what says who has them, or without."""
WITH_BACKUPS: Final = 0.5
"""Of those of each table of backups, of what makes them, and of logs."""
CLOSED: Final = tuple(
    f"{PREFIX}-{name}" for name in ("api", "dispatcher", "sweeper", "taskmanager")
)
"""The entrances that an operator closes."""
DRAIN_SECONDS: Final = 35.0
"""What is in a function when its entrance is closed has ended by then."""
LATE_SECONDS: Final = 900.0
"""So long, at most, nobody puts the rows right: the look for leftovers goes on meanwhile."""
BACK_SECONDS: Final = (60.0, 900.0)
CLOSE_BEFORE: Final = 0.9
"""At this share, at the latest, of what is left of a run that is shorter."""
JOBS: Final = ("restore_rows", "adopt", "restore_groups", "recount_quotas", "tell_lost")
MOST_TRIES: Final = 200
RETRY_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 60.0
"""So far may an index be behind (F9), by which quotas are counted again."""


Snapshots = Mapping[str, Mapping[Any, Any]]
"""Tables by their names, as they were."""


class RestoredTable(Fault):
    """A snapshot, and some minutes later its restore; then an operator runs the jobs."""

    id = "F23"
    title = "tables restored to an earlier moment"
    range = (0.5, 4.0)
    unit = "restores an hour, at least one"
    chance = 0.05
    missing = "other tables than instances, quotas, configuration groups, and those of backups"

    def install(self) -> None:
        self.on = True
        self.closed = False
        self.groups = self.world.kernel.stream(f"fault {self.id} groups")
        self.backups = self.world.kernel.stream(f"fault {self.id} backups")
        self.world.decisions.all.append(self._decide)
        whole = self.world.plan.hours * 3600.0
        self.ends = self.world.kernel.now + whole
        self.world.kernel.call_later(self.stream.random() * 0.5 * whole, self._snapshot)

    def heal(self) -> None:
        """No further restore; one that is under way comes to its end."""
        self.on = False

    def _decide(self, function: Function, event: Event, source: str) -> Fate | None:
        return Fate.FAIL if self.closed and function.name in CLOSED else None

    def _snapshot(self) -> None:
        left = (
            self.ends - self.world.kernel.now - DRAIN_SECONDS
        )  # a short run ends before some come
        if not self.on or left < 0:
            return
        also = [QUOTAS] if self.stream.random() < WITH_QUOTAS else []
        if self.groups.random() < WITH_GROUPS:
            also += GROUPS[: self.groups.choice((1, 2))]
        also += [name for name in BACKUPS if self.backups.random() < WITH_BACKUPS]
        tables = self.world.region.dynamodb.tables
        snapshots = {name: tables[name].snapshot() for name in (INSTANCES, *also)}
        back = min(self.stream.uniform(*BACK_SECONDS), left * CLOSE_BEFORE)
        self.world.kernel.call_later(back, self._close, snapshots)

    def _close(self, snapshots: Snapshots) -> None:
        if not self.on:
            return
        self.closed = True
        self.world.kernel.call_later(DRAIN_SECONDS, self._restore, snapshots)

    def _restore(self, snapshots: Snapshots) -> None:
        assert self.world.invariants is not None
        self.world.invariants.hub.restoring = True
        lost = self.world.region.dynamodb.restore(snapshots)
        what = " and ".join(snapshots)
        missing = " and ".join(
            f"{len(lost[name])} {name.removeprefix(PREFIX)[1:]}"
            for name in (INSTANCES, BACKUPS[0])
            if name in lost
        )
        self.inject(f"{what} are back at an earlier moment; {missing} are missing")
        late = self.stream.random() * LATE_SECONDS
        self.world.lane(self.id, late)
        self.world.kernel.call_later(late, self._put_right)

    def _put_right(self) -> None:
        self.world.kernel.spawn(self._operator, "operator")

    def _operator(self) -> None:
        """Run the jobs, and once more when no index is behind any longer."""
        self._run_jobs()
        self.world.kernel.sleep(AGAIN_SECONDS)
        self._run_jobs()
        assert self.world.invariants is not None
        hub = self.world.invariants.hub
        hub.restoring, hub.restored_at = False, self.world.kernel.now
        if hub.fair_since is not None:
            hub.fair_since = self.world.kernel.now  # until now nothing could move
        self.world.invariants.check()
        self.closed = False
        self.world.kernel.call_later(self.later(3600.0 / self.strength), self._snapshot)

    def _run_jobs(self) -> None:
        """Page by page; a page that fails is asked for again."""
        for job in JOBS:
            page: dict[str, Any] | None = {}
            for _ in range(MOST_TRIES):
                if page is None:
                    break
                page = self._page(job, page)
            assert page is None, f"{job} did not come to its end"

    def _page(self, job: str, page: dict[str, Any]) -> dict[str, Any] | None:
        """Run one page; answers the one to run next: the same, if it failed."""
        function = f"{PREFIX}-taskmanager-cloud"
        answer = self.world.region.lambda_.call(function, {"step": job, **page}, "operator")
        if answer.error is not None or "failed" in answer.result:
            self.world.kernel.sleep(RETRY_SECONDS)
            return page
        assert self.world.invariants is not None
        self.world.invariants.hub.told_of_restore += answer.result["told"]
        for told in answer.result["told"]:
            self.world.note(self.id, f"{job}: {told}")
        following: dict[str, Any] | None = answer.result["next"]
        return following
