"""Payloads on their way through a state: selected, filled into templates, and measured."""

from __future__ import annotations

import json
from typing import Any, Final

from simulator.aws.stepfunctions import faults
from simulator.aws.stepfunctions.faults import StateError
from simulator.aws.stepfunctions.paths import Context, MissingPath, Path, Template
from simulator.aws.stepfunctions.states import MOST_SECONDS

PAYLOAD_BYTES: Final = 256 * 1024


def as_text(document: Any, name: str) -> str:
    """A payload as JSON; States.DataLimitExceeded over 256 KiB in UTF-8."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if len(text) * 4 > PAYLOAD_BYTES and len(text.encode()) > PAYLOAD_BYTES:
        raise StateError(
            faults.DATA_LIMIT,
            f"The state/task '{name}' returned a result with a size exceeding the maximum number "
            "of bytes service limit.",
        )
    return text


def select(path: Path | None, document: Any, context: Context) -> Any:
    """What InputPath, OutputPath or another path leads to; null stands for an empty object."""
    if path is None:
        return {}
    try:
        return path.get(document, context)
    except MissingPath as error:
        raise StateError(
            faults.RUNTIME, f"Invalid path '{error}': it leads nowhere in the input"
        ) from None


def fill(template: Template, document: Any, context: Context, name: str) -> Any:
    try:
        return template.fill(document, context)
    except MissingPath as error:
        raise StateError(
            faults.PARAMETER_PATH,
            f"The JSONPath '{error}' could not be found in the input of the state '{name}'",
        ) from None


def whole_seconds(value: float | Path, document: Any, context: Context, least: int) -> float:
    """Seconds that are written, or found by a path."""
    if not isinstance(value, Path):
        return value
    found = select(value, document, context)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= MOST_SECONDS:
        raise StateError(faults.RUNTIME, f"{value.text!r} leads to no number of seconds: {found!r}")
    return found
