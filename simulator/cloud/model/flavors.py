"""Nova's flavors: sizes of servers."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.cloud.model.errors import Conflict, NotFound


@dataclass
class Flavor:
    """A size: `ram` and `swap` in MiB, `disk` and `ephemeral` in GiB."""

    id: str
    name: str
    ram: int
    vcpus: int
    disk: int
    extra_specs: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    is_public: bool = True
    ephemeral: int = 0
    swap: int = 0


class Flavors:
    """Flavors by id."""

    def __init__(self) -> None:
        self.flavors: dict[str, Flavor] = {}

    def add(self, flavor: Flavor) -> Flavor:
        """Add a flavor; Conflict when its id or name is taken."""
        for other in self.flavors.values():
            if other.id == flavor.id or other.name == flavor.name:
                raise Conflict(f"Flavor with name {flavor.name} already exists.")
        self.flavors[flavor.id] = flavor
        return flavor

    def get(self, flavor_id: str) -> Flavor:
        """The flavor of that id, or NotFound."""
        if flavor_id not in self.flavors:
            raise NotFound(f"Flavor {flavor_id} could not be found.")
        return self.flavors[flavor_id]

    def delete(self, flavor_id: str) -> None:
        """Remove a flavor; servers keep the copy that they were made with."""
        del self.flavors[self.get(flavor_id).id]
