"""The proxy of this machine that stands in for a domain name, where AWS is an emulator.

It belongs to the machine that deploys: its process is kept below the state folder, its port is that
of the stack's parameter PublicEndpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from infra.deployment.survey import Survey
from infra.deployment.verdicts import Failed
from infra.local import front
from infra.local.processes import port_owner
from infra.local.settings import HOST, state_folder


class Front(NamedTuple):
    """Where the proxy of one deployment lives: its folder and its port."""

    state: Path
    api_port: int

    @property
    def front(self) -> Path:
        return self.state / "front"


def of(survey: Survey) -> Front | None:
    """The proxy that the deployment needs here; None where the API has an address of its own."""
    root = urlsplit(survey.root or "")
    if not survey.on_emulator or survey.wanted.public_endpoint or root.hostname != HOST:
        return None
    return Front(state_folder() / "deployments" / survey.wanted.stack, root.port or 80)


def check(survey: Survey) -> str:
    """Whether the API's address can be had."""
    place = of(survey)
    if place is None:
        return survey.root or "API Gateway's own"
    if front.process(place).running() is None and (owner := port_owner(place.api_port)):
        raise Failed(
            f"Port {place.api_port}, where the API is to answer, is in use by {owner}.",
            f"Choose another: --front-port {place.api_port + 1}",
        )
    return f"{survey.root}, a proxy of this machine"


def lead(survey: Survey, target: str) -> bool:
    """Have it lead to the API at `target`; False when it did already, or there is none."""
    place = of(survey)
    return place is not None and front.ensure(place, target)


def stop(survey: Survey) -> bool:
    """End it; False when it was not there."""
    place = of(survey)
    return place is not None and front.process(place).stop()
