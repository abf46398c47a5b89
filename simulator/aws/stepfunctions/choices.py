"""The rules of Choice states: comparators, and And, Or and Not over them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from simulator.aws.stepfunctions.faults import RUNTIME, DefinitionError, StateError
from simulator.aws.stepfunctions.paths import Context, MissingPath, Path

Rule = Callable[[Any, Context], bool]

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def timestamp(value: Any) -> datetime | None:
    """The time that an RFC 3339 text with `T` and a zone tells, else None."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_KINDS: Final[dict[str, Callable[[Any], Any]]] = {
    "String": _string,
    "Numeric": _number,
    "Timestamp": timestamp,
}
_TESTS: Final[dict[str, Callable[[Any], bool]]] = {
    "IsNull": lambda value: value is None,
    "IsString": lambda value: isinstance(value, str),
    "IsNumeric": lambda value: _number(value) is not None,
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: timestamp(value) is not None,
}


def rule(written: Any, ignored: tuple[str, ...] = ()) -> Rule:
    """Compile a rule; `ignored` are the fields that only a top-level one has."""
    if not isinstance(written, dict):
        raise DefinitionError(f"a choice rule must be an object, not {written!r}")
    fields = {name: value for name, value in written.items() if name not in ignored}
    if "Variable" in fields:
        path = Path(fields.pop("Variable"))
        if len(fields) != 1:
            raise DefinitionError(f"a choice rule needs one comparator, not {sorted(fields)}")
        return _comparison(path, *fields.popitem())
    if len(fields) != 1:
        raise DefinitionError(f"a choice rule needs one of And, Or, Not, not {sorted(fields)}")
    name, value = fields.popitem()
    if name == "Not":
        inner = rule(value)
        return lambda document, context: not inner(document, context)
    if name not in ("And", "Or") or not isinstance(value, list) or not value:
        raise DefinitionError(f"a choice rule with {name!r} is not supported")
    rules = [rule(each) for each in value]
    combine = all if name == "And" else any
    return lambda document, context: combine(each(document, context) for each in rules)


def _comparison(path: Path, name: str, against: Any) -> Rule:
    if name == "IsPresent" or name in _TESTS:
        return _test(path, name, against)
    if name == "StringMatches":
        return _matching(path, against)
    plain = name.removesuffix("Path")
    for kind, convert in {**_KINDS, "Boolean": _boolean}.items():
        compare = _ORDERS.get(plain.removeprefix(kind)) if plain.startswith(kind) else None
        if compare is not None and (kind != "Boolean" or plain == "BooleanEquals"):
            if plain != name:
                return _ordered(path, convert, compare, Path(against))
            if convert(against) is None:
                raise DefinitionError(f"{name} can't compare with {against!r}")
            return _ordered(path, convert, compare, against)
    raise DefinitionError(f"the comparator {name!r} is not known")


def _value(path: Path, document: Any, context: Context) -> Any:
    try:
        return path.get(document, context)
    except MissingPath:
        raise StateError(
            RUNTIME,
            f"Invalid path '{path.text}': The choice state's condition path references "
            "an invalid value.",
        ) from None


def _ordered(
    path: Path, convert: Callable[[Any], Any], compare: Callable[[Any, Any], bool], against: Any
) -> Rule:
    constant = None if isinstance(against, Path) else convert(against)

    def holds(document: Any, context: Context) -> bool:
        left = convert(_value(path, document, context))
        right = constant
        if isinstance(against, Path):
            right = convert(_value(against, document, context))
        return left is not None and right is not None and compare(left, right)

    return holds


def _test(path: Path, name: str, wanted: Any) -> Rule:
    if not isinstance(wanted, bool):
        raise DefinitionError(f"{name} must be true or false, not {wanted!r}")
    if name != "IsPresent":
        test = _TESTS[name]
        return lambda document, context: test(_value(path, document, context)) is wanted

    def present(document: Any, context: Context) -> bool:
        try:
            path.get(document, context)
        except MissingPath:
            return not wanted
        return wanted

    return present


def _matching(path: Path, pattern: Any) -> Rule:
    if not isinstance(pattern, str):
        raise DefinitionError(f"StringMatches needs a text, not {pattern!r}")
    expression = re.compile(_wildcards(pattern), re.DOTALL)

    def holds(document: Any, context: Context) -> bool:
        value = _value(path, document, context)
        return isinstance(value, str) and expression.fullmatch(value) is not None

    return holds


def _wildcards(pattern: str) -> str:
    r"""A regular expression: `*` is any text, `\*` a star, `\\` a backslash."""
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", pattern)
    return "".join(
        ".*" if part == "*" else re.escape(part[1:] if part in ("\\*", "\\\\") else part)
        for part in parts
    )
