"""Bugs beside guests of an older release."""

from __future__ import annotations

import msgspec

from chalicelib.api import accepting
from chalicelib.bus import ability
from chalicelib.conductor import heartbeats
from chalicelib.store import last_reports
from chalicelib.store.last_reports import Reported
from tests.saboteurs.registry import Instead, Patch, saboteur


@saboteur("releases", "I30")
def any_release_will_do(patch: Patch) -> None:
    """An operation is accepted that its guest's release does not know."""
    patch.setattr(accepting, "require_able", ability.require_offered)


@saboteur("releases", "I30")
def a_release_that_is_not_kept(patch: Patch) -> None:
    """What a guest tells of its release is forgotten: each is taken for one of the first."""
    original = last_reports.write

    def write(instance_id: str, reported: Reported) -> bool:
        return original(instance_id, msgspec.structs.replace(reported, release=0))

    patch.setattr(heartbeats, "last_reports", Instead(last_reports, write=write))
