"""Update expressions as functions: each action reads the item as it was and changes the new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from simulator.aws.dynamodb.conditions import Operand, Values, child, reader
from simulator.aws.dynamodb.parser import Action, Function, Path, Sum, Value
from simulator.aws.dynamodb.values import MISSING, Invalid, Item, ValueSet, added, kind_of

Change = Callable[[Item, Item, Values], None]
"""Old item, new item (a shallow copy), placeholders."""

Projection = Callable[[Item], Item]

_BAD_PATH: Final = "The document path provided in the update expression is invalid for update"
_NO_ATTRIBUTE: Final = (
    "The provided expression refers to an attribute that does not exist in the item"
)
_BAD_OPERAND: Final = "An operand in the update expression has an incorrect data type"


def compiled(actions: list[Action]) -> list[Change]:
    """The functions of an update's actions, in the order in which they are applied.

    Lists are appended to by growing index and shortened from their end, so that each index means
    a place in the list as it was.
    """
    sets = [action for action in actions if action.clause != "REMOVE"]
    removes = [action for action in actions if action.clause == "REMOVE"]
    removes.sort(key=lambda action: _places(action.path), reverse=True)
    sets.sort(key=lambda action: _places(action.path))
    return [_change(action) for action in (*sets, *removes)]


def _places(path: Path) -> list[int]:
    return [step for step in path.steps if isinstance(step, int)]


def _change(action: Action) -> Change:
    path = action.path
    if action.clause == "REMOVE":
        return _remove(path)
    if action.clause == "SET":
        compute = _right_side(action.operand)
    else:
        compute = _collect(action.clause, path, action.operand)
    if len(path.steps) == 1:
        name: Any = path.steps[0]

        def set_attribute(old: Item, new: Item, values: Values) -> None:
            value = compute(old, values)
            if value is MISSING:
                new.pop(name, None)
            else:
                new[name] = value

        return set_attribute

    def set_inside(old: Item, new: Item, values: Values) -> None:
        value = compute(old, values)
        if value is MISSING:
            _replace(new, path.steps, MISSING)
        else:
            _replace(new, path.steps, value)

    return set_inside


def _remove(path: Path) -> Change:
    if len(path.steps) == 1:
        name: Any = path.steps[0]
        return lambda old, new, values: new.pop(name, None)

    def remove(old: Item, new: Item, values: Values) -> None:
        _replace(new, path.steps, MISSING)

    return remove


def _replace(new: Item, steps: tuple[Any, ...], value: Any) -> None:
    """Put a value at a path (MISSING takes it away), copying the containers on the way."""
    parent = new.get(steps[0], MISSING)
    new[steps[0]] = _replaced(parent, steps[1:], value)


def _replaced(node: Any, steps: tuple[Any, ...], value: Any) -> Any:
    step = steps[0]
    if type(node) is not (dict if type(step) is str else tuple):
        raise Invalid(_BAD_PATH)
    if len(steps) > 1:
        value = _replaced(child(node, step), steps[1:], value)
    if type(node) is dict:
        copied = dict(node)
        if value is MISSING:
            copied.pop(step, None)
        else:
            copied[step] = value
        return copied
    items = list(node)
    if value is MISSING:
        del items[step : step + 1]
    elif step < len(items):
        items[step] = value
    else:
        items.append(value)
    return tuple(items)


def _right_side(node: Any) -> Operand:
    if type(node) is not Sum:
        return _operand(node)
    left, right = _operand(node.left), _operand(node.right)
    sign = 1 if node.operator == "+" else -1
    return lambda old, values: added(left(old, values), right(old, values), sign)


def _operand(node: Any) -> Operand:
    if type(node) is Value:
        name = node.name
        return lambda old, values: values[name]
    if type(node) is Path:
        read = reader(node)

        def existing(old: Item, values: Values) -> Any:
            value = read(old, values)
            if value is MISSING:
                raise Invalid(_NO_ATTRIBUTE)
            return value

        return existing
    assert type(node) is Function
    return _if_not_exists(node) if node.name == "if_not_exists" else _list_append(node)


def _if_not_exists(node: Function) -> Operand:
    path, otherwise = node.arguments
    if type(path) is not Path:
        raise Invalid(
            "Invalid UpdateExpression: Operator or function requires a document path; "
            "operator or function: if_not_exists"
        )
    read, default = reader(path), _operand(otherwise)

    def first(old: Item, values: Values) -> Any:
        value = read(old, values)
        return default(old, values) if value is MISSING else value

    return first


def _list_append(node: Function) -> Operand:
    left, right = map(_operand, node.arguments)

    def joined(old: Item, values: Values) -> Any:
        one, two = left(old, values), right(old, values)
        if type(one) is not tuple or type(two) is not tuple:
            raise Invalid(_BAD_OPERAND)
        return one + two

    return joined


def _collect(clause: str, path: Path, operand: Value) -> Operand:
    """ADD (numbers and sets) and DELETE (sets)."""
    read, name = reader(path), operand.name

    def collected(old: Item, values: Values) -> Any:
        before, change = read(old, values), values[name]
        if clause == "ADD" and kind_of(change) == "N":
            return change if before is MISSING else added(before, change)
        if type(change) is not ValueSet:
            raise Invalid(
                "Invalid UpdateExpression: Incorrect operand type for operator or function; "
                f"operator: {clause}"
            )
        if before is MISSING:
            return change if clause == "ADD" else MISSING
        if type(before) is not ValueSet or before.kind != change.kind:
            raise Invalid(_BAD_OPERAND)
        members = (
            before.members | change.members if clause == "ADD" else before.members - change.members
        )
        return ValueSet(before.kind, members) if members else MISSING

    return collected


def projection(paths: Sequence[Path]) -> Projection:
    """The function that takes from an item what paths lead to, in their containers."""
    if all(len(path.steps) == 1 for path in paths):
        names = [path.steps[0] for path in paths]
        return lambda item: {name: item[name] for name in names if name in item}
    return lambda item: _projected(item, paths)


def _projected(item: Item, paths: Sequence[Path]) -> Item:
    found: dict[Any, Any] = {}
    for path in paths:
        value: Any = item
        for step in path.steps:
            value = child(value, step)
        if value is MISSING:
            continue
        node = found
        for step in path.steps[:-1]:
            node = node.setdefault(step, {})
        node[path.steps[-1]] = _Leaf(value)
    return {name: _assembled(each) for name, each in found.items()}


class _Leaf:
    """A found value, as opposed to a container under construction."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _assembled(node: Any) -> Any:
    if type(node) is _Leaf:
        return node.value
    if all(type(step) is int for step in node):
        return tuple(_assembled(node[step]) for step in sorted(node))
    return {step: _assembled(each) for step, each in node.items()}
