"""What a rollout is asked for, and how far it has come.

    next in the fleet ──▶ under way ──▶ rebuilt | failed | skipped

An instance stands under way before its operation is accepted, so that whoever takes a rollout up
knows of every one that there can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec

from chalicelib.domain.agents import AgentBundle
from chalicelib.domain.operations import OperationStatus

MOST_AT_ONCE: Final = 50
MOST_TOLERATED: Final = 1000
NAMED: Final = 10
"""So many of the instances whose rebuilds failed are named, and of those that were passed over."""


class Wanted(msgspec.Struct, frozen=True):
    """Which instances are rebuilt on which image: of a version, whose engine the image has, and of
    a project, None is any. Or whose agents are upgraded in place to which bundle (`agent`).

    `at_once` are under way together; more than `tolerate` failures stop the rollout.
    """

    image_id: str = ""
    version_id: str | None = None
    project_id: str | None = None
    at_once: int = 1
    tolerate: int = 0
    agent: AgentBundle | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a rollout has come; `behind` is the last instance of the fleet that it looked at.

    `rebuilt`: or upgraded. `skipped`: since it was in ERROR, or at something else, or has it
    already, or since somebody called its rebuild back. `passed_over` are the first of them but for
    those that have it: who asks again should know what for.
    """

    behind: str = ""
    walked: bool = False
    under_way: tuple[str, ...] = ()
    rebuilt: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> Self:
        """What stands under the operation's resources."""
        return msgspec.convert(resources, cls, strict=False)

    def recorded(self) -> dict[str, Any]:
        """What is to stand there."""
        return {name: _plain(value) for name, value in msgspec.structs.asdict(self).items()}

    def without(self, instance_id: str, ended: str | None = None, *, has_it: bool = False) -> Self:
        """Count an instance that is under way no more, by how its operation ended; None: nothing is
        to be done to it any more, as it has it, or for now."""
        left = tuple(each for each in self.under_way if each != instance_id)
        if ended == OperationStatus.SUCCEEDED:
            return msgspec.structs.replace(self, under_way=left, rebuilt=self.rebuilt + 1)
        if ended == OperationStatus.FAILED:
            named = (*self.failures, instance_id)[:NAMED]
            failed = self.failed + 1
            return msgspec.structs.replace(self, under_way=left, failed=failed, failures=named)
        left_alone = msgspec.structs.replace(self, under_way=left)
        return left_alone.passing_over(instance_id, has_it=has_it)

    def passing_over(self, instance_id: str, *, has_it: bool = False) -> Self:
        """Count an instance to which nothing is done, because it has it already, or for now."""
        named = self.passed_over if has_it else (*self.passed_over, instance_id)[:NAMED]
        return msgspec.structs.replace(self, skipped=self.skipped + 1, passed_over=named)

    def told(self) -> str:
        """A sentence for whoever waits."""
        so_far = f"{self.rebuilt} done, {self.failed} failed, {self.skipped} skipped"
        more = "" if self.walked else "; not all instances were looked at"
        return f"{so_far}, {len(self.under_way)} under way{more}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
