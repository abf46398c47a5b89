"""Neutron's mechanism driver of a cloud without switches: every port is bound and is up at once."""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class EveryPort(api.MechanismDriver):
    """Binds a port to its first segment, as Open vSwitch would, on whatever host."""

    def initialize(self) -> None:
        """Nothing: there is no switch to talk to."""

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
