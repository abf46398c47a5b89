"""Explores an API by the document that it publishes: schemathesis, with all of its phases.

A request that breaks the document has to be refused, no answer may be a 500 or what the document
does not tell of, and a method that it does not name is 405. What keeps the document and is refused
all the same is no finding: most rules on names and states are no schema's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from schemathesis.schemas import BaseSchema

from chalicelib.settings import API_VERSION

SEED: Final = 1
TOLD: Final = ("2xx", "4xx", "501", "502", "503")
"""Statuses that are no mistake of the service where the document tells of them."""

BOUNDS: Final = tuple(
    f"{method} /{API_VERSION}/{{project}}{path}"
    for method, path in (
        ("GET", "/instances"),
        ("PATCH", "/instances/{instance}"),
        ("POST", "/instances/{instance}/action"),
        ("PUT", "/mgmt/quotas/{tenant}"),
        ("GET", "/backups"),
    )
)
"""One of each form: a list with filters, bodies of one and of several kinds, what is not served."""


class Outcome(NamedTuple):
    """How many requests there were, and what was found, each finding once."""

    requests: int
    found: list[str]


def chosen(
    token: str,
    places: Mapping[str, str],
    examples: int,
    *,
    thorough: bool,
    strangers: Sequence[str] = ("TRACE",),
) -> SchemathesisConfig:
    """What to try: so many examples of each operation, with these values in the places of paths.

    Not thorough: the cases at the bounds of each schema are tried of some operations alone, and of
    the methods that there are not, `strangers`.
    """
    less: dict[str, Any] = {
        "operations": [{"exclude-name": list(BOUNDS), "phases": {"coverage": {"enabled": False}}}],
        "phases": {"coverage": {"unexpected-methods": list(strangers)}},
    }
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "headers": {"X-Auth-Token": token},
            "parameters": {f"path.{name}": value for name, value in places.items()},
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "database": "none",
                "no-shrink": not thorough,
            },
            "checks": {
                "not_a_server_error": {"expected-statuses": list(TOLD)},
                "positive_data_acceptance": {"enabled": False},
            },
            "continue-on-failure": True,
            **({} if thorough else less),
        }
    )


def explore(schema: BaseSchema) -> Outcome:
    """Run all phases; whatever keeps one from running is a finding too."""
    requests, found = 0, dict[str, None]()
    for event in from_schema(schema).execute():
        if isinstance(event, ScenarioFinished):
            requests += len(event.recorder.interactions)
            for checks in event.recorder.checks.values():
                found |= {
                    _told(event.recorder.label, check): None
                    for check in checks
                    if check.failure_info
                }
        elif isinstance(event, NonFatalError):
            found[f"{event.label}: {event.value!r}"] = None
        elif isinstance(event, FatalError):
            found[repr(event.exception)] = None
    return Outcome(requests, list(found))


def _told(label: str, check: Any) -> str:
    failure = check.failure_info.failure
    return f"{label}: {failure.title}: {failure.message}\n{check.failure_info.code_sample}"
