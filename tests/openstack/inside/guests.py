"""Nova's driver of a cloud whose servers are processes: the bookkeeping of Nova's own fake driver,
and for each server a guest agent, started from Nova's own config drive by the hypervisor's process.

All compute hosts share that hypervisor, as hosts with shared storage would: a server that moves is
stopped on one and started on the other, from the disk that it had.
"""

from __future__ import annotations

import base64
from typing import Any

from coffer_hypervisor import call
from nova import exception
from nova.api.metadata import base as metadata
from nova.compute import power_state, task_states
from nova.conf import CONF
from nova.virt import driver, fake, hardware, node
from oslo_config import cfg

CONF.register_opts([cfg.StrOpt("hypervisor_url")])


class GuestDriver(fake.FakeDriver):
    """Starts and stops the guests of one compute host."""

    vcpus = 64
    memory_mb = 131072
    local_gb = 4096

    def init_host(self, host: str) -> None:
        """Know the servers that an earlier process of this host has left running."""
        super().init_host(host)
        for server_id, running in self._call("GET", "/servers").items():
            self._note(server_id, server_id, running)

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        """By the id that the host keeps in its state folder, as any real driver does."""
        found: dict[str, str] = driver.ComputeDriver.get_nodenames_by_uuid(self, refresh)
        return found

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        return {**super().get_available_resource(nodename), "uuid": node.get_local_node_uuid()}

    def default_root_device_name(self, instance: Any, image_meta: Any, root_bdm: Any) -> str:
        """As libvirt calls it; Nova itself then names the other disks in libvirt's order."""
        return "/dev/vda"

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        """What the hypervisor says: a server may have been killed."""
        servers = self._call("GET", "/servers")
        if instance.uuid not in self.instances or instance.uuid not in servers:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        state = power_state.RUNNING if servers[instance.uuid] else power_state.SHUTDOWN
        return hardware.InstanceInfo(state=state)

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: Any,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        """Boot it from its config drive, with its volumes."""
        super().spawn(
            context,
            instance,
            image_meta,
            injected_files,
            admin_password,
            allocations,
            network_info,
            block_device_info,
            power_on,
            accel_info,
        )
        drive = metadata.InstanceMetadata(
            instance, content=injected_files, extra_md={}, network_info=network_info
        )
        files = {
            path: base64.b64encode(_bytes(content)).decode()
            for path, content in drive.metadata_for_config_drive()
        }
        self._act(instance, "boot", drive=files, volumes=_volumes(block_device_info))

    def destroy(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """Remove it; stop it where its disk goes back to another host, or is made afresh."""
        super().destroy(context, instance, network_info, block_device_info, destroy_disks)
        stays = instance.task_state in (task_states.RESIZE_REVERTING, task_states.REBUILDING)
        self._act(instance, "stop" if stays or not destroy_disks else "destroy")

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        super().power_off(instance, timeout, retry_interval)
        self._act(instance, "stop")

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        super().power_on(context, instance, network_info, block_device_info)
        self._act(instance, "start", volumes=_volumes(block_device_info))

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Off and on again, whatever the type."""
        self._act(instance, "stop")
        self._note(instance.uuid, instance.name, running=True)
        self._act(instance, "start", volumes=_volumes(block_device_info))

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        dest: str,
        flavor: Any,
        network_info: Any,
        block_device_info: Any = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> str:
        """Stop it; there is no disk to copy."""
        self.power_off(instance, timeout, retry_interval)
        return "[]"

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """Start it on this host, from the disk that it had."""
        self._arrive(instance, block_device_info, power_on)

    def finish_revert_migration(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        migration: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """Start it on the host that it came from."""
        self._arrive(instance, block_device_info, power_on)

    def confirm_migration(
        self, context: Any, migration: Any, instance: Any, network_info: Any
    ) -> None:
        """The host that it came from forgets it; the disk is the other's."""
        if migration.source_compute != migration.dest_compute:
            self.instances.pop(instance.uuid, None)

    def attach_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        mountpoint: str,
        disk_bus: Any = None,
        device_type: Any = None,
        encryption: Any = None,
    ) -> None:
        super().attach_volume(context, connection_info, instance, mountpoint)
        self._act(instance, "attach", **_volume(connection_info, mountpoint))

    def detach_volume(
        self,
        context: Any,
        connection_info: Any,
        instance: Any,
        mountpoint: str,
        encryption: Any = None,
    ) -> None:
        super().detach_volume(context, connection_info, instance, mountpoint)
        self._act(instance, "detach", **_volume(connection_info, mountpoint))

    def _arrive(self, instance: Any, block_device_info: Any, power_on: bool) -> None:
        self._note(instance.uuid, instance.name, power_on)
        if power_on:
            self._act(instance, "start", volumes=_volumes(block_device_info))

    def _note(self, server_id: str, name: str, running: bool) -> None:
        state = power_state.RUNNING if running else power_state.SHUTDOWN
        self.instances[server_id] = fake.FakeInstance(name, state, server_id)

    def _act(self, instance: Any, action: str, **body: Any) -> None:
        self._call("POST", f"/servers/{instance.uuid}/{action}", body)

    @staticmethod
    def _call(method: str, path: str, body: Any = None) -> Any:
        return call(CONF.hypervisor_url, method, path, body)


def _bytes(content: Any) -> bytes:
    return content if isinstance(content, bytes) else str(content).encode()


def _volumes(block_device_info: Any) -> list[dict[str, str]]:
    mapping = (block_device_info or {}).get("block_device_mapping") or []
    return [_volume(each["connection_info"], each["mount_device"]) for each in mapping]


def _volume(connection_info: Any, device: str) -> dict[str, str]:
    volume_id = connection_info.get("serial") or connection_info["data"]["volume_id"]
    return {"volume_id": volume_id, "device": device}
