"""The state machines as they are deployed, for tests that read them."""

from __future__ import annotations

import json
from typing import Any

from infra.package.state_machines import rendered


def definition(name: str) -> dict[str, Any]:
    """The definition of a flow."""
    made: dict[str, Any] = json.loads(rendered()[name])
    return made
