"""Volumes and their types."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.cloud import names, snapshots, volumes
from simulator.cloud.model.errors import Forbidden
from simulator.cloud.model.snapshot import Snapshot
from simulator.cloud.model.volume import Volume
from simulator.cloud_functions.stand_ins import Functions, StandIns, page_of, unless_gone


class BlockStorage(StandIns):
    """Cinder."""

    def functions(self) -> Functions:
        """By module and name."""
        return {
            volumes: {
                "find": self._find_volumes,
                "page": self._page_of_volumes,
                "get": self._get_volume,
                "create": self._create_volume,
                "extend": self._extend_volume,
                "keep": self._keep_volume,
                "reclaim": self._reclaim_volume,
                "delete": self._delete_volume,
                "find_type": self._find_volume_type,
                "get_type_projects": self._volume_type_projects,
            },
            snapshots: {
                "find": self._find_snapshots,
                "of_volume": self._snapshots_of_volume,
                "page": self._page_of_snapshots,
                "create": self._create_snapshot,
                "delete": self._delete_snapshot,
            },
        }

    def _find_volumes(self, instance_id: str, *, kept: bool = False) -> list[volumes.Volume]:
        name = names.volume(instance_id)
        found = [v for v in self.cloud.volume.list(self.caller) if v.name == name]
        ordered = sorted(found, key=lambda volume: (volume.created_at, volume.id))
        return [
            each
            for each in map(self._volume, ordered)
            if each.owner == instance_id or (kept and each.kept_for == instance_id)
        ]

    def _page_of_volumes(self, after: str | None, limit: int) -> list[volumes.Volume]:
        found = self.cloud.volume.list(self.caller)
        return [self._volume(each) for each in page_of(found, after, limit)]

    def _get_volume(self, volume_id: str) -> volumes.Volume | None:
        found = unless_gone(lambda: self.cloud.volume.show(self.caller, volume_id))
        return self._volume(found) if found else None

    def _create_volume(
        self,
        name: str,
        *,
        size_gib: int,
        volume_type: str | None,
        availability_zone: str | None,
        metadata: Mapping[str, str],
        snapshot_id: str | None = None,
    ) -> volumes.Volume:
        made = self.cloud.volume.create(
            self.caller,
            size_gib,
            name=name,
            volume_type=volume_type,
            metadata=dict(metadata),
            availability_zone=availability_zone,
            snapshot_id=snapshot_id,
        )
        return self._volume(made)

    def _extend_volume(self, volume_id: str, size_gib: int) -> None:
        self.cloud.volume.extend(self.caller, volume_id, size_gib)

    def _keep_volume(self, volume_id: str) -> None:
        found = self.cloud.volume.get(self.caller, volume_id)
        metadata: dict[str, object] = {**found.metadata, names.KEPT_KEY: "true"}
        self.cloud.volume.update(self.caller, volume_id, {"metadata": metadata})

    def _reclaim_volume(self, volume_id: str) -> None:
        unless_gone(
            lambda: self.cloud.volume.delete_metadata(self.caller, volume_id, names.KEPT_KEY)
        )

    def _delete_volume(self, volume_id: str) -> None:
        unless_gone(lambda: self.cloud.volume.delete(self.caller, volume_id))

    def _find_volume_type(self, name_or_id: str) -> volumes.VolumeType | None:
        for each in self.cloud.volume.list_types(self.caller):
            if name_or_id in (each.id, each.name):
                return volumes.VolumeType(each.id, each.name, each.projects is None)
        return None

    def _volume_type_projects(self, type_id: str) -> frozenset[str]:
        try:
            return self.cloud.volume.type_access(self.caller, type_id)
        except Forbidden:
            return frozenset()

    def _volume(self, one: Volume) -> volumes.Volume:
        marked = self.marked(one.project_id, one.metadata)
        kept = names.KEPT_KEY in one.metadata
        return volumes.Volume(
            id=one.id,
            name=one.name,
            status=one.status,
            owner=None if kept else marked,
            size=one.size,
            metadata=dict(one.metadata),
            server_ids=tuple(each.server_id for each in one.attachments),
            kept_for=marked if kept else None,
        )

    def _find_snapshots(self, backup_id: str) -> list[snapshots.Snapshot]:
        name = names.snapshot(backup_id)
        found = [s for s in self.cloud.volume.snapshots.visible(self.caller) if s.name == name]
        ordered = sorted(found, key=lambda each: (each.created_at, each.id))
        return [each for each in map(self._snapshot, ordered) if each.owner == backup_id]

    def _snapshots_of_volume(self, volume_id: str) -> list[snapshots.Snapshot]:
        found = map(self._snapshot, self.cloud.volume.snapshots.visible(self.caller))
        return [each for each in found if each.volume_id == volume_id]

    def _page_of_snapshots(self, after: str | None, limit: int) -> list[snapshots.Snapshot]:
        found = self.cloud.volume.snapshots.visible(self.caller)
        return [self._snapshot(each) for each in page_of(found, after, limit)]

    def _create_snapshot(
        self, name: str, *, volume_id: str, metadata: Mapping[str, str]
    ) -> snapshots.Snapshot:
        volume = self.cloud.volume.get(self.caller, volume_id)
        made = self.cloud.volume.snapshots.create(
            self.caller, volume, name=name, metadata=dict(metadata), force=True
        )
        return self._snapshot(made)

    def _delete_snapshot(self, snapshot_id: str) -> None:
        unless_gone(lambda: self.cloud.volume.snapshots.delete(self.caller, snapshot_id))

    def _snapshot(self, one: Snapshot) -> snapshots.Snapshot:
        own = one.project_id == self.caller.project_id
        return snapshots.Snapshot(
            id=one.id,
            name=one.name,
            status=one.status,
            owner=names.backup_in_metadata(one.metadata) if own else None,
            size=one.size,
            volume_id=one.volume_id,
            instance_id=one.metadata.get(names.INSTANCE_KEY, ""),
            metadata=dict(one.metadata),
        )
