"""What a configuration group is to hold, and how far a change of it has come.

    attached, in order ──▶ under way ──▶ done | failed | passed over

Each change of the values is a revision. What a guest holds is told as (group, revision), so that
whoever compares the two knows whether it lacks something.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from chalicelib.domain.rollouts import Progress
from chalicelib.engines.parameter import Parameter, Scalar
from chalicelib.engines.parameters import check, effective, parameters
from chalicelib.errors import Unprocessable

AT_ONCE: Final = 10
"""So many instances of a group are told of new values together."""
MOST_BYTES: Final = 32_768
"""Of the values of a group as JSON: a row, and a message, has room for more."""


def rules_of(manager: str, version_number: str) -> Mapping[str, Parameter]:
    """What a group of a datastore version may set, by name."""
    return parameters(manager, version_number)


def defaults_of(
    manager: str, version_number: str, ram_mib: int, volume_gib: int
) -> dict[str, Scalar]:
    """What the parameters of a server of that much memory are, where no group sets them."""
    return effective(manager, version_number, ram_mib, volume_gib, {})


def checked(manager: str, version_number: str, values: Mapping[str, Any]) -> dict[str, Scalar]:
    """The values as the engine takes them; `Unprocessable` (422, as in Trove) for what it does
    not, or for more than a group holds."""
    found = check(manager, version_number, values, Unprocessable)
    if len(json.dumps(found)) > MOST_BYTES:
        raise Unprocessable(f"The values have more than {MOST_BYTES} bytes.")
    return found


UNKNOWN: Final = "unknown"
"""What a guest holds that did not say whether it has taken what it was sent."""


def held(configuration_id: str, revision: int) -> str:
    """What a guest holds that was sent the values of a group as of that revision."""
    return f"{configuration_id}/{revision}"


class Application(Progress, frozen=True):
    """How far the values of a `revision` have come to the instances of their group.

    A newer revision begins anew when nothing of the older one is under way. `rebuilt` counts those
    that hold it, and `passed_over` names those that take it with their next start.
    """

    revision: int = 0
