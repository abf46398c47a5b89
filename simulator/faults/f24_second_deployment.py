"""F24: somebody else's things are named as ours: a second deployment's, and a tenant's."""

from __future__ import annotations

from typing import Final

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import CloudError
from simulator.faults.base import Fault
from simulator.invariants.things import owned_things
from simulator.template import PREFIX

OTHER: Final = "another-deployment"
STRANGER: Final = "a project of its own"
UNKNOWN: Final = "5ec0dd00-0000-4000-8000-{:012d}"


class SecondDeployment(Fault):
    """Copies the names of what this deployment has, and of what it has not, under other marks.

    The second deployment shares the project and the prefix; its tables are its own. The tenant
    knows an instance's id and names things of its own project like ours. I16 sees to it that nobody
    removes any of them.
    """

    id = "F24"
    title = "a second deployment in the same project"
    range = (1.0, 30.0)
    unit = "looks for something to copy an hour"
    chance = 0.1
    fair = True

    def install(self) -> None:
        self.on = True
        self.stranger = Caller(STRANGER, STRANGER, frozenset({"member"}))
        self.world.kernel.call_later(self.later(3600.0 / self.strength), self._copy)

    def heal(self) -> None:
        self.on = False

    def _copy(self) -> None:
        if not self.on:
            return
        self.world.kernel.call_later(self.later(3600.0 / self.strength), self._copy)
        ours = [owner for kind, owner, _ in owned_things(self.world.cloud) if kind == "port"]
        chosen = [self.stream.choice(ours)] if ours else []
        for instance_id in (*chosen, UNKNOWN.format(self.stream.randrange(10**6))):
            self._make(instance_id, self.world.cloud_functions.caller, OTHER)
            self._make(instance_id, self.stranger, OTHER)

    def _make(self, instance_id: str, caller: Caller, deployment: str) -> None:
        name = f"{PREFIX}-{instance_id}"
        metadata = {"coffer_deployment_id": deployment, "coffer_instance_id": instance_id}
        description = f"Database instance {instance_id} of deployment {deployment}"
        network, volume = self.world.cloud.network, self.world.cloud.volume
        groups = network.security_groups
        try:
            group = groups.create(caller, caller.project_id, name, description)
            network.create_port(
                caller,
                self.world.network_id,
                name=name,
                description=description,
                security_group_ids=[group.id],
            )
            volume.create(caller, 1, name=name, metadata=metadata)
        except CloudError as error:  # a fault of the cloud's own strikes this deployment as well
            self.world.note(self.id, f"{name} could not be copied: {error.message}")
            return
        self.inject(f"{name} is there a second time, of {caller.project_id}", instance_id)
