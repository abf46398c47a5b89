"""What a parameter of an engine is, and what it takes for a value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

Scalar: TypeAlias = bool | int | float | str
"""A value, as JSON has it."""
LONGEST_VALUE: Final = 1024
"""Bytes in UTF-8: engines read lines of some length, and what is quoted may be twice as long."""
MOST_VALUES: Final = 200
"""In one group; no engine has so many parameters here."""
SHOWN: Final = 1e-5
"""How exactly an engine tells a number: PostgreSQL in six digits."""
SEPARATOR: Final = ","

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")


class Kind(StrEnum):
    """The types of values, in Trove's words."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    FLOAT = "float"


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True, rename={"kind": "type"}):
    """One parameter. `min` and `max` are inclusive, and its value is a multiple of `step`.

    A string is one of `allowed` (or `several` of them, with commas between), or matches `pattern`;
    of one that is made of `letters`, the order says nothing. `stands_for`: the engine tells a word
    (`TRADITIONAL`) together with those that it means by it.
    `default` is the engine's own, `unit` what one of it is ("8kB", "ms").
    """

    name: str
    kind: Kind
    default: Scalar
    restart_required: bool = False
    min: int | float | None = None
    max: int | float | None = None
    step: int = 1
    allowed: tuple[str, ...] = ()
    several: bool = False
    pattern: str = ""
    stands_for: Mapping[str, tuple[str, ...]] = {}
    letters: bool = False
    unit: str = ""

    def same(self, one: Scalar, other: Scalar) -> bool:
        """Whether two values of it are the same to the engine."""
        if self.allowed:
            return self._meant(str(one)) == self._meant(str(other))
        if self.letters:
            return set(str(one)) == set(str(other))
        if self.kind is Kind.FLOAT:
            return math.isclose(float(one), float(other), rel_tol=SHOWN, abs_tol=1e-9)
        return one == other

    def _meant(self, text: str) -> frozenset[str]:
        """The words in a text, and those that they stand for."""
        words = _words(text)
        found = [
            SEPARATOR.join(self.stands_for[each])
            for each in self.stands_for
            if each.lower() in words
        ]
        return words.union(*map(_words, found))


def checked(
    known: Mapping[str, Parameter],
    version: str,
    values: Mapping[str, object],
    refusal: Callable[[str], Exception],
) -> dict[str, Scalar]:
    """The values by the names and in the types of the rules; the first that breaks one is raised.

    `version` names the datastore and its version in what is raised, whose words are Trove's where
    it has the same rule.
    """
    if not known:
        raise refusal(f"Configuration groups are not supported for this datastore: {version}")
    if len(values) > MOST_VALUES:
        raise refusal(f"A configuration has at most {MOST_VALUES} values.")
    found: dict[str, Scalar] = {}
    for given, value in values.items():
        rule = known.get(given.lower())
        if rule is None:
            raise refusal(
                f"The configuration parameter {_shown(given)} is not supported for this datastore: "
                f"{version}."
            )
        if rule.name in found:
            raise refusal(f"The configuration parameter {rule.name} is given twice.")
        found[rule.name] = _value(rule, value, refusal)
    return found


def _value(rule: Parameter, value: object, refusal: Callable[[str], Exception]) -> Scalar:
    wanted: Scalar
    match rule.kind, value:
        case Kind.BOOLEAN, bool():
            wanted = value
        case Kind.BOOLEAN, 0 | 1:
            wanted = bool(value)
        case Kind.INTEGER, int() if not isinstance(value, bool):
            wanted = _within(rule, value, refusal)
        case Kind.FLOAT, int() | float() if not isinstance(value, bool):
            wanted = _within(rule, value, refusal)
        case Kind.STRING, str():
            wanted = _text(rule, value, refusal)
        case _:
            raise refusal(
                f"The value provided for the configuration parameter {rule.name} is not of type "
                f"{rule.kind}."
            )
    return wanted


def _within(
    rule: Parameter, value: int | float, refusal: Callable[[str], Exception]
) -> int | float:
    start = f"The value for the configuration parameter {rule.name} is"
    if isinstance(value, float) and not math.isfinite(value):
        raise refusal(f"{start} no number.")
    if rule.min is not None and value < rule.min:
        raise refusal(f"{start} less than the minimum allowed: {rule.min}")
    if rule.max is not None and value > rule.max:
        raise refusal(f"{start} greater than the maximum allowed: {rule.max}")
    if rule.kind is Kind.FLOAT:
        return float(value)
    if value % rule.step:
        raise refusal(f"{start} not a multiple of {rule.step}")
    return value


def _text(rule: Parameter, value: str, refusal: Callable[[str], Exception]) -> str:
    start = f"The value for the configuration parameter {rule.name}"
    if _CONTROL.search(value):
        raise refusal(f"{start} has a control character in it.")
    if len(value.encode()) > LONGEST_VALUE:
        raise refusal(f"{start} has more than {LONGEST_VALUE} bytes.")
    if rule.allowed:
        return _chosen(rule, value, refusal)
    if rule.pattern and not re.fullmatch(rule.pattern, value):
        raise refusal(f"{start} does not have the form {rule.pattern}")
    return value


def _chosen(rule: Parameter, value: str, refusal: Callable[[str], Exception]) -> str:
    """The allowed words that are given, as the engine writes them."""
    spelled = {each.lower(): each for each in rule.allowed}
    given = value.split(SEPARATOR) if rule.several and value else [value]
    for word in given if value or not rule.several else ():
        if word.strip().lower() not in spelled:
            raise refusal(
                f"The value for the configuration parameter {rule.name} is not one of: "
                f"{', '.join(rule.allowed)}"
            )
    return SEPARATOR.join(spelled.get(each.strip().lower(), "") for each in given)


def _words(text: str) -> frozenset[str]:
    return frozenset(each.strip().lower() for each in text.split(SEPARATOR))


def _shown(name: str) -> str:
    return _CONTROL.sub("?", name)[:64]
