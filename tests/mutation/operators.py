"""The operators: every small change of a module, each one replacement of a stretch of its source.

Left alone is what nobody promises: texts, logging, types, assertions, frozen values. Changes that
are equivalent by construction are not made: a moment that counts or not, None instead of False.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_SPELLED: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
REVERSED: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
}
"""Of moments, which are not compared with `<=` for `<`: that differs in a single instant."""
CLOCKS: Final = frozenset({"now", "clock", "monotonic"})
ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.Mod: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.Pow: "*",
}
WEAK: Final = (ast.NamedExpr, ast.BoolOp, ast.IfExp, ast.Lambda, ast.Compare)
"""Expressions that stand in parentheses beside a comparison."""
LOGGERS: Final = frozenset({"log", "logging"})
OF_NO_EFFECT: Final = frozenset({"frozen", "kw_only"})
"""Of a class: the type checker sees to them."""


class Mutation(NamedTuple):
    """One change: where it is (line from 1), what it does, and the source with it."""

    line: int
    column: int
    what: str
    before: str
    after: str
    source: str


def mutations(source: str) -> Iterator[Mutation]:
    """Every mutation of a module, in the order of its lines."""
    found = list(_Module(source).all())
    found.sort(key=lambda each: (each.line, each.column, each.what, each.after))
    yield from found


class _Module:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tree = ast.parse(source)
        begins = [0]
        for line in source.encode().splitlines(keepends=True):
            begins.append(begins[-1] + len(line))
        self._begins = begins
        self._bytes = source.encode()

    def all(self) -> Iterator[Mutation]:
        yield from self._under(self._tree)

    def _under(self, node: ast.AST) -> Iterator[Mutation]:
        for child in ast.iter_child_nodes(node):
            if _left_alone(child):
                continue
            if isinstance(child, ast.stmt):
                yield from self._statement(child)
            if isinstance(child, ast.expr):
                yield from self._expression(child)
            yield from self._under(child)

    # ------------------------------------------------------------------------ statements

    def _statement(self, node: ast.stmt) -> Iterator[Mutation]:
        if isinstance(node, ast.If | ast.While):
            text = self._text(node.test)
            yield self._changed(node.test, "condition negated", f"not ({text})")
        elif isinstance(node, ast.Return) and not _is_nothing(node.value):
            yield self._changed(node, "nothing returned", "return None")
        elif isinstance(node, ast.Raise | ast.Delete):
            yield self._changed(node, "statement left out", "pass")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield self._changed(node, "call left out", "pass")
        elif isinstance(node, ast.Continue):
            yield self._changed(node, "loop ended", "break")
        elif isinstance(node, ast.Break):
            yield self._changed(node, "loop goes on", "continue")
        elif isinstance(node, ast.AugAssign):
            other = ARITHMETIC.get(type(node.op))
            if other is not None:
                text = f"{self._text(node.target)} {other}= {self._text(node.value)}"
                yield self._changed(node, "operator", text)

    # ----------------------------------------------------------------------- expressions

    def _expression(self, node: ast.expr) -> Iterator[Mutation]:
        if isinstance(node, ast.Compare):
            yield from self._comparison(node)
        elif isinstance(node, ast.BoolOp):
            yield from self._operands(node, node.values, isinstance(node.op, ast.And))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self._changed(node, "not left out", f"({self._text(node.operand)})")
        elif isinstance(node, ast.BinOp):
            yield from self._arithmetic(node)
        elif isinstance(node, ast.IfExp):
            parts = [self._text(part) for part in (node.body, node.test, node.orelse)]
            text = f"({parts[0]}) if not ({parts[1]}) else ({parts[2]})"
            yield self._changed(node, "condition negated", f"({text})")
        elif isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.List | ast.Tuple) and isinstance(node.ctx, ast.Load):
            yield from self._members(node)

    def _comparison(self, node: ast.Compare) -> Iterator[Mutation]:
        left = [self._enclosed(node.left)]
        for operator, right in zip(node.ops, node.comparators, strict=True):
            left += [_SPELLED[type(operator)], self._enclosed(right)]
        other = REVERSED if _is_of_moments(node) else COMPARISONS
        for index, operator in enumerate(node.ops):
            parts = list(left)
            parts[2 * index + 1] = other.get(type(operator), COMPARISONS[type(operator)])
            yield self._changed(node, "comparison", f"({' '.join(parts)})")

    def _operands(self, node: ast.expr, values: list[ast.expr], conj: bool) -> Iterator[Mutation]:
        texts = [f"({self._text(value)})" for value in values]
        yield self._changed(node, "and, or", f"({(' or ' if conj else ' and ').join(texts)})")
        for index in range(len(texts)):
            rest = texts[:index] + texts[index + 1 :]
            joined = (" and " if conj else " or ").join(rest)
            yield self._changed(node, "operand left out", f"({joined})")

    def _arithmetic(self, node: ast.BinOp) -> Iterator[Mutation]:
        other = ARITHMETIC.get(type(node.op))
        left, right = self._text(node.left), self._text(node.right)
        if other is not None and not isinstance(node.left, ast.JoinedStr):
            yield self._changed(node, "operator", f"(({left}) {other} ({right}))")
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            yield self._changed(node, "operand left out", f"({left})")
            yield self._changed(node, "operand left out", f"({right})")

    def _constant(self, node: ast.Constant) -> Iterator[Mutation]:
        if isinstance(node.value, bool):
            yield self._changed(node, "constant", str(not node.value))
        elif isinstance(node.value, int | float):
            yield self._changed(node, "constant", repr(node.value + 1))

    def _members(self, node: ast.List | ast.Tuple) -> Iterator[Mutation]:
        if len(node.elts) < 2:
            return
        opened, closed = ("[", "]") if isinstance(node, ast.List) else ("(", ",)")
        texts = [self._text(each) for each in node.elts]
        for index in range(len(texts)):
            rest = ", ".join(texts[:index] + texts[index + 1 :])
            yield self._changed(node, "member left out", f"{opened}{rest}{closed}")

    # -------------------------------------------------------------------------- its source

    def _span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = self._begins[node.lineno - 1] + node.col_offset
        return begin, self._begins[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.stmt | ast.expr) -> str:
        begin, end = self._span(node)
        return self._bytes[begin:end].decode()

    def _enclosed(self, node: ast.expr) -> str:
        """For a place beside an operator: the span of an expression is without its parentheses."""
        text = self._text(node)
        return f"({text})" if isinstance(node, WEAK) else text

    def _changed(self, node: ast.stmt | ast.expr, what: str, text: str) -> Mutation:
        begin, end = self._span(node)
        source = (self._bytes[:begin] + text.encode() + self._bytes[end:]).decode()
        return Mutation(node.lineno, node.col_offset, what, self._text(node), text, source)


def _left_alone(node: ast.AST) -> bool:
    """Texts, logging, assertions, annotations, types and imports."""
    if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.arguments | ast.JoinedStr):
        return True
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        node.decorator_list = []
        if isinstance(node, ast.ClassDef):
            node.keywords = [each for each in node.keywords if each.arg not in OF_NO_EFFECT]
        else:
            node.returns = None
        return isinstance(node, ast.FunctionDef) and node.name == "__repr__"
    if isinstance(node, ast.AnnAssign):
        node.annotation = ast.Name("object")
        return node.value is None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        node.slice = ast.Name("object")
    call = node.value if isinstance(node, ast.Expr) else node
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        root = call.func.value
        return isinstance(root, ast.Name) and root.id in LOGGERS
    return False


def _is_nothing(node: ast.expr | None) -> bool:
    """None, or False, which its callers take for the same."""
    return node is None or (
        isinstance(node, ast.Constant) and (node.value is None or node.value is False)
    )


def _is_of_moments(node: ast.Compare) -> bool:
    """Whether a clock is read or `now` is named in it."""
    names = (getattr(each, "attr", getattr(each, "id", None)) for each in ast.walk(node))
    return not CLOCKS.isdisjoint(names)
