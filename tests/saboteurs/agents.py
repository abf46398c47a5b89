"""Bugs of the agent's upgrade in place, and of its way back."""

from __future__ import annotations

from typing import Any

from chalicelib.bus.contract.arguments import UpgradeAgent
from guest_agent.errors import GuestError
from guest_agent.releases import Releases, Upgrade
from simulator.fleet.disk import AGENT_OF_THE_IMAGE
from simulator.fleet.manager import SimManager
from simulator.fleet.releases import SimReleases
from tests.saboteurs.registry import Patch, saboteur


@saboteur("agents", "I35")
def an_agent_that_does_not_look_at_the_digest(patch: Patch) -> None:
    """It installs whatever lies at the address."""
    original = SimReleases.install

    def install(self: SimReleases, request: UpgradeAgent, progress: Any) -> None:
        try:
            original(self, request, progress)
        except GuestError as error:
            if "SHA-256" not in str(error):
                raise

    patch.setattr(SimReleases, "install", install)


@saboteur("agents", "I35", "L1", "L7")
def a_release_that_is_current_before_it_has_proved_itself(patch: Patch) -> None:
    """The link is switched when the release is installed: there is no way back."""
    original = SimReleases._save

    def save(self: SimReleases, upgrade: Upgrade) -> None:
        self._switch(upgrade.version)
        original(self, upgrade)

    patch.setattr(SimReleases, "_save", save)


@saboteur("agents", "I35")
def an_upgrade_that_is_done_when_it_is_installed(patch: Patch) -> None:
    """The agent answers before it goes on as the other release."""
    original = Releases.upgrade

    def upgrade(self: Releases, request: UpgradeAgent, was: str, progress: Any) -> None:
        if self.own == request.version:
            original(self, request, was, progress)
        else:
            self.install(request, progress)

    patch.setattr(Releases, "upgrade", upgrade)


@saboteur("agents", "L7")
def a_heartbeat_that_tells_the_version_of_the_image(patch: Patch) -> None:
    """What the agent says of itself is what its server was made with."""
    patch.setattr(SimManager, "agent_version", AGENT_OF_THE_IMAGE)
