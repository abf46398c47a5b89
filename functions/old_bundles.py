"""The look for bundles of the agent that no guest will fetch any more.

    bundles in the bucket ──▶ among the newest, or younger than a month     stay
                              named by an upgrade or a rollout that lives   stay
                              all others                                    removed

A bundle is of use while a guest is to fetch it: what an agent runs lies on its own disk, and the
way back brings the bundle of before along (`coffer upgrade-agents --bundle`). One that is lent
again is written anew, so that it is young. Whoever names one in the very moment in which it goes is
told that it could not be fetched; nothing else has happened then.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from chalicelib import aws
from chalicelib.bus import bundles
from chalicelib.domain.agents import AgentBundle
from chalicelib.domain.operations import OperationAction
from chalicelib.domain.rollouts import Wanted
from chalicelib.store import operations
from chalicelib.store.models import Operation

KEPT: Final = 5
"""The newest, however old."""
AGE_SECONDS: Final = 30 * 86400
MOST_REMOVED: Final = 50
"""At a run; the others wait for the next day's."""
MOST_LIVE: Final = 1000
"""Live operations that a run reads. While there are more, nothing is removed."""

log = logging.getLogger(__name__)


def look() -> dict[str, Any]:
    """Remove what is old; answers how many there are, and how many this run has removed."""
    lent = sorted(bundles.lent(), key=lambda each: each.written, reverse=True)
    old = [each for each in lent[KEPT:] if aws.clock() - each.written >= AGE_SECONDS]
    removed = 0
    if old:
        wanted = _wanted()
        if wanted is None:
            log.warning("%d old bundles of the agent stay: too much is under way", len(old))
        else:
            gone = [each.sha256 for each in old if each.sha256 not in wanted][:MOST_REMOVED]
            for sha256 in gone:
                bundles.remove(sha256)
            removed = len(gone)
    return {"seen": len(lent), "removed": removed}


def _wanted() -> set[str] | None:
    """The digests that what is under way names; None where more lives than can be looked at."""
    live = operations.live_operations(MOST_LIVE)
    if live is None:
        return None
    return {sha256 for each in live if (sha256 := _named_by(each)) is not None}


def _named_by(operation: Operation) -> str | None:
    if operation.action == OperationAction.UPGRADE_AGENT:
        return msgspec.convert(operation.arguments, AgentBundle).sha256
    if operation.action == OperationAction.ROLL_OUT:
        agent = msgspec.convert(operation.arguments, Wanted).agent
        return None if agent is None else agent.sha256
    return None
