"""What an agent remembers from one moment to the next, and what it loses when its process dies.

It stands apart from the objects that use it, so that they can be made for a moment of work and
dropped: the simulator keeps a hundred thousand idle agents as their memory alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from chalicelib.bus.contract.archiving import Archiving
from chalicelib.bus.contract.arguments import Archive
from chalicelib.service_status import ServiceStatus as Status
from guest_agent.enrolment import Session


@dataclass(slots=True)
class Memory:
    """All of it. Times are of the service clock; `beat_at`, `start_at`, `steady_at` are monotonic.

    Before `renewal_held_until` (monotonic) the control plane wants to hear of no renewal.
    `asked_at` is when a session was wanted for a newer key last, `asked_since` when that began.
    `polled`: its queue has answered. `starts` counts those of a dead database in a row, the next at
    `start_at`, forgotten when it is sound at `steady_at`; `trouble` is what was told of it last,
    `damage` of its data, `events` what is still to be told. `archive` is where the log is to be
    sent, once that is known, looked at again at `archive_at` (monotonic); `archiving` how that
    goes, `news` that it has sent something, with `log_waiting` bytes on the volume.
    """

    session: Session | None = None
    # A counter, not a number: the loop, the pulse and the workers all draw from it.
    sequence: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    renew_at: float = 0.0
    renewal_held_until: float = 0.0
    wants_renewal: bool = False
    asked_at: float = 0.0
    asked_since: float = 0.0
    failures: int = 0
    polled: bool = False
    rejected: int = 0
    begun_since_pruned: int = 0
    reported: Status | None = None
    beat_at: float = 0.0
    beats_failed: int = 0
    starts: int = 0
    start_at: float | None = None
    steady_at: float = 0.0
    trouble: Status | None = None
    troubled: bool = False
    damage: str = ""
    events: tuple[tuple[str, str], ...] = ()
    archive: Archive | None = None
    archive_known: bool = False
    archive_at: float = 0.0
    archiving: Archiving | None = None
    news: bool = False
    log_let_go: bool = False
    log_waiting: int = 0
    log_warned: bool = False

    def adopt(self, session: Session) -> None:
        """Use the keys and the epoch of this session from now on."""
        before, self.session = self.session, session
        if before is None or before.epoch != session.epoch:
            self.sequence = itertools.count(1)

    def key_to_guest(self, version: int) -> str | None:
        """The key of that version (base64), or None for one that was never given."""
        if self.session is None:
            return None
        if version == self.session.key_version:
            return self.session.keys.to_guest
        return self.session.other_keys.get(version)
