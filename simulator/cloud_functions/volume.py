"""Volumes and their types."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.cloud import names, volumes
from simulator.cloud.model.errors import Forbidden
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
                "delete": self._delete_volume,
                "find_type": self._find_volume_type,
                "get_type_projects": self._volume_type_projects,
            },
        }

    def _find_volumes(self, instance_id: str) -> list[volumes.Volume]:
        name = names.volume(instance_id)
        found = [v for v in self.cloud.volume.list(self.caller) if v.name == name]
        ordered = sorted(found, key=lambda volume: (volume.created_at, volume.id))
        return [each for each in map(self._volume, ordered) if each.owner == instance_id]

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
    ) -> volumes.Volume:
        made = self.cloud.volume.create(
            self.caller,
            size_gib,
            name=name,
            volume_type=volume_type,
            metadata=dict(metadata),
            availability_zone=availability_zone,
        )
        return self._volume(made)

    def _extend_volume(self, volume_id: str, size_gib: int) -> None:
        self.cloud.volume.extend(self.caller, volume_id, size_gib)

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
        owner = self.marked(one.project_id, one.metadata)
        return volumes.Volume(
            id=one.id,
            name=one.name,
            status=one.status,
            owner=owner,
            size=one.size,
            metadata=dict(one.metadata),
            server_ids=tuple(each.server_id for each in one.attachments),
        )
