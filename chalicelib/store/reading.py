"""How a row becomes a model: what each attribute of a table is, is looked up once.

PynamoDB looks it up for each attribute of each row, in the row or not, and sets it through its
descriptor. A handler reads rows all the time, and most have few of the attributes that they may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

import msgspec
from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    JSONAttribute,
    MapAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.constants import NULL
from pynamodb.exceptions import AttributeDeserializationError
from pynamodb.models import MetaModel, Model

Wire = Mapping[str, Mapping[str, Any]]
"""Attributes as the service sends them: by name, a type and a value."""


class Entries(Attribute[dict[str, Any]]):
    """A map whose keys are data; what it holds is a plain dictionary.

    PynamoDB's own makes an object for each that is read, and for each default.
    """

    attr_type = "M"

    def serialize(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The values with their types."""
        return _RAW.serialize(value)  # type: ignore[no-any-return]

    def deserialize(self, value: Wire) -> dict[str, Any]:
        """The values without their types."""
        return _RAW.deserialize(value)  # type: ignore[no-untyped-call,no-any-return]


_NUMBER: Final = msgspec.json.Decoder(int | float)
_RAW: Final = MapAttribute[str, Any]()  # type: ignore[no-untyped-call]

_PLAIN: Final = frozenset({BooleanAttribute, UnicodeAttribute})
"""Those whose value is the one on the wire."""
_READ_BY_THEMSELVES: Final = frozenset({Entries, JSONAttribute, TTLAttribute, UnicodeSetAttribute})


class Column(NamedTuple):
    """An attribute: its name in Python, its type on the wire, and how that is read, if it is."""

    name: str
    kind: str
    read: Callable[[Any], Any] | None


class Columns(NamedTuple):
    """The attributes of a model by their names on the wire, and what a row has that lacks them."""

    by_name: dict[str, Column]
    constants: dict[str, Any]
    made: dict[str, Callable[[], Any]]


class ModelWithColumns(MetaModel):
    """The class of models that know their columns."""

    columns: Columns

    def __init__(self, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        self.columns = _columns_of(cast("type[Model]", self))


def _columns_of(model: type[Model]) -> Columns:
    found = Columns({}, {}, {})
    for name, attribute in model.get_attributes().items():
        column = Column(name, attribute.attr_type, _reader(attribute))
        found.by_name[attribute.attr_name] = column
        if callable(attribute.default):
            found.made[name] = attribute.default
        elif attribute.default is not None:
            found.constants[name] = attribute.default
    return found


def _reader(attribute: Attribute[Any]) -> Callable[[Any], Any] | None:
    kind = type(attribute)
    if kind in _PLAIN:
        return None
    if kind is NumberAttribute:
        return _NUMBER.decode
    assert kind in _READ_BY_THEMSELVES, f"nobody has looked at how {kind.__name__} is read"
    return attribute.deserialize


def read(columns: Columns, row: Wire) -> dict[str, Any]:
    """The values of a row; what the model does not know, as of another release, is left out."""
    values = columns.constants.copy()
    for name, make in columns.made.items():
        values[name] = make()
    for name, wire in row.items():
        column = columns.by_name.get(name)
        if column is None or NULL in wire:
            continue
        if column.kind not in wire:
            raise AttributeDeserializationError(name, column.kind)
        value = wire[column.kind]
        values[column.name] = value if column.read is None else column.read(value)
    return values
