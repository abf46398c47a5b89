"""What may be set of an engine: a rule file for each series of its versions, and the check by it.

A rule file holds what is offered, with the types and bounds that the real engine tells
(`python -m infra.parameters` makes it). What is in none cannot be set: everything that is fixed for
safety (addresses, paths, files, plugins, what is logged).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from chalicelib.engines import ENGINES, numbers_of, series_of
from chalicelib.engines.parameter import Parameter, Scalar, checked

FOLDER: Final = Path(__file__).parent
_NONE: Final[Mapping[str, Parameter]] = MappingProxyType({})


class RuleFile(msgspec.Struct, frozen=True):
    """A rule file, laid out like Trove's `validation-rules.json`."""

    parameters: list[Parameter] = msgspec.field(name="configuration-parameters")


def _read(path: Path) -> Mapping[str, Parameter]:
    held = msgspec.json.decode(path.read_bytes(), type=RuleFile)
    return MappingProxyType({each.name: each for each in held.parameters})


_RULES: Final[Mapping[str, Mapping[str, Parameter]]] = MappingProxyType(
    {path.stem: _read(path) for path in sorted(FOLDER.glob("*.json"))}
)
"""By the series that a file is for; read with the module, a millisecond of a cold start."""


def parameters(manager: str, version: str) -> Mapping[str, Parameter]:
    """What may be set of a datastore of that version (`10.11`, `10.11.6-MariaDB`), by name.

    Nothing, where there is no rule file for its series.
    """
    series = series_of(manager, numbers_of(version))
    if series is None:
        return _NONE
    return _RULES.get(f"{ENGINES[manager].name.lower()}-{'.'.join(map(str, series))}", _NONE)


def check(
    manager: str,
    version: str,
    values: Mapping[str, object],
    refusal: Callable[[str], Exception],
) -> dict[str, Scalar]:
    """The values, by the names and in the types that the engine has; repeating it changes nothing.

    The first that breaks a rule is raised as `refusal` makes it of a sentence; those are Trove's
    where Trove has the rule.
    """
    found = checked(parameters(manager, version), f"{manager} {version}", values, refusal)
    ENGINES[manager].rules(refusal).together(found)
    return found


def effective(
    manager: str, version: str, ram_mib: int, volume_gib: int, values: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """What every parameter of a server with so much memory is, on a volume of that size, with
    those values chosen."""
    known = parameters(manager, version)
    ours = ENGINES[manager].chosen_for(ram_mib, volume_gib)
    return {name: values.get(name, ours.get(name, each.default)) for name, each in known.items()}
