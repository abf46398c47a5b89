"""Conditions as functions of an item and the placeholders' values."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from simulator.aws.dynamodb.parser import (
    Between,
    Comparison,
    Function,
    In,
    Logic,
    Path,
    Value,
)
from simulator.aws.dynamodb.values import (
    MISSING,
    Invalid,
    Item,
    ValueSet,
    comparable,
    compared,
    kind_of,
    same,
    size_of,
)

Values = Mapping[str, Any]
Operand = Callable[[Item, Values], Any]
Condition = Callable[[Item, Values], bool]

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_KINDS: Final = frozenset({"S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"})


def compiled(tree: Any) -> Condition:
    """The function of a condition's tree."""
    match tree:
        case Logic("NOT", (part,)):
            inner = compiled(part)
            return lambda item, values: not inner(item, values)
        case Logic("AND", parts):
            clauses = [compiled(part) for part in parts]
            return _all(clauses)
        case Logic(_, parts):
            clauses = [compiled(part) for part in parts]
            return lambda item, values: any(clause(item, values) for clause in clauses)
        case Comparison(operator, left, right):
            return _comparison(operator, operand(left), operand(right))
        case Between(inner, low, high):
            return _between(operand(inner), operand(low), operand(high))
        case In(inner, choices):
            return _in(operand(inner), [operand(choice) for choice in choices])
        case Function(name, arguments):
            return _function(name, arguments)
    raise AssertionError(f"not a condition: {tree}")


def _all(clauses: list[Condition]) -> Condition:
    def every(item: Item, values: Values) -> bool:
        for clause in clauses:  # noqa: SIM110 - half the time of a generator
            if not clause(item, values):
                return False
        return True

    return every


def operand(node: Any) -> Operand:
    """The function that reads an operand; MISSING where a path leads nowhere."""
    if type(node) is Value:
        name = node.name
        return lambda item, values: values[name]
    if type(node) is Path:
        return reader(node)
    assert node.name == "size", "the parser admits no other function as an operand"
    inner = operand(node.arguments[0])
    return lambda item, values: _size(inner(item, values))


def reader(path: Path) -> Operand:
    """The function that follows a path."""
    if len(path.steps) == 1:
        name: Any = path.steps[0]
        return lambda item, values: item.get(name, MISSING)
    steps = path.steps

    def follow(item: Item, values: Values) -> Any:
        node: Any = item
        for step in steps:
            node = child(node, step)
        return node

    return follow


def child(node: Any, step: str | int) -> Any:
    """What a step of a path leads to."""
    if type(step) is str:
        return node.get(step, MISSING) if type(node) is dict else MISSING
    assert isinstance(step, int)
    return node[step] if type(node) is tuple and step < len(node) else MISSING


def _comparison(operator: str, left: Operand, right: Operand) -> Condition:
    if operator == "=":
        return lambda item, values: same(left(item, values), right(item, values))
    if operator == "<>":
        return lambda item, values: not same(left(item, values), right(item, values))
    order = _ORDERS[operator]

    def ordered(item: Item, values: Values) -> bool:
        one, two = left(item, values), right(item, values)
        return comparable(one, two) and compared(order, one, two)

    return ordered


def _between(inner: Operand, low: Operand, high: Operand) -> Condition:
    def between(item: Item, values: Values) -> bool:
        value, least, most = inner(item, values), low(item, values), high(item, values)
        return (
            comparable(value, least)
            and comparable(value, most)
            and compared(operators.le, least, value)
            and compared(operators.le, value, most)
        )

    return between


def _in(inner: Operand, choices: list[Operand]) -> Condition:
    def among(item: Item, values: Values) -> bool:
        value = inner(item, values)
        return any(same(value, choice(item, values)) for choice in choices)

    return among


def _function(name: str, arguments: tuple[Any, ...]) -> Condition:
    first = operand(arguments[0])
    if name in ("attribute_exists", "attribute_not_exists"):
        if type(arguments[0]) is not Path:
            raise Invalid(
                f"Operator or function requires a document path; operator or function: {name}"
            )
        wanted = name == "attribute_exists"
        return lambda item, values: (first(item, values) is not MISSING) is wanted
    second = operand(arguments[1])
    decide = {"begins_with": _begins, "contains": _contains, "attribute_type": _has_type}[name]
    return lambda item, values: decide(first(item, values), second(item, values))


def _begins(value: Any, prefix: Any) -> bool:
    return type(value) is type(prefix) and type(value) in (str, bytes) and value.startswith(prefix)


def _contains(value: Any, part: Any) -> bool:
    if type(value) in (str, bytes):
        return type(part) is type(value) and part in value
    if type(value) is ValueSet:
        return (
            type(part) is not ValueSet
            and value.kind[0] == kind_of(part)
            and (part in value.members)
        )
    return type(value) is tuple and any(same(each, part) for each in value)


def _has_type(value: Any, kind: Any) -> bool:
    if kind not in _KINDS:
        raise Invalid(
            f"Invalid attribute type name found; valid types: {{{','.join(sorted(_KINDS))}}}"
        )
    return value is not MISSING and kind_of(value) == kind


def _size(value: Any) -> Any:
    if type(value) in (str, bytes):
        return size_of(value)
    if type(value) in (tuple, dict):
        return len(value)
    return len(value.members) if type(value) is ValueSet else MISSING


class Demand(NamedTuple):
    """The datatypes that an operator takes; checked before any item is read."""

    operator: str
    place: str
    kinds: tuple[str, ...]

    def check(self, values: Values) -> None:
        """Refuse a placeholder of another datatype."""
        kind = kind_of(values[self.place])
        if kind not in self.kinds:
            raise Invalid(
                "Incorrect operand type for operator or function; operator or function: "
                f"{self.operator}, operand type: {kind}"
            )


class Bounds(NamedTuple):
    """The placeholders of a BETWEEN."""

    low: str
    high: str

    def check(self, values: Values) -> None:
        """Refuse bounds that nothing can be between."""
        low, high = values[self.low], values[self.high]
        if not comparable(low, high):
            raise Invalid("The BETWEEN operator requires same data type for lower and upper bounds")
        if compared(operators.gt, low, high):
            raise Invalid(
                "The BETWEEN operator requires upper bound to be greater than or equal to lower "
                "bound"
            )


def demands(tree: Any) -> Iterator[Demand | Bounds]:
    """What a condition demands of its placeholders."""
    match tree:
        case Logic(_, parts):
            for part in parts:
                yield from demands(part)
        case Comparison(operator, left, right) if operator in _ORDERS:
            yield from _of_values(operator, (left, right), ("S", "N", "B"))
        case Between(inner, low, high):
            yield from _of_values("BETWEEN", (inner, low, high), ("S", "N", "B"))
            if type(low) is Value and type(high) is Value:
                yield Bounds(low.name, high.name)
        case Function("begins_with", arguments):
            yield from _of_values("begins_with", arguments, ("S", "B"))


def _of_values(operator: str, nodes: tuple[Any, ...], kinds: tuple[str, ...]) -> Iterator[Demand]:
    for node in nodes:
        if type(node) is Value:
            yield Demand(operator, node.name, kinds)
