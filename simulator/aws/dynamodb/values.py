"""Attribute values: the wire's `{"S": …}` and the plain values that the tables keep.

    S str   B bytes   BOOL bool   NULL None   SS NS BS ValueSet
    N int; with a fraction float, or Decimal where a float would not give the same text
    L tuple   M dict (never changed in place)

A plain item takes a third of the memory of its wire form and is compared without unpacking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, InvalidOperation
from sys import intern
from typing import Any, Final, NamedTuple

Item = dict[str, Any]
Wire = Mapping[str, Any]
Number = int | float | Decimal

MOST_ITEM_BYTES: Final = 400 * 1024
MOST_NESTING: Final = 32
MOST_DIGITS: Final = 38
SHORT: Final = 24
"""Texts up to this length are kept once (statuses, names of things)."""

_NUMBERS: Final = Context(prec=MOST_DIGITS)
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 125, -130


class Invalid(Exception):
    """A ValidationException."""


class Missing:
    """The value of a path that leads nowhere."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = Missing()


class ValueSet(NamedTuple):
    """A set of texts, numbers or bytes; `kind` is SS, NS or BS."""

    kind: str
    members: frozenset[Any]


def plain(wire: Wire, depth: int = 0) -> Any:
    """The value behind its wire form; `Invalid` when it is not one."""
    if len(wire) != 1:
        raise Invalid(
            "Supplied AttributeValue is empty or has more than one datatype set, "
            "must contain exactly one of the supported datatypes"
        )
    ((kind, content),) = wire.items()
    if kind == "S":
        text = content if type(content) is str else str.__str__(content)  # an enum's member
        return intern(text) if len(text) <= SHORT else text
    if kind == "N":
        return number(content)
    return _other(kind, content, depth)


def _other(kind: str, content: Any, depth: int) -> Any:
    if kind == "BOOL":
        return bool(content)
    if kind == "NULL":
        return None
    if kind == "B":
        return bytes(content)
    if depth > MOST_NESTING:
        raise Invalid("Nesting Levels have exceeded supported limits")
    if kind == "M":
        return {intern(name): plain(each, depth + 1) for name, each in content.items()}
    if kind == "L":
        return tuple(plain(each, depth + 1) for each in content)
    if kind in _MEMBERS:
        return _set_of(kind, content)
    raise Invalid(f"Supplied AttributeValue has an unknown datatype {kind}")


def _set_of(kind: str, content: Any) -> ValueSet:
    members = frozenset(number(each) if kind == "NS" else each for each in content)
    if not members:
        raise Invalid(
            f"One or more parameter values were invalid: An {_MEMBERS[kind]} set  may not be empty"
        )
    if len(members) != len(content):
        raise Invalid(
            "One or more parameter values were invalid: Input collection contains duplicates."
        )
    return ValueSet(kind, members)


_MEMBERS: Final = {"SS": "string", "NS": "number", "BS": "binary"}


def number(text: str) -> Number:
    """A number as DynamoDB keeps it: 38 digits, no zeros that say nothing."""
    if text.isdecimal() and len(text) <= MOST_DIGITS:
        return int(text)
    try:
        short = float(text)
        if repr(short) == text and "e" not in text and "n" not in text:
            return int(short) if short.is_integer() else short
        value = Decimal(text)
    except (InvalidOperation, ValueError):
        value = Decimal("NaN")
    if not value.is_finite():
        raise Invalid(f"The parameter cannot be converted to a numeric value: {text}")
    return kept(value)


def kept(value: Decimal | int) -> Number:
    """A number within DynamoDB's range, an int when it is whole."""
    exact = Decimal(value).normalize(Context(prec=1000))
    if exact:
        if exact.adjusted() > _LARGEST_EXPONENT:
            raise Invalid(
                "Number overflow. Attempting to store a number with magnitude larger than "
                "supported range"
            )
        if exact.adjusted() < _SMALLEST_EXPONENT:
            raise Invalid(
                "Number underflow. Attempting to store a number with magnitude smaller than "
                "supported range"
            )
        if len(exact.as_tuple().digits) > MOST_DIGITS:
            raise Invalid("Attempting to store more than 38 significant digits in a Number")
    if exact == exact.to_integral_value():
        return int(exact)
    short = float(exact)
    return short if repr(short) == str(exact) else exact


def decimal_of(value: Number) -> Decimal:
    """The exact decimal that a number stands for."""
    return Decimal(repr(value)) if type(value) is float else Decimal(value)


def added(left: Any, right: Any, sign: int = 1) -> Number:
    """A sum or a difference of two numbers; `Invalid` for other values."""
    if type(left) not in _NUMERIC or type(right) not in _NUMERIC:
        raise Invalid("An operand in the update expression has an incorrect data type")
    if type(left) is int and type(right) is int:
        total = left + sign * right
        return total if -(10**MOST_DIGITS) < total < 10**MOST_DIGITS else kept(total)
    return kept(_NUMBERS.add(decimal_of(left), sign * decimal_of(right)))


_NUMERIC: Final = (int, float, Decimal)


def wire_of(value: Any) -> dict[str, Any]:
    """The wire form of a plain value."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int:
        return {"N": str(value)}
    if kind is float:
        return {"N": repr(value)}
    if kind is Decimal:
        return {"N": format(value, "f")}
    if kind is bool:
        return {"BOOL": value}
    if kind is dict:
        return {"M": {name: wire_of(each) for name, each in value.items()}}
    if kind is tuple:
        return {"L": [wire_of(each) for each in value]}
    if value is None:
        return {"NULL": True}
    if kind is bytes:
        return {"B": value}
    members = sorted(value.members)  # never in the order of hashes
    if value.kind == "NS":
        members = [format(decimal_of(each), "f") for each in members]
    return {value.kind: members}


def plain_item(wire: Wire) -> Item:
    """An item from its wire form."""
    return {intern(name): plain(value) for name, value in wire.items()}


def wire_item(item: Item) -> dict[str, Any]:
    """The wire form of an item."""
    return {
        name: {"S": value} if type(value) is str else wire_of(value) for name, value in item.items()
    }


def kind_of(value: Any) -> str:
    """The datatype of a value: S, N, …"""
    return value.kind if type(value) is ValueSet else _KINDS[type(value)]


_KINDS: Final[dict[type, str]] = {
    str: "S",
    int: "N",
    float: "N",
    Decimal: "N",
    bytes: "B",
    bool: "BOOL",
    type(None): "NULL",
    tuple: "L",
    dict: "M",
}


def same(left: Any, right: Any) -> bool:
    """Equality of two values: of one datatype and equal throughout."""
    kind = type(left)
    if kind is not type(right):
        # A number has one form here: two forms are two numbers.
        return False
    if kind is dict:
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if kind is tuple:
        return len(left) == len(right) and all(map(same, left, right))
    return left is not MISSING and bool(left == right)


_ORDERED: Final[dict[type, str]] = {str: "S", int: "N", float: "N", Decimal: "N", bytes: "B"}


def comparable(left: Any, right: Any) -> bool:
    """Whether two values have an order: both texts, both numbers, or both bytes."""
    kind = _ORDERED.get(type(left))
    return kind is not None and kind == _ORDERED.get(type(right))


def compared(order: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """Whether an order holds between two comparable values."""
    if type(left) is not type(right) and Decimal in (type(left), type(right)):
        left, right = decimal_of(left), decimal_of(right)
    return order(left, right)


def size_of(value: Any) -> int:
    """The bytes that DynamoDB counts for a value; of a number it tells them only about."""
    kind = type(value)
    if kind is int:
        return 2 + int(value).bit_length() * 10 // 66
    if kind is float or kind is Decimal:
        return 1 + len(str(value)) // 2
    if kind is str:
        text = str(value)
        return len(text) if text.isascii() else len(text.encode())
    if kind is bytes:
        return len(bytes(value))
    if kind is dict:
        return 3 + sum(1 + len(name.encode()) + size_of(each) for name, each in value.items())
    if kind is tuple:
        return 3 + sum(1 + size_of(each) for each in value)
    if kind is ValueSet:
        return sum(map(size_of, value.members))
    return 1


def item_size(item: Item) -> int:
    """The bytes that DynamoDB counts for an item, its names among them."""
    total = 0
    for name, value in item.items():
        kind = type(value)
        if kind is str and value.isascii():
            total += len(name) + len(value)
        elif kind is int:
            total += len(name) + 2 + value.bit_length() * 10 // 66
        else:
            total += len(name) + size_of(value)
    return total
