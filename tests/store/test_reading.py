"""Rows are read as PynamoDB reads them, whatever they have and lack."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.attributes import (
    AttributeContainer,
    BooleanAttribute,
    JSONAttribute,
    MapAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.exceptions import AttributeDeserializationError

from chalicelib.store import reading
from chalicelib.store.base import as_dict
from chalicelib.store.models import TABLES, Instance, Operation

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=8)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["volume", "server_id", "a.b", "S", "self"])
VALUES: dict[type, st.SearchStrategy[Any]] = {
    BooleanAttribute: st.booleans(),
    JSONAttribute: DATA,
    NumberAttribute: NUMBERS,
    TTLAttribute: st.integers(0, 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    UnicodeAttribute: TEXTS,
    UnicodeSetAttribute: st.sets(TEXTS, min_size=1, max_size=3),
    reading.Entries: st.dictionaries(NAMES, st.booleans() | NUMBERS | TEXTS, max_size=3),
}


@st.composite
def rows(draw: st.DrawFn) -> tuple[Any, dict[str, dict[str, Any]]]:
    """A model and a row of it: what each attribute is sent as, as nothing, or not sent at all."""
    model = draw(st.sampled_from(TABLES))
    row: dict[str, dict[str, Any]] = {"of_another_release": {"S": "there"}}
    for attribute in model.get_attributes().values():
        match draw(st.sampled_from(["there", "absent", "nothing"])):
            case "there":
                value = draw(VALUES[type(attribute)])
                row[attribute.attr_name] = {attribute.attr_type: attribute.serialize(value)}
            case "nothing":
                row[attribute.attr_name] = {"NULL": True}
    return model, {name: wire for name, wire in row.items() if None not in wire.values()}


@given(rows())
def test_a_row_is_read_as_pynamodb_reads_it(drawn: tuple[Any, dict[str, dict[str, Any]]]) -> None:
    model, row = drawn
    expected = model()
    AttributeContainer._container_deserialize(expected, row)
    assert model.from_raw_data(row).attribute_values == expected.attribute_values
    again = model()
    again.deserialize(row)
    assert again.attribute_values == expected.attribute_values


@given(VALUES[reading.Entries])
def test_entries_are_sent_and_read_as_pynamodbs_map(value: dict[str, Any]) -> None:
    ours, theirs = reading.Entries(), MapAttribute[str, Any]()  # type: ignore[no-untyped-call]
    sent = ours.serialize(value)
    assert sent == theirs.serialize(value)
    assert ours.deserialize(sent) == value


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(AttributeDeserializationError):
        Instance.from_raw_data({"id": {"N": "1"}})


def test_each_row_has_defaults_of_its_own() -> None:
    one, other = (Operation.from_raw_data({"id": {"S": name}}) for name in ("one", "other"))
    one.notes["step"] = "said"
    assert as_dict(other.notes) == {}
    assert other.attempt == 0
