"""Numbers and items in the tables' own form say exactly what their wire form says."""

from __future__ import annotations

import operator
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from simulator.aws.dynamodb.shelf import Shelf
from simulator.aws.dynamodb.values import compared, decimal_of, number, same, wire_of

floats = st.floats(-1e15, 1e15).filter(lambda value: abs(value) > 1e-100).map(repr)
decimals = st.decimals(
    min_value=-(10**20), max_value=10**20, allow_nan=False, allow_infinity=False, places=12
).map(lambda value: format(value, "f"))
texts = st.one_of(floats, decimals, st.integers(-(10**37), 10**37).map(str))
BINARY = "1.00000095367431640625"
"""The exact value of the float whose short text is 1.0000009536743164."""


@given(texts)
def test_a_number_keeps_its_value(text: str) -> None:
    assert decimal_of(number(text)) == Decimal(text)
    assert Decimal(wire_of(number(text))["N"]) == Decimal(text)


@given(texts, texts)
@example("1.0000009536743164", BINARY)
@example("0.5", "0.50")
@example("5", "5.0")
def test_numbers_are_equal_and_ordered_as_their_decimals(left: str, right: str) -> None:
    one, two = number(left), number(right)
    assert same(one, two) is (Decimal(left) == Decimal(right))
    assert compared(operator.lt, one, two) is (Decimal(left) < Decimal(right))


@given(st.lists(st.tuples(st.integers(0, 3), st.dictionaries(st.sampled_from("abcd"), texts))))
def test_a_shelf_gives_back_what_was_put(puts: list[tuple[int, dict[str, str]]]) -> None:
    shelf, model = Shelf(), dict[int, dict[str, str]]()
    for key, item in puts:
        if item:
            shelf[key] = item
            model[key] = dict(item)
        else:
            assert shelf.pop(key, None) == model.pop(key, None)
        shelf.get(key, {})["changed"] = "outside"
    assert dict(shelf) == model
    assert [list(each) for each in shelf.values()] == [list(each) for each in model.values()]
    assert list(shelf) == list(model)
