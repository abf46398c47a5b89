"""The administrators' action `upgrade_agent`: the guest goes on as another release of its agent."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from chalicelib.api import accepting
from chalicelib.api.accepting import Wanted
from chalicelib.api.frame import Request, Response
from chalicelib.api.schema import Body, Examples
from chalicelib.bus.ability import require_heard
from chalicelib.bus.contract.values import AgentVersion, BundleSize, Sha256
from chalicelib.domain.flows import UPGRADE_AGENT
from chalicelib.store.models import Instance


class BundleBody(Body, frozen=True):
    """A bundle that lies in the deployment's bucket. Nobody can be asked here whether it does: the
    guest says so."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "version": "0.1.0+1f3a9c02",
            "sha256": "864f0c7f260a8d3aed69af3826ded31b6466c6fe479f91d9043168018fd5d8f1",
            "size": 9437184,
        },
    )

    version: AgentVersion
    sha256: Sha256
    size: BundleSize


def accept(request: Request, asked: BundleBody) -> Response:
    """Accept one operation; an agent that is too old for it is refused at once (501)."""

    def wanted(row: Instance) -> Wanted:
        require_heard(row)
        return Wanted(msgspec.to_builtins(asked))

    return accepting.accept(request, UPGRADE_AGENT, wanted)
