"""The expression language: its text into a tree. No value and no item is known here.

condition   or ▸ and ▸ not ▸ comparison, BETWEEN, IN, function, ( … )
update      SET path = sum, …   REMOVE path, …   ADD path :v, …   DELETE path :v, …
projection  path, …
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar

from simulator.aws.dynamodb.values import Invalid

T = TypeVar("T")

_TOKEN: Final = re.compile(r"\s*(#\w+|:\w+|[A-Za-z_][\w-]*|<=|>=|<>|\d+|[=<>(),.\[\]+-])")
COMPARISONS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})
MOST_CHOICES: Final = 100
END: Final = "<EOF>"
RESERVED: Final = frozenset(
    pathlib.Path(__file__).with_name("reserved-words.txt").read_text(encoding="utf-8").split()
)
"""In no expression may they name an attribute, in small letters or capitals; a `#name` stands for
one (Amazon DynamoDB Developer Guide, "Reserved words in DynamoDB")."""


class Path(NamedTuple):
    """A document path: the names of maps' members and the places in lists."""

    steps: tuple[str | int, ...]


class Value(NamedTuple):
    """A placeholder of a value, with its colon."""

    name: str


class Function(NamedTuple):
    """A call: attribute_exists, begins_with, size, if_not_exists …"""

    name: str
    arguments: tuple[Any, ...]


class Comparison(NamedTuple):
    """Two operands and the operator between them."""

    operator: str
    left: Any
    right: Any


class Between(NamedTuple):
    """An operand and its bounds, which belong to the range."""

    operand: Any
    low: Any
    high: Any


class In(NamedTuple):
    """An operand and what it may be equal to."""

    operand: Any
    choices: tuple[Any, ...]


class Logic(NamedTuple):
    """AND, OR, NOT over conditions."""

    operator: str
    parts: tuple[Any, ...]


class Sum(NamedTuple):
    """A sum or difference on the right of SET."""

    operator: str
    left: Any
    right: Any


class Action(NamedTuple):
    """One action of an update; REMOVE has no operand."""

    clause: str
    path: Path
    operand: Any


FUNCTIONS: Final = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}


class Parser:
    """One expression; what it used of the names and values is in `used`."""

    def __init__(self, kind: str, text: str, names: Mapping[str, str], used: dict[str, None]):
        self._kind = kind
        self._names = names
        self.used = used
        self._tokens = self._split(text)
        self._place = 0

    def _split(self, text: str) -> list[str]:
        if not text.strip():
            raise self._wrong("The expression can not be empty;")
        found, place, end = [], 0, len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._wrong(f'Syntax error; token: "{text[place:].strip()[:1]}"')
            found.append(match[1])
            place = match.end()
        return found

    def _wrong(self, what: str) -> Invalid:
        return Invalid(f"Invalid {self._kind}: {what}")

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else END

    def _word(self) -> str:
        return self._peek().upper()

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if token == END or (expected is not None and token.upper() != expected):
            raise self._wrong(f'Syntax error; token: "{token}"')
        self._place += 1
        return token

    def _end(self, found: T) -> T:
        if self._place != len(self._tokens):
            raise self._wrong(f'Syntax error; token: "{self._peek()}"')
        return found

    def _separated(self, part: Callable[[], T]) -> list[T]:
        parts = [part()]
        while self._peek() == ",":
            self._take()
            parts.append(part())
        return parts

    # -------------------------------------------------------------------------- operands

    def _path(self) -> Path:
        steps: list[str | int] = [self._name(self._take())]
        while self._peek() in (".", "["):
            if self._take() == ".":
                steps.append(self._name(self._take()))
            else:
                index = self._take()
                if not index.isdecimal():
                    raise self._wrong(f'Syntax error; token: "{index}"')
                steps.append(int(index))
                self._take("]")
        return Path(tuple(steps))

    def _name(self, token: str) -> str:
        if token.startswith("#"):
            if token not in self._names:
                raise self._wrong(
                    "An expression attribute name used in the document path is not defined; "
                    f"attribute name: {token}"
                )
            self.used[token] = None
            return self._names[token]
        if not (token[0].isalpha() or token[0] == "_"):
            raise self._wrong(f'Syntax error; token: "{token}"')
        if token.upper() in RESERVED:
            raise self._wrong(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token

    def _value(self) -> Value:
        token = self._take()
        if not token.startswith(":"):
            raise self._wrong(f'Syntax error; token: "{token}"')
        self.used[token] = None
        return Value(token)

    def _operand(self, functions: Mapping[str, int]) -> Any:
        token = self._peek()
        if token.startswith(":"):
            return self._value()
        if self._following() == "(" and not token.startswith("#"):
            return self._call(functions)
        return self._path()

    def _following(self) -> str:
        place = self._place + 1
        return self._tokens[place] if place < len(self._tokens) else END

    def _call(self, functions: Mapping[str, int]) -> Function:
        name = self._take()
        if name not in functions:
            raise self._wrong(f"Invalid function name; function: {name}")
        self._take("(")
        arguments = self._separated(lambda: self._operand(functions))
        self._take(")")
        if len(arguments) != functions[name]:
            raise self._wrong(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {name}, number of operands: {len(arguments)}"
            )
        return Function(name, tuple(arguments))

    # ------------------------------------------------------------------------ conditions

    def condition(self) -> Any:
        """The tree of a condition, filter or key condition."""
        return self._end(self._or())

    def _or(self) -> Any:
        return self._chain("OR", self._and)

    def _and(self) -> Any:
        return self._chain("AND", self._not)

    def _chain(self, operator: str, part: Callable[[], Any]) -> Any:
        parts = [part()]
        while self._word() == operator:
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Logic(operator, tuple(parts))

    def _not(self) -> Any:
        if self._word() == "NOT":
            self._take()
            return Logic("NOT", (self._not(),))
        if self._peek() == "(":
            return self._parentheses()
        token = self._peek()
        if self._following() == "(" and token in FUNCTIONS:
            return self._call({**FUNCTIONS, "size": 1})
        return self._comparison()

    def _parentheses(self) -> Any:
        self._take("(")
        inner = self._place
        found = self._or()
        last = self._place
        self._take(")")
        if self._tokens[inner] == "(" and self._closing(inner) == last - 1:
            raise self._wrong("The expression has redundant parentheses;")
        return found

    def _closing(self, opening: int) -> int:
        depth = 0
        for place in range(opening, len(self._tokens)):
            depth += {"(": 1, ")": -1}.get(self._tokens[place], 0)
            if depth == 0:
                return place
        return -1

    def _comparison(self) -> Any:
        left = self._operand({"size": 1})
        word = self._word()
        if word == "BETWEEN":
            self._take()
            low = self._operand({"size": 1})
            self._take("AND")
            return Between(left, low, self._operand({"size": 1}))
        if word == "IN":
            return self._in(left)
        if word not in COMPARISONS:
            raise self._wrong(f'Syntax error; token: "{self._peek()}"')
        operator = self._take()
        right = self._operand({"size": 1})
        if left == right:
            raise self._wrong(
                "The first operand must be distinct from the remaining operands for this "
                f"operator or function; operator: {operator}"
            )
        return Comparison(operator, left, right)

    def _in(self, left: Any) -> In:
        self._take("IN")
        self._take("(")
        choices = self._separated(lambda: self._operand({"size": 1}))
        self._take(")")
        if len(choices) > MOST_CHOICES:
            raise self._wrong(f"The IN operator takes at most {MOST_CHOICES} operands")
        return In(left, tuple(choices))

    # -------------------------------------------------------------- updates, projections

    def update(self) -> list[Action]:
        """The actions of an update, in the order of their text."""
        actions: list[Action] = []
        seen: set[str] = set()
        while self._place < len(self._tokens):
            clause = self._take().upper()
            if clause not in ("SET", "REMOVE", "ADD", "DELETE"):
                raise self._wrong(f'Syntax error; token: "{clause}"')
            if clause in seen:
                raise self._wrong(f'The "{clause}" section can only be used once')
            seen.add(clause)
            actions += self._separated(lambda clause=clause: self._action(clause))  # type: ignore[misc]
        paths = [action.path for action in actions]
        self._no_overlap(paths)
        return actions

    def _action(self, clause: str) -> Action:
        path = self._path()
        if clause == "REMOVE":
            return Action(clause, path, None)
        if clause == "SET":
            self._take("=")
            return Action(clause, path, self._sum())
        return Action(clause, path, self._value())

    def _sum(self) -> Any:
        functions = {"if_not_exists": 2, "list_append": 2}
        left = self._operand(functions)
        if self._peek() not in ("+", "-"):
            return left
        return Sum(self._take(), left, self._operand(functions))

    def projection(self) -> list[Path]:
        """The paths of a projection."""
        paths = self._end(self._separated(self._path))
        self._no_overlap(paths)
        return paths

    def _no_overlap(self, paths: list[Path]) -> None:
        ordered = sorted(paths, key=lambda path: [(type(step) is int, step) for step in path.steps])
        for one, two in pairwise(ordered):
            if two.steps[: len(one.steps)] == one.steps:
                raise self._wrong(
                    "Two document paths overlap with each other; must remove or rewrite one of "
                    f"these paths; path one: {shown(one)}, path two: {shown(two)}"
                )


def shown(path: Path) -> str:
    """A path as DynamoDB writes it in a message."""
    return "[" + ", ".join(f"[{s}]" if isinstance(s, int) else s for s in path.steps) + "]"
