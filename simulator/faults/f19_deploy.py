"""F19: the control plane is deployed again in the middle of a run, once or several times."""

from __future__ import annotations

from typing import Final

from chalicelib.bus.contract import FIRST_RELEASE, RELEASE
from simulator import releases
from simulator.aws.dynamodb.values import Item
from simulator.faults.base import Fault
from simulator.template import PREFIX

UPDATE_SECONDS: Final = 90.0
"""So long an update of the stack takes: meanwhile some functions are new and others are not."""
FIRST_WITHIN: Final = 0.6
"""The first deployment comes in this share of the run, so that there is one in every run."""
OF_AN_OLDER_AGENT: Final = 0.5
"""Share of the servers made before the first deployment whose agent is of an older release."""
OF_ANOTHER_RELEASE: Final = 0.3
"""Share of the items that are older than this release, and as many are younger."""
MOST_ITEMS: Final = 300
"""So many items of a table are looked at in each deployment."""
MOST_REVISION: Final = 3


class Deploy(Fault):
    """Of the control plane one release plays all: its functions in new containers, its flows with
    other bounds and one more state (or rolled back to what is shipped), its items with less or more
    in them. Nothing here shows that two of them understand each other's statuses and operations.

    Guests are really of two releases: half of the servers that are made before the first deployment
    have an agent of before (`simulator.fleet.older`), until they are rebuilt.
    """

    id = "F19"
    title = "deploy"
    range = (1.0, 12.0)
    unit = "deployments an hour, at least one"
    chance = 0.1
    fair = True
    missing = "two really different releases of the control plane: there is one"

    def prepare(self) -> None:
        self.revision: int = 0
        self.deployed = False
        self._agents = self.world.kernel.stream("older agents")
        self.world.fleet.around.release = self._release

    def _release(self) -> int:
        """Of the agent on the root disk of a server that is made now."""
        older = not self.deployed and self._agents.random() < OF_AN_OLDER_AGENT
        return self._agents.randrange(FIRST_RELEASE, RELEASE) if older else RELEASE

    def install(self) -> None:
        self.on = True
        self.lost: list[str] = []
        """Items that lost it in a write of this release."""
        self.world.region.dynamodb.watchers.append(self._watch)
        first = self.stream.random() * FIRST_WITHIN * self.world.plan.hours * 3600.0
        self.world.kernel.call_later(first, self._deploy)

    def heal(self) -> None:
        self.on = False
        assert not self.lost, f"attributes of a later release are lost: {self.lost[:5]}"

    def _deploy(self) -> None:
        if not self.on:
            return
        revisions = [each for each in range(MOST_REVISION + 1) if each != self.revision]
        self.revision, self.deployed = self.stream.choice(revisions), True
        region = self.world.region
        self.inject(f"revision {self.revision} is deployed; {region.states.open} executions go on")
        self.world.lane(self.id, UPDATE_SECONDS)
        region.deploy_again(self.revision, UPDATE_SECONDS)
        for name in sorted(region.dynamodb.tables):
            self.world.kernel.call_later(self.stream.random() * UPDATE_SECONDS, self._rewrite, name)
        self.world.kernel.call_later(self.later(3600.0 / self.strength), self._deploy)

    def _rewrite(self, name: str) -> None:
        """Let items of a table look as another release would have written them."""
        if not self.on:
            return
        table, now = self.world.region.dynamodb.tables[name], self.world.kernel.now
        short = _short(name)
        for key in list(table.items)[-MOST_ITEMS:]:
            item, drawn = table.items[key], self.stream.random()
            if drawn < OF_ANOTHER_RELEASE:
                table.write(key, item, releases.as_older(short, item), now)
            elif drawn < 2 * OF_ANOTHER_RELEASE and short in releases.KEEPERS:
                mark = f"{self.revision}/{now:.3f}"
                table.write(key, item, releases.as_later(item, mark), now)

    def _watch(self, name: str, old: Item | None, new: Item | None) -> None:
        """Whoever writes an item keeps what it does not know."""
        if old is None or new is None:
            return
        if old.get(releases.LATER) != new.get(releases.LATER):
            key = self.world.region.dynamodb.tables[name].key_in(new)
            self.lost.append(f"{_short(name)} {key}")


def _short(table: str) -> str:
    """A table's name without the prefix of the deployment."""
    return table.removeprefix(f"{PREFIX}-")
