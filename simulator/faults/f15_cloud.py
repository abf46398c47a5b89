"""F15: the cloud's API errs, times out after the effect, gets stuck, refuses, loses servers."""

from __future__ import annotations

from typing import Final

from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.faults import MODES, Faults
from simulator.cloud.model.faults import Fault as CloudFault
from simulator.faults.base import Fault

SLOW_SECONDS: Final = (5.0, 900.0)
SEEN_AGAIN_SECONDS: Final = (5.0, 300.0)
PATIENCE_SECONDS: Final = 300.0
REPAIRS: Final = 3
_WEIGHTS: Final = {
    "unavailable": 8,
    "timeout_after": 8,
    "error": 2,
    "slow_delete": 3,
    "not_found": 1,
    "refuse": 0.5,
    "quota": 0.5,
    "stuck": 1,
    "left_as_it_was": 2,
    "not_in_use": 8,
    "seen_again": 2,
    "vanish": 0.5,
}
_SPANS: Final = {"slow_delete": SLOW_SECONDS, "seen_again": SEEN_AGAIN_SECONDS}


class CloudApi(Fault):
    """A 404 may be a lie: the thing is there and stays. A 409 is never one: the cloud answers it
    where a retry really meets its own first attempt, or a group that a port still uses.
    """

    id = "F15"
    title = "cloud API"
    range = (0.0, 0.2)

    def install(self) -> None:
        self.on = True
        self.world.cloud.faults.draw = self._draw

    def heal(self) -> None:
        self.on = False
        self.world.cloud.faults.draw = None
        self.world.cloud.faults.clear()
        self._repair()

    def _repair(self, left: int = REPAIRS) -> None:
        repair(self.world.cloud)
        if left:
            self.world.kernel.call_later(PATIENCE_SECONDS * 2, self._repair, left - 1)

    def _draw(self, service: str, call: str, name: str) -> CloudFault | None:
        """What goes wrong with a call, if chance strikes."""
        if self.world.kernel.current is None or not self.hits():
            return None
        modes = [mode for mode in MODES if Faults.fits(mode, call)]
        weights = [_WEIGHTS[mode] for mode in modes]
        mode = self.stream.choices(modes, weights)[0]
        span = _SPANS.get(mode)
        seconds = self.stream.uniform(*span) if span else None
        self.inject(f"{service} {call} of {name or 'all'}: {mode}", self.world.instance_in(name))
        return CloudFault("drawn", service, call, mode, seconds=seconds)


def repair(cloud: Cloud) -> None:
    """What an operator does after an incident: whatever hangs is ended, one way or the other."""
    patience = cloud.clock() - PATIENCE_SECONDS
    lifecycle = cloud.compute._lifecycle
    for server in list(cloud.compute.servers.values()):
        hangs = server.task_state or (server.before and server.before.confirming)
        if not hangs or server.updated_at > patience:
            continue
        if server.task_state == "deleting":
            lifecycle.delete(server, None)
        else:
            lifecycle._break(server, 500, "The build was stuck; an operator gave it up.")
    for snapshot in cloud.volume.snapshots.snapshots.values():
        if snapshot.status == "error_deleting":
            cloud.volume.snapshots.reset_status(cloud.admin(), snapshot.id, "error")
    for volume in list(cloud.volume.volumes.values()):
        if volume.updated_at > patience:
            continue
        if volume.status == "deleting":
            cloud.volume._unmake(volume, None)
        elif volume.status == "error_deleting":
            cloud.volume.reset_status(cloud.admin(), volume.id, "error")
        elif volume.status in ("extending", "error_extending"):
            now = "in-use" if volume.attachments else "available"
            cloud.volume.reset_status(cloud.admin(), volume.id, now)
        elif volume.status in ("creating", "reserved", "attaching", "detaching", "in-use"):
            gone = all(each.server_id not in cloud.compute.servers for each in volume.attachments)
            if volume.status != "in-use" or gone:
                volume.attachments.clear()
                cloud.volume.reset_status(cloud.admin(), volume.id, "error")
