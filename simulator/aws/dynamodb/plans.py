"""What the expressions of a request compile to, kept by text: handlers repeat themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from simulator.aws.dynamodb import conditions, updates
from simulator.aws.dynamodb.conditions import Condition
from simulator.aws.dynamodb.parser import Between, Comparison, Function, Logic, Parser, Path, Value
from simulator.aws.dynamodb.updates import Change, Projection
from simulator.aws.dynamodb.values import Invalid, plain

MOST_PLANS: Final = 4096


class KeyClause(NamedTuple):
    """One clause of a key condition: an attribute, its operator, placeholders of its bounds."""

    name: str
    operator: str
    bounds: tuple[str, ...]


class Plan:
    """The compiled expressions of a request; None where it has none."""

    __slots__ = (
        "changed",
        "changes",
        "condition",
        "demands",
        "filter",
        "key",
        "projection",
        "roots",
        "values",
    )

    def __init__(self, texts: tuple[str | None, ...], names: Mapping[str, str]) -> None:
        condition, update, filter_, key, projection = texts
        used: dict[str, None] = {}
        self.demands: list[conditions.Demand | conditions.Bounds] = []
        self.condition = self._condition("ConditionExpression", condition, names, used)
        self.filter = self._condition("FilterExpression", filter_, names, used)
        self.key: tuple[KeyClause, ...] | None = None
        if key is not None:
            tree = Parser("KeyConditionExpression", key, names, used).condition()
            self.demands += conditions.demands(tree)
            self.key = _key_clauses(tree)
        self.projection: Projection | None = None
        if projection is not None:
            paths = Parser("ProjectionExpression", projection, names, used).projection()
            self.projection = updates.projection(paths)
        self.changes: list[Change] = []
        changed: list[Path] = []
        if update is not None:
            actions = Parser("UpdateExpression", update, names, used).update()
            self.changes = updates.compiled(actions)
            changed = [action.path for action in actions]
        self.changed = updates.projection(changed)
        self.roots = frozenset(path.steps[0] for path in changed)
        self.values = frozenset(name for name in used if name[0] == ":")
        unused = [name for name in names if name not in used]
        if unused:
            raise Invalid(
                "Value provided in ExpressionAttributeNames unused in expressions: "
                f"keys: {{{', '.join(unused)}}}"
            )

    def _condition(
        self, kind: str, text: str | None, names: Mapping[str, str], used: dict[str, None]
    ) -> Condition | None:
        if text is None:
            return None
        tree = Parser(kind, text, names, used).condition()
        self.demands += conditions.demands(tree)
        return conditions.compiled(tree)


class Plans:
    """The plans of a client, by text and names."""

    def __init__(self) -> None:
        self._plans: dict[Any, Plan] = {}

    def of(self, request: Mapping[str, Any]) -> tuple[Plan, dict[str, Any]]:
        """The plan of a request and the plain values of its placeholders."""
        names: Mapping[str, str] = request.get("ExpressionAttributeNames") or {}
        get = request.get
        texts = (
            get("ConditionExpression"),
            get("UpdateExpression"),
            get("FilterExpression"),
            get("KeyConditionExpression"),
            get("ProjectionExpression"),
        )
        key = texts, tuple(names.items())
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = Plan(texts, names)
        given: Mapping[str, Any] = get("ExpressionAttributeValues") or {}
        if given.keys() != plan.values:
            _refuse(given, plan.values)
        values = {name: plain(wire) for name, wire in given.items()}
        for demand in plan.demands:
            demand.check(values)
        return plan, values


def _refuse(given: Mapping[str, Any], used: frozenset[str]) -> None:
    missing = sorted(used - given.keys())
    if missing:
        raise Invalid(
            "An expression attribute value used in expression is not defined; "
            f"attribute value: {missing[0]}"
        )
    unused = ", ".join(name for name in given if name not in used)
    raise Invalid(
        f"Value provided in ExpressionAttributeValues unused in expressions: keys: {{{unused}}}"
    )


def _key_clauses(tree: Any) -> tuple[KeyClause, ...]:
    parts = tree.parts if type(tree) is Logic and tree.operator == "AND" else (tree,)
    clauses = tuple(_key_clause(part) for part in parts)
    if len(clauses) > 2 or len({clause.name for clause in clauses}) != len(clauses):
        raise Invalid("KeyConditionExpressions must only contain one condition per key")
    return clauses


def _key_clause(part: Any) -> KeyClause:
    match part:
        case Comparison(operator, Path((str() as name,)), Value(value)) if operator != "<>":
            return KeyClause(name, operator, (value,))
        case Comparison(operator, Value(value), Path((str() as name,))) if operator != "<>":
            mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
            return KeyClause(name, mirrored, (value,))
        case Between(Path((str() as name,)), Value(low), Value(high)):
            return KeyClause(name, "BETWEEN", (low, high))
        case Function("begins_with", (Path((str() as name,)), Value(prefix))):
            return KeyClause(name, "begins_with", (prefix,))
    raise Invalid("Invalid operator used in KeyConditionExpression")
