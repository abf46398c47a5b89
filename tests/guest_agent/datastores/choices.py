"""Values that a configuration group may choose, for each parameter of the rule files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chalicelib.engines.parameter import Kind, Parameter, Scalar
from chalicelib.engines.parameters import effective, parameters

_TEXTS: Final = {
    "character_set_server": "latin1",
    "collation_server": "latin1_bin",
    "datestyle": "German, DMY",
    "default_text_search_config": "pg_catalog.german",
    "ft_boolean_syntax": "+ -><()~*:'\"&|",
    "init_connect": r"""SET @x = "it's \\ 100 % of $PATH; [mysqld] !include # é" """.strip(),
    "notify-keyspace-events": "KEA",
    "save": "60 1 30 1000",
    "search_path": r""" "$user", "it's \100 %", public""".strip(),
    "timezone": "Europe/Paris",
}


LARGE: Final = 1000
"""GiB of a volume on which nothing is bounded by it."""


def all_others(manager: str, version: str, ram_mib: int) -> dict[str, Scalar]:
    """Every parameter of a datastore with another value than a server of that size has."""
    now = effective(manager, version, ram_mib, LARGE, {})
    return {name: _other(rule, now[name]) for name, rule in parameters(manager, version).items()}


def unlike(
    known: Mapping[str, Parameter], one: Mapping[str, Scalar], other: Mapping[str, Scalar]
) -> set[str]:
    """The names of what both tell and have different values of."""
    return {name for name in one if name in other and not known[name].same(one[name], other[name])}


def _other(rule: Parameter, now: Scalar) -> Scalar:
    if rule.name in _TEXTS:
        return _TEXTS[rule.name]
    match rule.kind:
        case Kind.BOOLEAN:
            return not now
        case Kind.INTEGER | Kind.FLOAT:
            return _neighbour(rule, now)
        case _ if rule.several:
            return ",".join([*rule.stands_for, *rule.allowed][:2])
    return next(each for each in rule.allowed if each.lower() != str(now).lower())


def _neighbour(rule: Parameter, now: Scalar) -> int | float:
    assert rule.min is not None, rule.name
    assert rule.max is not None, rule.name
    step = 0.25 if rule.kind is Kind.FLOAT else rule.step
    number = now if isinstance(now, float) else int(now)
    if rule.name == "autovacuum_work_mem":  # what is below a MiB is rounded up to that
        return 2048
    return number + step if number + step <= rule.max else number - step
