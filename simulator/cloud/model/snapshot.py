"""Cinder's snapshots of volumes: creating → available → deleting → gone. None outlives its volume,
which is not deleted before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.cloud.model import ending
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, NotFound
from simulator.cloud.model.faults import Fault, Faults
from simulator.cloud.model.seams import Clock, Hypervisor, Ids, Scheduler
from simulator.cloud.model.settings import Delays

if TYPE_CHECKING:
    from simulator.cloud.model.volume import Volume

DELETABLE = ("available", "error")


@dataclass(slots=True)
class Snapshot:
    """A snapshot; `size` is its volume's, in GiB, when it was made."""

    id: str
    name: str
    project_id: str
    user_id: str
    volume_id: str
    size: int
    created_at: float
    updated_at: float
    description: str | None = None
    status: str = "creating"
    metadata: dict[str, str] = field(default_factory=dict)


class SnapshotService:
    """Snapshots by id. `require_quota` refuses one of so many GiB for a project that is full."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        later: Scheduler,
        hypervisor: Hypervisor,
        faults: Faults,
        delays: Delays,
        require_quota: Callable[[str, int], None],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._later = later
        self._hypervisor = hypervisor
        self._faults = faults
        self._delays = delays
        self._require_quota = require_quota
        self.snapshots: dict[str, Snapshot] = {}

    def create(
        self,
        caller: Caller,
        volume: Volume,
        *,
        name: str = "",
        description: str | None = None,
        metadata: dict[str, str] | None = None,
        force: bool = False,
    ) -> Snapshot:
        """Accept a snapshot of a volume, in a server only by `force`; it is `creating` at first."""
        caller.require_write("volume:create_snapshot")
        with self._faults.around("volume", "create_snapshot", name) as fault:
            allowed = ("available", "in-use") if force else ("available",)
            if volume.status not in allowed:
                raise BadRequest(
                    f"Invalid volume: Volume {volume.id} status must be {' or '.join(allowed)}, "
                    f"but current status is: {volume.status}.",
                    kind="InvalidVolume",
                )
            self._require_quota(volume.project_id, volume.size)
            now = self._clock()
            made = Snapshot(
                id=self._ids.uuid(),
                name=name,
                project_id=volume.project_id,
                user_id=caller.user_id,
                volume_id=volume.id,
                size=volume.size,
                created_at=now,
                updated_at=now,
                description=description,
                metadata=dict(metadata or {}),
            )
            self.snapshots[made.id] = made
            self._later(self._delays.volume_create, lambda: self._make(made, fault))
            return made

    def get(self, caller: Caller, snapshot_id: str) -> Snapshot:
        """A snapshot that the caller may see, or NotFound."""
        found = self.snapshots.get(snapshot_id)
        if found is None or not caller.may_see(found.project_id):
            raise NotFound(f"Snapshot {snapshot_id} could not be found.", kind="SnapshotNotFound")
        return found

    def visible(self, caller: Caller, *, all_tenants: bool = False) -> list[Snapshot]:
        """The project's snapshots, newest first; an admin may ask for every project's."""
        with self._faults.around("volume", "list_snapshots", ""):
            everything = all_tenants and caller.is_admin
            newest_first = reversed(self.snapshots.values())
            return [s for s in newest_first if everything or s.project_id == caller.project_id]

    def delete(self, caller: Caller, snapshot_id: str) -> None:
        """Accept the deletion of a snapshot; BadRequest while Cinder is at it."""
        found = self.get(caller, snapshot_id)
        caller.require_write("volume:delete_snapshot")
        with self._faults.around("volume", "delete_snapshot", found.name) as fault:
            if found.status not in DELETABLE:
                raise BadRequest(
                    "Invalid snapshot: Snapshot status must be available or error and must not be "
                    "part of a group.",
                    kind="InvalidSnapshot",
                )
            self._set(found, "deleting")
            if fault and fault.mode == "stuck":
                return
            delay = self._delays.volume_delete
            if fault and fault.mode == "slow_delete":
                delay += self._delays.slow_delete if fault.seconds is None else fault.seconds
            self._later(delay, lambda: self._unmake(found, fault))

    def reset_status(self, caller: Caller, snapshot_id: str, status: str) -> None:
        """Set the state by hand, as an admin does it."""
        caller.require_admin("volume_extension:snapshot_admin_actions:reset_status")
        self._set(self.get(caller, snapshot_id), status)

    def of_volume(self, volume_id: str) -> list[Snapshot]:
        """Those that keep a volume from being deleted."""
        return [each for each in self.snapshots.values() if each.volume_id == volume_id]

    def source(self, caller: Caller, snapshot_id: str, size: int) -> Snapshot:
        """The snapshot that a volume of `size` GiB can be made of."""
        found = self.get(caller, snapshot_id)
        if found.status != "available":
            raise BadRequest(
                "Invalid snapshot: Originating snapshot status must be one of 'available' values",
                kind="InvalidSnapshot",
            )
        if size < found.size:
            raise BadRequest(
                f"Invalid input received: Volume size '{size}'GB cannot be smaller than the "
                f"snapshot size {found.size}GB. They must be >= original snapshot size."
            )
        return found

    def used(self, project_id: str) -> dict[str, int]:
        """Snapshots and gigabytes that count against the project's quota."""
        sizes = [each.size for each in self.snapshots.values() if each.project_id == project_id]
        return {"snapshots": len(sizes), "gigabytes": sum(sizes)}

    def _make(self, made: Snapshot, fault: Fault | None) -> None:
        if made.status != "creating" or (fault and fault.mode == "stuck"):
            return
        if fault and fault.mode == "error":
            self._set(made, "error")
            return

        def kept(error: str | None) -> None:
            if made.status == "creating":
                self._set(made, "error" if error else "available")

        self._hypervisor.create_snapshot(made.id, made.volume_id, kept)

    def _unmake(self, found: Snapshot, fault: Fault | None) -> None:
        ending.end(self.snapshots, found, fault, self._set, self._hypervisor.delete_snapshot)

    def _set(self, snapshot: Snapshot, status: str) -> None:
        snapshot.status = status
        snapshot.updated_at = self._clock()
