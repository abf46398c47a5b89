"""The flow `upgrade_agent`: the guest goes on as another release of its agent.

It answers when it has: the release that runs then does, the new one or, with a reason, the one of
before.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.bus import bundles, contract
from chalicelib.bus.contract.arguments import UpgradeAgent
from chalicelib.domain.agents import AgentBundle
from chalicelib.store.models import Instance, Operation
from functions.asking import ask
from functions.outcomes import Outcome


def install(operation: Operation, token: str | None) -> Outcome:
    """Ask the guest for it. Asked again, it gets another address of the same bundle."""

    def arguments(_: Instance) -> UpgradeAgent:
        bundle = msgspec.convert(operation.arguments, AgentBundle)
        named = msgspec.structs.asdict(bundle)
        return UpgradeAgent(attempt=operation.id, url=bundles.address_of(bundle), **named)

    return ask(operation, token, "install", contract.UPGRADE_AGENT, arguments)


STEPS: Final = {"install": install}
