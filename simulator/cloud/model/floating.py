"""Neutron's floating addresses, each for a port that it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import BadRequest, Conflict, NotFound
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.seams import Clock, Ids

if TYPE_CHECKING:
    from simulator.cloud.model.network import Network, Port


@dataclass(slots=True)
class FloatingAddress:
    """A public address that leads to a port, or to none."""

    id: str
    network_id: str
    project_id: str
    address: str
    port_id: str | None
    created_at: float
    updated_at: float
    description: str = ""
    tags: list[str] = field(default_factory=list)


class FloatingAddresses:
    """Floating addresses by id, in `rows`; networks and ports are those that a caller may see."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        faults: Faults,
        network: Callable[[Caller, str], Network],
        port: Callable[[Caller, str], Port],
        check_quota: Callable[[str, str, Iterable[Any]], None],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._faults = faults
        self._network = network
        self._port = port
        self._check_quota = check_quota
        self.rows: dict[str, FloatingAddress] = {}

    def create(
        self, caller: Caller, network_id: str, port_id: str | None, description: str = ""
    ) -> FloatingAddress:
        """Make a floating address of an external network.

        Nothing routes between this cloud's networks, and guests run on the host that serves it: an
        address that leads to a port is the port's own, so that it reaches what it promises.
        """
        caller.require_write("create_floatingip")
        with self._faults.around("network", "create_floatingip", description):
            network = self._network(caller, network_id)
            if not network.external:
                raise BadRequest(
                    f"Bad floatingip request: Network {network_id} is not a valid external network."
                )
            self._check_quota(caller.project_id, "floatingip", self.rows.values())
            if port_id is None:
                raise BadRequest("Bad floatingip request: this cloud gives none without a port.")
            port = self._port(caller, port_id)
            own = [address for _, address in port.fixed_ips if "." in address]
            if not own:
                raise BadRequest(
                    f"Bad floatingip request: Cannot add floating IP to port {port_id} that has no "
                    "fixed IPv4 addresses.",
                    kind="BadRequest",
                )
            if any(each.port_id == port_id for each in self.rows.values()):
                raise Conflict(
                    f"Cannot associate floating IP with port {port_id}: it has one already.",
                    kind="FloatingIPPortAlreadyAssociated",
                )
            now = self._clock()
            made = FloatingAddress(
                id=self._ids.uuid(),
                network_id=network_id,
                project_id=caller.project_id,
                address=own[0],
                port_id=port_id,
                created_at=now,
                updated_at=now,
                description=description,
            )
            self.rows[made.id] = made
            return made

    def list(self, caller: Caller) -> Sequence[FloatingAddress]:
        """The floating addresses that the caller may see."""
        with self._faults.around("network", "list_floatingips", ""):
            return [each for each in self.rows.values() if caller.may_see(each.project_id)]

    def show(self, caller: Caller, address_id: str) -> FloatingAddress:
        """A floating address that the caller may see, or NotFound."""
        found = self.rows.get(address_id)
        if found is None or not caller.may_see(found.project_id):
            raise NotFound(
                f"Floating IP {address_id} could not be found", kind="FloatingIPNotFound"
            )
        return found

    def delete(self, caller: Caller, address_id: str) -> None:
        """Remove a floating address."""
        found = self.show(caller, address_id)
        with self._faults.around("network", "delete_floatingip", found.description) as fault:
            if fault and fault.mode == "stuck":
                return
            self.rows.pop(address_id, None)

    def release(self, port_id: str) -> None:
        """Lead nowhere any more instead of to a port that goes."""
        for each in self.rows.values():
            if each.port_id == port_id:
                each.port_id = None
