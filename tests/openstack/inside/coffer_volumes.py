"""Cinder's driver of a cloud whose volumes are folders, which the hypervisor's process makes."""

from __future__ import annotations

from typing import Any

from cinder.volume import driver
from coffer_hypervisor import call
from oslo_config import cfg

cfg.CONF.register_opts([cfg.StrOpt("hypervisor_url")])


class FolderDriver(driver.VolumeDriver):
    """Makes, grows and removes folders; a server of this machine needs no way to them."""

    VERSION = "1.0"

    def check_for_setup_error(self) -> None:
        """Nothing can be wrong before the first volume."""

    def create_volume(self, volume: Any) -> None:
        self._call("PUT", volume.id, {"size": volume.size})

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        """Make a folder with what the snapshot's has."""
        self._call("PUT", volume.id, {"size": volume.size, "snapshot_id": snapshot.id})

    def create_snapshot(self, snapshot: Any) -> None:
        """Copy the folder while its server stands still."""
        url = cfg.CONF.hypervisor_url
        call(url, "PUT", f"/snapshots/{snapshot.id}", {"volume_id": snapshot.volume_id})

    def delete_snapshot(self, snapshot: Any) -> None:
        """Remove the copy."""
        call(cfg.CONF.hypervisor_url, "DELETE", f"/snapshots/{snapshot.id}", None)

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Nothing: a folder has no size."""

    def delete_volume(self, volume: Any) -> None:
        self._call("DELETE", volume.id)

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing: the servers see the folders."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """Nothing: the servers see the folders."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Nothing: the servers see the folders."""

    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:
        """What Nova gives to its driver."""
        return {"driver_volume_type": "local", "data": {"volume_id": volume.id}}

    def terminate_connection(self, volume: Any, connector: Any, **options: Any) -> None:
        """Nothing: the servers see the folders."""

    def _update_volume_stats(self) -> None:
        pool = {
            "pool_name": "folders",
            "total_capacity_gb": 10_000,
            "free_capacity_gb": 10_000,
            "reserved_percentage": 0,
            "allocated_capacity_gb": 0,
        }
        self._stats = {
            "volume_backend_name": "folders",
            "vendor_name": "Coffer",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "pools": [pool],
        }

    @staticmethod
    def _call(method: str, volume_id: str, body: Any = None) -> None:
        call(cfg.CONF.hypervisor_url, method, f"/volumes/{volume_id}", body)
