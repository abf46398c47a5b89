"""Neutron's mechanism driver of a cloud without switches: every port is bound and is up at once.

It tells the router's process where floating addresses lead, as Neutron tells its L3 agents.
"""

from __future__ import annotations

from typing import Any

from coffer_hypervisor import call
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg

cfg.CONF.register_opts([cfg.StrOpt("hypervisor_url")])


class EveryPort(api.MechanismDriver):
    """Binds a port to its first segment, as Open vSwitch would, on whatever host."""

    def initialize(self) -> None:
        """Hear of floating addresses; there is no switch to talk to."""
        for event in (events.AFTER_CREATE, events.AFTER_UPDATE, events.AFTER_DELETE):
            registry.subscribe(_lead, resources.FLOATING_IP, event)

    @property
    def connectivity(self) -> str:
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind it: the port's server need not wait for anything."""
        segment = context.segments_to_bind[0]
        context.set_binding(
            segment[api.ID],
            portbindings.VIF_TYPE_OVS,
            {portbindings.CAP_PORT_FILTER: True},
            status=constants.PORT_STATUS_ACTIVE,
        )


def _lead(resource: str, event: str, trigger: Any, payload: Any) -> None:
    """The address leads to its port's, or nowhere: with the port, Neutron takes that away, too."""
    address = payload.latest_state
    fixed = None if event == events.AFTER_DELETE else address["fixed_ip_address"]
    path = f"/addresses/{address['floating_ip_address']}"
    call(cfg.CONF.hypervisor_url, "PUT", path, {"fixed": fixed})
