"""What happens to a server after Nova accepted a call: the tasks, step by step, on the scheduler.

Each task owns the server while `run` stays the same; a newer one (a delete during a build) raises
it, and the steps of the older one stop at their next turn.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from simulator.cloud.model import devices
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.network import NetworkService
from simulator.cloud.model.seams import (
    Clock,
    Done,
    GuestSpec,
    GuestVolume,
    Hypervisor,
    Interface,
    Scheduler,
)
from simulator.cloud.model.server import (
    ACTIVE,
    ERROR,
    RESIZED,
    SOFT_DELETED,
    STOPPED,
    Server,
    ServerFault,
    ServerVolume,
)
from simulator.cloud.model.settings import Delays
from simulator.cloud.model.volume import VolumeService

DEVICE_OWNER = "compute:nova"
MOST_GONE = 64
"""So many deleted servers are remembered."""


class ServerLifecycle:
    """Runs builds, rebuilds, power changes and deletions of the servers in `servers`."""

    reclaim_seconds = 0.0

    def __init__(
        self,
        servers: dict[str, Server],
        clock: Clock,
        later: Scheduler,
        hypervisor: Hypervisor,
        network: NetworkService,
        volume: VolumeService,
        delays: Delays,
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._later = later
        self._hypervisor = hypervisor
        self._network = network
        self._volume = volume
        self._delays = delays
        self._gone: deque[tuple[float, Server]] = deque(maxlen=MOST_GONE)

    def build(self, server: Server, fault: Fault | None) -> None:
        """From BUILD to ACTIVE: networking, block devices, spawning."""
        step = self._delays.server_build / 3
        run = self._take_over(server, "scheduling")
        mode = fault.mode if fault else ""

        def networking() -> None:
            if mode == "error":
                self._fail(server, 500, "No valid host was found. ")
                return
            self._enter(server, "networking")
            self._step(server, run, step, block_devices)

        def block_devices() -> None:
            self._enter(server, "block_device_mapping")
            self._step(server, run, step, spawning)

        def spawning() -> None:
            self._enter(server, "spawning")
            if mode == "stuck":
                return
            for volume in server.volumes:
                self._volume.attach(volume.volume_id, server.id, volume.device)
            self._hypervisor.boot(self.spec(server), self._guarded(server, run, built))

        def built(error: str | None) -> None:
            if error is not None:
                self._fail(server, 500, f"Build of instance {server.id} aborted: {error}")
                return
            self._become_active(server)
            if mode == "vanish":
                self.vanish(server)

        self._step(server, run, step, networking)

    def rebuild(self, server: Server, fault: Fault | None) -> None:
        """Through REBUILD to where it was, on a fresh disk with the same volumes and ports.

        What is stopped is started on the new disk, and stopped again (nova's compute manager).
        """
        was_stopped = server.vm_state == STOPPED
        run = self._take_over(server, "rebuilding")
        mode = fault.mode if fault else ""

        def spawning() -> None:
            self._enter(server, "rebuild_spawning")
            if mode == "error":
                self._break(server, 500, "Failed to rebuild the instance.")
            elif mode != "stuck":
                self._hypervisor.rebuild(self.spec(server), self._guarded(server, run, built))

        def built(error: str | None) -> None:
            if error is not None:
                self._break(server, 500, f"Failed to rebuild the instance: {error}")
                return
            self._become_active(server)
            if was_stopped:
                self.stop(server)

        self._step(server, run, self._delays.server_power, spawning)

    def reboot(self, server: Server, hard: bool, fault: Fault | None) -> None:
        """Through REBOOT or HARD_REBOOT back to ACTIVE, on the same disk."""
        run = self._take_over(server, "rebooting_hard" if hard else "rebooting")
        mode = fault.mode if fault else ""

        def stop() -> None:
            self._enter(server, "reboot_started_hard" if hard else "reboot_started")
            if mode == "error":
                self._break(server, 500, "Failed to reboot the instance.")
            elif mode != "stuck":
                self._hypervisor.stop(server.id, self._guarded(server, run, stopped))

        def stopped(error: str | None) -> None:
            self._hypervisor.start(server.id, self._guarded(server, run, started))

        def started(error: str | None) -> None:
            if error is not None:
                self._break(server, 500, f"Failed to reboot the instance: {error}")
            else:
                self._become_active(server)

        self._step(server, run, self._delays.server_power, stop)

    def stop(self, server: Server) -> None:
        """To SHUTOFF."""
        run = self._take_over(server, "powering-off")

        def power_off() -> None:
            self._hypervisor.stop(server.id, self._guarded(server, run, done))

        def done(error: str | None) -> None:
            server.vm_state, server.task_state = STOPPED, None
            self._touch(server)

        self._step(server, run, self._delays.server_power, power_off)

    def start(self, server: Server) -> None:
        """From SHUTOFF to ACTIVE."""
        run = self._take_over(server, "powering-on")

        def power_on() -> None:
            self._hypervisor.start(server.id, self._guarded(server, run, done))

        def done(error: str | None) -> None:
            if error is not None:
                self._break(server, 500, f"Failed to start the instance: {error}")
            else:
                self._become_active(server)

        self._step(server, run, self._delays.server_power, power_on)

    def crash(self, server: Server) -> None:
        """The machine died under the guest: Nova finds it powered off."""
        run = self._take_over(server, None)

        def found_off(error: str | None) -> None:
            if server.vm_state != RESIZED:  # which Nova does not look at
                server.vm_state, server.before = STOPPED, None
            self._touch(server)

        self._hypervisor.stop(server.id, self._guarded(server, run, found_off))

    def delete(self, server: Server, fault: Fault | None) -> None:
        """To nothing: guest destroyed, volumes and foreign ports given back, own ports removed."""
        run = self._take_over(server, "deleting")
        if fault and fault.mode == "stuck":
            return
        delay = self._delays.server_delete
        if fault and fault.mode == "slow_delete":
            delay += self._delays.slow_delete if fault.seconds is None else fault.seconds

        def destroy() -> None:
            if fault and fault.mode == "error":
                self._break(server, 500, "Failed to delete the instance.")
            else:
                self._hypervisor.destroy(server.id, self._guarded(server, run, destroyed))

        def destroyed(error: str | None) -> None:
            if error is not None:
                self._break(server, 500, f"Failed to delete the instance: {error}")
                return
            self._forget(server)

        self._step(server, run, delay, destroy)

    def soft_delete(self, server: Server) -> None:
        """To SOFT_DELETED, switched off with all that it has; gone after `reclaim_seconds`."""
        run = self._take_over(server, "soft-deleting")

        def power_off() -> None:
            self._hypervisor.stop(server.id, self._guarded(server, run, kept))

        def kept(error: str | None) -> None:
            server.vm_state, server.before = SOFT_DELETED, None
            self._enter(server, None)
            self._step(server, run, self.reclaim_seconds, lambda: self.delete(server, None))

        self._step(server, run, self._delays.server_delete, power_off)

    def vanish(self, server: Server) -> None:
        """The server is gone from one moment to the next, as after the loss of a cell."""
        self._take_over(server, None)
        self._forget(server)
        self._hypervisor.destroy(server.id, lambda error: None)

    def attach_volume(self, server: Server, volume: ServerVolume) -> None:
        """Plug a reserved volume into a server."""
        server.volumes.append(volume)
        plugged = _plugged(server, volume)

        def done(error: str | None) -> None:
            if error is not None:
                server.volumes.remove(volume)
                self._volume.release(volume.volume_id)
            elif server.id in self._servers:
                self._volume.attach(volume.volume_id, server.id, volume.device)

        self._hypervisor.attach_volume(server.id, plugged, done)

    def detach_volume(self, server: Server, volume: ServerVolume) -> None:
        """Unplug a volume and give it back."""
        unplugged = _plugged(server, volume)

        def done(error: str | None) -> None:
            if error is None and volume in server.volumes:
                server.volumes.remove(volume)
                self._volume.release(volume.volume_id)

        self._hypervisor.detach_volume(server.id, unplugged, done)

    def spec(self, server: Server) -> GuestSpec:
        """What the hypervisor gets to know of a server."""
        return GuestSpec(
            server_id=server.id,
            name=server.name,
            hostname=server.hostname,
            project_id=server.project_id,
            metadata=dict(server.metadata),
            user_data=base64.b64decode(server.user_data or ""),
            interfaces=self._interfaces(server),
            volumes=[_plugged(server, volume) for volume in server.volumes],
            local_disks=devices.local_disks(server.flavor, server.disk_bus),
            image_id=server.image_id,
            config_drive=server.config_drive,
        )

    def _interfaces(self, server: Server) -> list[Interface]:
        ports = [self._network.ports[p] for p in server.port_ids if p in self._network.ports]
        return [
            Interface(
                port_id=port.id,
                mac_address=port.mac_address,
                network_id=port.network_id,
                address=address,
                netmask=self._network.netmask(subnet_id),
                gateway=self._network.subnets[subnet_id].gateway,
                dhcp=self._network.subnets[subnet_id].enable_dhcp,
            )
            for port in ports
            for subnet_id, address in port.fixed_ips
        ]

    def _become_active(self, server: Server) -> None:
        server.vm_state, server.task_state, server.fault = ACTIVE, None, None
        server.launched_at = server.launched_at or self._clock()
        self._set_ports(server, "ACTIVE")
        self._touch(server)

    def _fail(self, server: Server, code: int, message: str) -> None:
        """A build that failed gives its ports and volumes back, as Nova's clean-up does."""
        self._break(server, code, message)
        for volume in server.volumes:
            self._volume.release(volume.volume_id)
        self._release_ports(server)
        server.volumes, server.port_ids = [], []

    def _break(self, server: Server, code: int, message: str) -> None:
        server.vm_state, server.task_state, server.before = ERROR, None, None
        server.fault = ServerFault(code, message, self._clock())
        self._touch(server)

    def gone_since(self, when: float) -> list[Server]:
        """The servers that have gone since then, as they were before their deletion."""
        return [server for at, server in self._gone if at >= when]

    def _forget(self, server: Server) -> None:
        self._servers.pop(server.id, None)
        self._gone.append((self._clock(), replace(server, task_state=None)))
        for volume in server.volumes:
            self._volume.release(volume.volume_id)
            if volume.delete_on_termination:
                self._volume.remove_detached(volume.volume_id)
        self._release_ports(server)

    def _release_ports(self, server: Server) -> None:
        for port_id in server.port_ids:
            if port_id in server.own_port_ids:
                self._network.remove_port(port_id)
            elif port_id in self._network.ports:
                self._network.bind_port(self._network.ports[port_id], "", "", "DOWN")

    def _set_ports(self, server: Server, status: str) -> None:
        for port_id in server.port_ids:
            if port_id in self._network.ports:
                self._network.bind_port(
                    self._network.ports[port_id], server.id, DEVICE_OWNER, status
                )

    def _take_over(self, server: Server, task_state: str | None) -> int:
        server.run += 1
        self._enter(server, task_state)
        return server.run

    def _enter(self, server: Server, task_state: str | None) -> None:
        server.task_state = task_state
        self._touch(server)

    def _touch(self, server: Server) -> None:
        server.updated_at = self._clock()
        if server.task_state is None and server.actions and server.actions[-1].finished is None:
            server.actions[-1].finished = self._clock()

    def _step(self, server: Server, run: int, seconds: float, action: Callable[[], None]) -> None:
        def turn() -> None:
            if server.run == run and server.id in self._servers:
                action()

        self._later(seconds, turn)

    def _guarded(self, server: Server, run: int, done: Done) -> Done:
        def finish(error: str | None) -> None:
            if server.run == run and server.id in self._servers:
                done(error)

        return finish


def _plugged(server: Server, volume: ServerVolume) -> GuestVolume:
    return GuestVolume(volume.volume_id, volume.device, server.disk_bus)
