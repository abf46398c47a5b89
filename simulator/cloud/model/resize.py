"""Nova's resize and cold migration: what it accepts and refuses, and what follows.

    ACTIVE ──▶ RESIZE ──▶ VERIFY_RESIZE ──▶ confirmed: ACTIVE on the new flavor
      ▲          │              └─────────▶ reverted:  ACTIVE on the old one
      └──────────┘ no host took it: as if nobody had asked

A cold migration is a resize to the flavor that the server has, and has the same states.
A server that was off stays so. What fails on the way leaves it off, in ERROR, on either flavor.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.compute import ComputeService
from simulator.cloud.model.errors import BadRequest
from simulator.cloud.model.faults import Fault
from simulator.cloud.model.flavors import Flavor
from simulator.cloud.model.lifecycle import ServerLifecycle
from simulator.cloud.model.seams import Done
from simulator.cloud.model.server import ACTIVE, RESIZED, STOPPED, Before, Server
from simulator.cloud.model.settings import HOSTS

NOT_RESIZED = "Instance has not been resized."


class ResizingLifecycle(ServerLifecycle):
    """The tasks of a resize. `confirm_seconds` is how long one waits for its confirmation."""

    confirm_seconds = 0.0

    def resize(
        self, server: Server, flavor: Flavor, fault: Fault | None, host: str | None = None
    ) -> None:
        """To VERIFY_RESIZE on that or another host, with the disks as they were."""
        run = self._take_over(server, "resize_prep")
        before = Before(server.flavor, server.host, server.vm_state)
        mode, step = fault.mode if fault else "", self._delays.server_resize / 3
        # The driver finds a smaller disk, and a fault no host, after the call was accepted.
        untouched = mode == "left_as_it_was" or flavor.disk < server.flavor.disk

        def prepared() -> None:
            if untouched:
                self._enter(server, None)
            elif mode != "stuck":
                self._enter(server, "resize_migrating")
                self._step(server, run, step, migrate)

        def migrate() -> None:
            self._hypervisor.stop(server.id, self._guarded(server, run, migrated))

        def migrated(error: str | None) -> None:
            server.flavor, server.host, server.before = flavor, host or _next(before.host), before
            self._enter(server, "resize_finish")
            self._step(server, run, step, finish)

        def finish() -> None:
            if mode == "error":
                self._break(server, 500, "Failed to finish the resize.")
            else:
                self._switch_on(server, run, before, resized)

        def resized(error: str | None) -> None:
            if error is not None:
                self._break(server, 500, f"Failed to finish the resize: {error}")
                return
            server.vm_state = RESIZED
            self._enter(server, None)
            if self.confirm_seconds:
                self._step(server, run, self.confirm_seconds, lambda: self.confirm(server, None))

        self._step(server, run, step, prepared)

    def confirm(self, server: Server, fault: Fault | None) -> None:
        """To ACTIVE for good; meanwhile Nova shows no task."""
        run, before = self._take_over(server, None), server.before
        assert before is not None, "only what was resized is confirmed"
        server.before = replace(before, confirming=True)
        mode = fault.mode if fault else ""

        def confirmed() -> None:
            if mode == "error":
                self._break(server, 500, "Failed to confirm the resize.")
            elif mode != "stuck":
                self._settle(server, before)

        self._step(server, run, self._delays.server_resize / 3, confirmed)

    def revert(self, server: Server, fault: Fault | None) -> None:
        """Back to the flavor and the host of before."""
        run, before = self._take_over(server, "resize_reverting"), server.before
        assert before is not None, "only what was resized is reverted"
        mode = fault.mode if fault else ""

        def revert() -> None:
            if mode != "stuck":
                self._hypervisor.stop(server.id, self._guarded(server, run, stopped))

        def stopped(error: str | None) -> None:
            if mode == "error":
                self._break(server, 500, "Failed to revert the resize.")
                return
            server.flavor, server.host = before.flavor, before.host
            self._switch_on(server, run, before, reverted)

        def reverted(error: str | None) -> None:
            if error is not None:
                self._break(server, 500, f"Failed to revert the resize: {error}")
            else:
                self._settle(server, before)

        self._step(server, run, self._delays.server_resize / 2, revert)

    def _switch_on(self, server: Server, run: int, before: Before, done: Done) -> None:
        """Start the guest, unless it was off before."""
        finish = self._guarded(server, run, done)
        if before.vm_state == STOPPED:
            finish(None)
        else:
            self._hypervisor.start(server.id, finish)

    def _settle(self, server: Server, before: Before) -> None:
        server.before = None
        if before.vm_state == STOPPED:
            server.vm_state = STOPPED
            self._enter(server, None)
        else:
            self._become_active(server)


class ResizingCompute(ComputeService):
    """The calls of a resize."""

    _lifecycle: ResizingLifecycle
    host_role = "admin"
    """Whose a migration to a host of one's own choice is."""

    def resize(self, caller: Caller, server_id: str, flavor_id: str) -> None:
        """Accept a resize of a server that is ACTIVE or SHUTOFF, to another flavor."""
        server = self.get(caller, server_id)
        caller.require_write("os_compute_api:servers:resize")
        with self._faults.around("compute", "resize_server", server.name) as fault:
            self._check_state(server, "resize", (ACTIVE, STOPPED))
            flavor = self._flavor(flavor_id)
            if flavor.id == server.flavor.id:
                raise BadRequest("When resizing, instances must change flavor!")
            if flavor.disk == 0 and server.flavor.disk:
                raise BadRequest(
                    "Server disk was unable to be resized because: Resize to zero disk flavor "
                    "is not allowed."
                )
            more = {
                "cores": flavor.vcpus - server.flavor.vcpus,
                "ram": flavor.ram - server.flavor.ram,
            }
            self._check_room(
                server.project_id, {name: each for name, each in more.items() if each > 0}
            )
            self._note(caller, server, "resize")
            self._lifecycle.resize(server, flavor, fault)

    def migrate(self, caller: Caller, server_id: str, host: str | None) -> None:
        """Accept a move to another host, or to that one."""
        server = self.get(caller, server_id)
        caller.require_role("os_compute_api:os-migrate-server:migrate", "manager")
        if host is not None:
            caller.require_role("os_compute_api:os-migrate-server:migrate:host", self.host_role)
        with self._faults.around("compute", "migrate_server", server.name) as fault:
            self._check_state(server, "migrate", (ACTIVE, STOPPED))
            if host is not None and host not in HOSTS:
                raise BadRequest(f"Compute host {host} could not be found.")
            if host == server.host:
                raise BadRequest("Cannot migrate to the host where the server exists.")
            self._note(caller, server, "migrate")
            self._lifecycle.resize(server, server.flavor, fault, host)

    def confirm_resize(self, caller: Caller, server_id: str) -> None:
        """Accept that a resize stays."""
        server = self._resized(caller, server_id, "confirmResize")
        with self._faults.around("compute", "confirm_resize", server.name) as fault:
            self._note(caller, server, "confirmResize")
            self._lifecycle.confirm(server, fault)

    def revert_resize(self, caller: Caller, server_id: str) -> None:
        """Accept that a resize is taken back."""
        server = self._resized(caller, server_id, "revertResize")
        with self._faults.around("compute", "revert_resize", server.name) as fault:
            self._note(caller, server, "revertResize")
            self._lifecycle.revert(server, fault)

    def _resized(self, caller: Caller, server_id: str, action: str) -> Server:
        server = self.get(caller, server_id)
        self._check_state(server, action, (RESIZED,))
        if server.before is None or server.before.confirming:
            raise BadRequest(NOT_RESIZED)
        return server


def _next(host: str) -> str:
    """The host that the scheduler chooses for a server that leaves one."""
    return HOSTS[(HOSTS.index(host) + 1) % len(HOSTS)]
