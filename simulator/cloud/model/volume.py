"""Cinder's volumes: creating → available → reserved → in-use → available → deleting → gone."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.cloud.model import ending
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, NotFound, QuotaExceeded
from simulator.cloud.model.faults import Fault, Faults
from simulator.cloud.model.quota import Quotas
from simulator.cloud.model.seams import Clock, Hypervisor, Ids, Scheduler
from simulator.cloud.model.settings import ZONE, Delays
from simulator.cloud.model.snapshot import SnapshotService

DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_managing")


@dataclass(frozen=True)
class VolumeType:
    """A kind of storage; `projects` are those that a private one was given to, None: public."""

    id: str
    name: str
    description: str = ""
    is_default: bool = False
    projects: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume's place in a server."""

    id: str
    server_id: str
    device: str
    attached_at: float


@dataclass(slots=True)
class Volume:
    """A volume; `size` is in GiB."""

    id: str
    name: str
    project_id: str
    user_id: str
    size: int
    volume_type: str
    created_at: float
    updated_at: float
    description: str | None = None
    availability_zone: str = ZONE
    status: str = "creating"
    bootable: bool = False
    snapshot_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)


class VolumeService:
    """Volumes by id."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        later: Scheduler,
        hypervisor: Hypervisor,
        faults: Faults,
        quotas: Quotas,
        delays: Delays,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._later = later
        self._hypervisor = hypervisor
        self._faults = faults
        self._delays = delays
        self.quotas = quotas
        self.volumes: dict[str, Volume] = {}
        self.types: dict[str, VolumeType] = {}
        self.zones: tuple[str, ...] = (ZONE,)
        self.snapshots = SnapshotService(
            clock, ids, later, hypervisor, faults, delays, self._check_snapshots
        )

    def create(
        self,
        caller: Caller,
        size: int,
        *,
        name: str = "",
        description: str | None = None,
        volume_type: str | None = None,
        metadata: dict[str, str] | None = None,
        availability_zone: str | None = None,
        snapshot_id: str | None = None,
    ) -> Volume:
        """Accept a volume of `size` GiB, with what a snapshot holds if one is named; it is
        `creating` and becomes `available` by itself."""
        caller.require_write("volume:create")
        with self._faults.around("volume", "create_volume", name) as fault:
            if size < 1:
                raise BadRequest(f"Invalid input for field/attribute size. Value: {size}.")
            if availability_zone not in (None, *self.zones):
                raise BadRequest(f"Availability zone '{availability_zone}' is invalid.")
            chosen = self._type(caller, volume_type)
            if snapshot_id is not None:
                self.snapshots.source(caller, snapshot_id, size)
            self._check_quota(caller.project_id, size)
            now = self._clock()
            volume = Volume(
                id=self._ids.uuid(),
                name=name,
                project_id=caller.project_id,
                user_id=caller.user_id,
                size=size,
                volume_type=chosen.name,
                created_at=now,
                updated_at=now,
                description=description,
                availability_zone=availability_zone or self.zones[0],
                snapshot_id=snapshot_id,
                metadata=dict(metadata or {}),
            )
            self.volumes[volume.id] = volume
            self._later(self._delays.volume_create, lambda: self._make(volume, fault))
            return volume

    def get(self, caller: Caller, volume_id: str) -> Volume:
        """A volume that the caller may see, or NotFound."""
        volume = self.volumes.get(volume_id)
        if volume is None or not caller.may_see(volume.project_id):
            raise NotFound(f"Volume {volume_id} could not be found.", kind="VolumeNotFound")
        return volume

    def show(self, caller: Caller, volume_id: str) -> Volume:
        """As `get`, as a call of its own (a fault may hit it)."""
        volume = self.get(caller, volume_id)
        with self._faults.around("volume", "get_volume", volume.name) as fault:
            if fault and fault.mode == "vanish":
                self._remove(volume)
                return self.get(caller, volume_id)
            return volume

    def list(self, caller: Caller, *, all_tenants: bool = False) -> list[Volume]:
        """The project's volumes, newest first; an admin may ask for every project's."""
        with self._faults.around("volume", "list_volumes", ""):
            everything = all_tenants and caller.is_admin
            newest_first = reversed(self.volumes.values())
            return [v for v in newest_first if everything or v.project_id == caller.project_id]

    def update(self, caller: Caller, volume_id: str, changes: dict[str, object]) -> Volume:
        """Change name, description or metadata."""
        volume = self.get(caller, volume_id)
        with self._faults.around("volume", "update_volume", volume.name):
            if "name" in changes:
                volume.name = str(changes["name"] or "")
            if "description" in changes:
                volume.description = str(changes["description"] or "")
            metadata = changes.get("metadata")
            if isinstance(metadata, dict):
                volume.metadata = {str(key): str(value) for key, value in metadata.items()}
            volume.updated_at = self._clock()
            return volume

    def delete_metadata(self, caller: Caller, volume_id: str, key: str) -> None:
        """Remove one metadata item."""
        volume = self.get(caller, volume_id)
        with self._faults.around("volume", "update_volume", volume.name):
            if key not in volume.metadata:
                raise NotFound("Metadata item was not found.")
            del volume.metadata[key]
            volume.updated_at = self._clock()

    def delete(self, caller: Caller, volume_id: str, *, force: bool = False) -> None:
        """Accept the deletion of a volume that is in no server; BadRequest in any other state."""
        volume = self.get(caller, volume_id)
        caller.require_write("volume:delete")
        with self._faults.around("volume", "delete_volume", volume.name) as fault:
            used = volume.attachments or self.snapshots.of_volume(volume_id)
            if used or (volume.status not in DELETABLE and not force):
                raise BadRequest(
                    "Invalid volume: Volume status must be available or error or error_restoring "
                    "or error_extending or error_managing and must not be migrating, attached, "
                    "belong to a group, have snapshots, awaiting a transfer, or be disassociated "
                    "from snapshots after volume transfer.",
                    kind="InvalidVolume",
                )
            self._set(volume, "deleting")
            if fault and fault.mode == "stuck":
                return
            delay = self._delays.volume_delete
            if fault and fault.mode == "slow_delete":
                delay += self._delays.slow_delete if fault.seconds is None else fault.seconds
            self._later(delay, lambda: self._unmake(volume, fault))

    def extend(self, caller: Caller, volume_id: str, new_size: int) -> None:
        """Grow a volume, attached or not; only ever upwards."""
        volume = self.get(caller, volume_id)
        with self._faults.around("volume", "extend_volume", volume.name) as fault:
            if volume.status not in ("available", "in-use"):
                raise BadRequest(
                    f"Invalid volume: Volume {volume_id} status must be 'available' or 'in-use' to "
                    f"extend, currently {volume.status}."
                )
            if new_size <= volume.size:
                raise BadRequest(
                    "Invalid input received: New size for extend must be greater than current "
                    f"size. (current: {volume.size}, extended: {new_size})."
                )
            mode = fault.mode if fault and volume.attachments else ""
            if mode == "not_in_use":
                raise BadRequest(
                    f"Invalid volume: Volume {volume_id} status must be 'available' to extend, "
                    "currently in-use.",
                    kind="InvalidVolume",
                )
            self._check_quota(volume.project_id, new_size - volume.size, count=0)
            self._set(volume, "extending")
            if mode == "left_as_it_was":  # the scheduler finds that its backend cannot
                self._later(self._delays.volume_create, lambda: self._grow(volume, volume.size))
                return
            if fault and fault.mode == "stuck":
                return
            if fault and fault.mode == "error":
                self._later(self._delays.volume_create, lambda: self._fail(volume))
                return
            self._later(self._delays.volume_create, lambda: self._grow(volume, new_size))

    def reset_status(self, caller: Caller, volume_id: str, status: str) -> None:
        """Set the state by hand, as an admin does it."""
        caller.require_admin("volume_extension:volume_admin_actions:reset_status")
        self._set(self.get(caller, volume_id), status)

    def reserve(self, caller: Caller, volume_id: str) -> Volume:
        """Take an available volume for a server that is about to attach it."""
        volume = self.get(caller, volume_id)
        if volume.status != "available":
            raise BadRequest(
                f"Invalid volume: volume '{volume_id}' status must be 'available'. Currently in "
                f"'{volume.status}' status."
            )
        self._set(volume, "reserved")
        return volume

    def attach(self, volume_id: str, server_id: str, device: str) -> None:
        """Record that a reserved volume is in a server now."""
        volume = self.volumes[volume_id]
        volume.attachments = [Attachment(self._ids.uuid(), server_id, device, self._clock())]
        self._set(volume, "in-use")

    def require_in_use(self, volume_id: str) -> None:
        """Refuse to take a volume out of its server that Cinder is at."""
        status = self.volumes[volume_id].status
        if status != "in-use":
            raise BadRequest(
                f"Invalid volume: Unable to detach volume. Volume status must be 'in-use' and "
                f"attach_status must be 'attached' to detach. Currently: status: '{status}'."
            )

    def release(self, volume_id: str) -> None:
        """Give a volume back: detached, or no longer reserved."""
        volume = self.volumes.get(volume_id)
        if volume is None:
            return
        if volume.status in ("reserved", "attaching", "in-use", "detaching"):
            volume.attachments = []
            self._set(volume, "available")
        elif volume.status in ("extending", "error_extending"):
            volume.attachments = []

    def remove_detached(self, volume_id: str) -> None:
        """Delete a volume that went with its server (`delete_on_termination`)."""
        volume = self.volumes.get(volume_id)
        if volume is not None and not volume.attachments:
            self._set(volume, "deleting")
            self._later(self._delays.volume_delete, lambda: self._unmake(volume, None))

    def list_types(self, caller: Caller) -> tuple[VolumeType, ...]:
        """The public types and those given to the caller's project; an admin sees all."""
        with self._faults.around("volume", "list_types", ""):
            return tuple(each for each in self.types.values() if _may_use(caller, each))

    def type_access(self, caller: Caller, type_id: str) -> frozenset[str]:
        """The projects of a private type, for an admin; a public one has none (NotFound)."""
        caller.require_admin("volume_extension:volume_type_access:get_all_for_type")
        with self._faults.around("volume", "get_type_access", ""):
            projects = self.type_of(caller, type_id).projects
            if projects is None:
                raise NotFound("Access list not available for public volume types.")
            return projects

    def type_of(self, caller: Caller, name_or_id: str) -> VolumeType:
        """A volume type by name or id that the caller may use, or NotFound."""
        for volume_type in self.types.values():
            if name_or_id in (volume_type.id, volume_type.name) and _may_use(caller, volume_type):
                return volume_type
        raise NotFound(f"Volume type {name_or_id} could not be found.", kind="VolumeTypeNotFound")

    def used(self, project_id: str) -> dict[str, int]:
        """Volumes, snapshots, and gigabytes of both, that count against the project's quota."""
        sizes = [v.size for v in self.volumes.values() if v.project_id == project_id]
        kept = self.snapshots.used(project_id)
        gigabytes = sum(sizes) + kept["gigabytes"]
        return {"volumes": len(sizes), "snapshots": kept["snapshots"], "gigabytes": gigabytes}

    def _type(self, caller: Caller, name_or_id: str | None) -> VolumeType:
        if name_or_id is not None:
            return self.type_of(caller, name_or_id)
        return next(kind for kind in self.types.values() if kind.is_default)

    def _check_snapshots(self, project_id: str, gigabytes: int) -> None:
        self._check_quota(project_id, gigabytes, counted="snapshots")

    def _check_quota(
        self, project_id: str, gigabytes: int, count: int = 1, counted: str = "volumes"
    ) -> None:
        used = self.used(project_id)
        wanted = {counted: count, "gigabytes": gigabytes}
        resource = self.quotas.exceeded(project_id, used, wanted)
        limit = self.quotas.limits(project_id)
        if resource == "volumes":
            raise QuotaExceeded(
                f"VolumeLimitExceeded: Maximum number of volumes allowed ({limit['volumes']}) "
                "exceeded for quota 'volumes'.",
                status=413,
            )
        if resource == "snapshots":
            raise QuotaExceeded(
                "SnapshotLimitExceeded: Maximum number of snapshots allowed "
                f"({limit['snapshots']}) exceeded",
                status=413,
            )
        if resource == "gigabytes":
            raise QuotaExceeded(
                "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed "
                f"gigabytes quota. Requested {gigabytes}G, quota is {limit['gigabytes']}G and "
                f"{used['gigabytes']}G has been consumed.",
                status=413,
            )

    def _make(self, volume: Volume, fault: Fault | None) -> None:
        if volume.status != "creating" or (fault and fault.mode == "stuck"):
            return
        if fault and fault.mode == "error":
            self._set(volume, "error")
            return

        def made(error: str | None) -> None:
            if volume.id not in self.volumes or volume.status != "creating":
                return
            self._set(volume, "error" if error else "available")
            if fault and fault.mode == "vanish":
                self._remove(volume)

        self._hypervisor.create_volume(volume.id, volume.size, volume.snapshot_id, made)

    def _unmake(self, volume: Volume, fault: Fault | None) -> None:
        ending.end(self.volumes, volume, fault, self._set, self._hypervisor.delete_volume)

    def _grow(self, volume: Volume, new_size: int) -> None:
        if volume.id not in self.volumes or volume.status != "extending":
            return
        volume.size = new_size
        self._hypervisor.extend_volume(volume.id, new_size)
        self._set(volume, "in-use" if volume.attachments else "available")

    def _fail(self, volume: Volume) -> None:
        if volume.status == "extending":
            self._set(volume, "error_extending")

    def _remove(self, volume: Volume) -> None:
        self.volumes.pop(volume.id, None)
        self._hypervisor.delete_volume(volume.id, lambda error: None)

    def _set(self, volume: Volume, status: str) -> None:
        volume.status = status
        volume.updated_at = self._clock()


def _may_use(caller: Caller, one: VolumeType) -> bool:
    return caller.is_admin or one.projects is None or caller.project_id in one.projects
