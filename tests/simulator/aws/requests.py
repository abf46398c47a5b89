"""Strategies for requests to DynamoDB: expressions over a few names, and sequences of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

PLAIN: Final = "plain"
SORTED: Final = "sorted"

TABLES: Final[list[dict[str, Any]]] = [
    {
        "TableName": PLAIN,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "kind", "AttributeType": "S"},
            {"AttributeName": "rank", "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-rank",
                "KeySchema": [
                    {"AttributeName": "kind", "KeyType": "HASH"},
                    {"AttributeName": "rank", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
    },
    {
        "TableName": SORTED,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
            {"AttributeName": "kind", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-kind",
                "KeySchema": [
                    {"AttributeName": "kind", "KeyType": "HASH"},
                    {"AttributeName": "id", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
        ],
    },
]

PATHS: Final = ["a", "b", "n", "tags", "list", "map", "list[0]", "map.x"]
Draw = Callable[[st.SearchStrategy[Any]], Any]

TEXTS: Final = st.sampled_from(["a", "ab", "b", "ba"])
NUMBERS: Final = st.sampled_from(["-1", "0", "1", "2", "10", "1.5"])
SCALARS: Final = st.one_of(
    TEXTS.map(lambda text: {"S": text}),
    NUMBERS.map(lambda number: {"N": number}),
    st.booleans().map(lambda value: {"BOOL": value}),
)
SETS: Final = st.one_of(
    st.sets(TEXTS, min_size=1, max_size=2).map(lambda each: {"SS": sorted(each)}),
    st.sets(NUMBERS, min_size=1, max_size=2).map(lambda each: {"NS": sorted(each)}),
)
LISTS: Final = st.lists(SCALARS, max_size=2).map(lambda each: {"L": each})
MAPS: Final = st.dictionaries(st.sampled_from(["x", "y"]), SCALARS, max_size=2).map(
    lambda each: {"M": each}
)
ATTRIBUTES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "a": SCALARS,
    "b": SCALARS,
    "n": NUMBERS.map(lambda number: {"N": number}),
    "tags": SETS,
    "list": LISTS,
    "map": MAPS,
}
INDEXED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "kind": TEXTS.map(lambda text: {"S": text}),
    "rank": NUMBERS.map(lambda number: {"N": number}),
}
IDS: Final = st.sampled_from(["i1", "i2", "i3"]).map(lambda text: {"S": text})
PLACES: Final = st.sampled_from(["1", "2", "10"]).map(lambda number: {"N": number})


class Expressions:
    """The expressions of one request, with the placeholders that they share."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def arguments(self) -> dict[str, Any]:
        """The request's arguments for the placeholders."""
        found: dict[str, Any] = {}
        if self.names:
            found["ExpressionAttributeNames"] = {place: name for name, place in self.names.items()}
        if self.values:
            found["ExpressionAttributeValues"] = self.values
        return found

    def name(self, name: str) -> str:
        return self.names.setdefault(name, f"#{len(self.names)}")

    def value(self, wire: Any) -> str:
        place = f":{len(self.values)}"
        self.values[place] = wire
        return place

    def path(self) -> str:
        return self.spelled(self.draw(st.sampled_from(PATHS)))

    def spelled(self, kind: str) -> str:
        if kind == "list[0]":
            return f"{self.name('list')}[0]"
        if kind.startswith("map."):
            return f"{self.name('map')}.{self.name(kind[4:])}"
        return self.name(kind)

    def condition(self, depth: int = 2) -> str:
        kind = self.draw(st.sampled_from(["and", "or", "not", *["leaf"] * 4])) if depth else "leaf"
        if kind == "leaf":
            return self.leaf()
        if kind == "not":
            return f"NOT {self.leaf()}"
        return f"({self.condition(depth - 1)} {kind.upper()} {self.condition(depth - 1)})"

    def leaf(self) -> str:
        kind = self.draw(st.sampled_from(["compare", "exists", "text", "between", "in", "type"]))
        path = self.path()
        if kind == "compare":
            operator = self.draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
            wire = self.draw(SCALARS if operator in ("=", "<>") else ORDERED)
            return f"{path} {operator} {self.value(wire)}"
        if kind == "exists":
            return f"attribute_{self.draw(st.sampled_from(['exists', 'not_exists']))}({path})"
        if kind == "text":
            name = self.draw(st.sampled_from(["begins_with", "contains"]))
            return f"{name}({path}, {self.value({'S': self.draw(TEXTS)})})"
        if kind == "between":
            bounds = sorted(self.draw(st.lists(st.integers(-1, 11), min_size=2, max_size=2)))
            low, high = (self.value({"N": str(bound)}) for bound in bounds)
            return f"{path} BETWEEN {low} AND {high}"
        if kind == "type":
            wanted = self.draw(st.sampled_from(["S", "N", "BOOL", "L", "M", "SS", "NS"]))
            return f"attribute_type({path}, {self.value({'S': wanted})})"
        choices = self.draw(st.lists(SCALARS, min_size=1, max_size=3))
        return f"{path} IN ({', '.join(self.value(wire) for wire in choices)})"

    def update(self) -> str:
        """Actions on distinct attributes."""
        kinds = self.draw(
            st.lists(st.sampled_from(list(ACTIONS)), min_size=1, max_size=4, unique=True)
        )
        sections: dict[str, list[str]] = {}
        touched: set[str] = set()
        for kind in kinds:
            clause, target, make = ACTIONS[kind]
            root = target.partition(".")[0].partition("[")[0]
            if root not in touched:
                touched.add(root)
                sections.setdefault(clause, []).append(make(self, self.spelled(target)))
        return " ".join(f"{clause} {', '.join(made)}" for clause, made in sections.items())


ORDERED: Final = st.one_of(
    TEXTS.map(lambda text: {"S": text}), NUMBERS.map(lambda number: {"N": number})
)
ONE: Final[dict[str, Any]] = {"N": "1"}
Make = Callable[[Expressions, str], str]
ACTIONS: Final[dict[str, tuple[str, str, Make]]] = {
    "set": ("SET", "a", lambda e, p: f"{p} = {e.value(e.draw(SCALARS))}"),
    "copy": ("SET", "b", lambda e, p: f"{p} = {e.spelled('a')}"),
    "count": ("SET", "n", lambda e, p: f"{p} = {p} + {e.value(ONE)}"),
    "less": ("SET", "n", lambda e, p: f"{p} = {e.spelled('n')} - {e.value(ONE)}"),
    "keep": ("SET", "b", lambda e, p: f"{p} = if_not_exists({p}, {e.value(e.draw(SCALARS))})"),
    "start": (
        "SET",
        "n",
        lambda e, p: f"{p} = if_not_exists({p}, {e.value({'N': '0'})}) + {e.value(ONE)}",
    ),
    "append": (
        "SET",
        "list",
        lambda e, p: f"{p} = list_append({p}, {e.value({'L': [e.draw(SCALARS)]})})",
    ),
    "inside": ("SET", "map.x", lambda e, p: f"{p} = {e.value(e.draw(SCALARS))}"),
    "place": ("SET", "list[0]", lambda e, p: f"{p} = {e.value(e.draw(SCALARS))}"),
    "index": ("SET", "kind", lambda e, p: f"{p} = {e.value({'S': e.draw(TEXTS)})}"),
    "remove": ("REMOVE", "a", lambda e, p: p),
    "remove inside": ("REMOVE", "map.x", lambda e, p: p),
    "remove place": ("REMOVE", "list[0]", lambda e, p: p),
    "unindex": ("REMOVE", "kind", lambda e, p: p),
    "add": ("ADD", "n", lambda e, p: f"{p} {e.value({'N': e.draw(NUMBERS)})}"),
    "add to set": ("ADD", "tags", lambda e, p: f"{p} {e.value(e.draw(SETS))}"),
    "delete": ("DELETE", "tags", lambda e, p: f"{p} {e.value(e.draw(SETS))}"),
}


def key(draw: Draw, table: str) -> dict[str, Any]:
    """The key of an item."""
    return {"id": draw(IDS)} | ({"number": draw(PLACES)} if table == SORTED else {})


def item(draw: Draw, table: str) -> dict[str, Any]:
    """An item with some of the attributes."""
    made = key(draw, table)
    for name, strategy in {**ATTRIBUTES, **INDEXED}.items():
        if draw(st.booleans()):
            made[name] = draw(strategy)
    return made


def write(draw: Draw, kind: str) -> dict[str, Any]:
    """A write of one item, alone or in a transaction."""
    table = draw(st.sampled_from([PLAIN, SORTED]))
    expressions = Expressions(draw)
    asked: dict[str, Any] = {"TableName": table}
    if kind == "Put":
        asked["Item"] = item(draw, table)
    else:
        asked["Key"] = key(draw, table)
    if kind == "Update":
        asked["UpdateExpression"] = expressions.update()
    if kind == "ConditionCheck" or draw(st.booleans()):
        asked["ConditionExpression"] = expressions.condition()
        if draw(st.booleans()):
            asked["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return asked | expressions.arguments()


def query(draw: Draw) -> dict[str, Any]:
    """A query of a table or of one of the indexes."""
    expressions = Expressions(draw)
    table, index, partition, sort = draw(
        st.sampled_from(
            [
                (PLAIN, None, "id", None),
                (PLAIN, "by-rank", "kind", "rank"),
                (SORTED, None, "id", "number"),
                (SORTED, "by-kind", "kind", "id"),
            ]
        )
    )
    value = draw(IDS if partition == "id" else INDEXED[partition])
    clause = f"{expressions.name(partition)} = {expressions.value(value)}"
    if sort and draw(st.booleans()):
        clause += f" AND {_sort_clause(draw, expressions, sort)}"
    asked: dict[str, Any] = {"TableName": table, "KeyConditionExpression": clause}
    if index:
        asked["IndexName"] = index
    if draw(st.booleans()):
        asked["ScanIndexForward"] = draw(st.booleans())
    if index != "by-rank" and draw(st.integers(0, 3)) == 0:
        asked["FilterExpression"] = expressions.condition(1)
    if draw(st.integers(0, 3)) == 0:
        asked["Select"] = "COUNT"
    return asked | expressions.arguments()


def _sort_clause(draw: Draw, expressions: Expressions, sort: str) -> str:
    name = expressions.name(sort)
    values = IDS if sort == "id" else NUMBERS.map(lambda number: {"N": number})
    operator = draw(st.sampled_from(["=", "<", "<=", ">", ">=", "BETWEEN"]))
    if operator != "BETWEEN":
        return f"{name} {operator} {expressions.value(draw(values))}"
    low, high = sorted(
        draw(st.lists(values, min_size=2, max_size=2)),
        key=lambda wire: float(wire["N"]) if "N" in wire else wire["S"],
    )
    return f"{name} BETWEEN {expressions.value(low)} AND {expressions.value(high)}"


RETURNS: Final = {
    "Put": ["NONE", "ALL_OLD"],
    "Delete": ["NONE", "ALL_OLD"],
    "Update": ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"],
}


KINDS: Final = [
    *("Put", "Put", "Update", "Update", "Update", "Delete"),
    *("get", "query", "query", "scan", "transact", "transact"),
    *("batch get", "batch write", "transact get"),
]


@st.composite
def calls(draw: Draw) -> tuple[str, dict[str, Any]]:
    """One call: its operation and arguments."""
    kind = draw(st.sampled_from(KINDS))
    if kind in RETURNS:
        returns = {"ReturnValues": draw(st.sampled_from(RETURNS[kind]))}
        return f"{kind}Item", write(draw, kind) | returns
    if kind == "query":
        return "Query", query(draw)
    if kind == "scan":
        return "Scan", {"TableName": draw(st.sampled_from([PLAIN, SORTED]))}
    if kind == "transact":
        kinds = st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"])
        chosen = draw(st.lists(kinds, min_size=1, max_size=3))
        items = [{each: write(draw, each)} for each in chosen]
        return "TransactWriteItems", {"TransactItems": items}
    table = draw(st.sampled_from([PLAIN, SORTED]))
    if kind == "batch write":
        return "BatchWriteItem", {"RequestItems": {table: _batch(draw, table)}}
    if kind == "batch get":
        keys = [key(draw, table) for _ in range(draw(st.integers(1, 3)))]
        return "BatchGetItem", {"RequestItems": {table: {"Keys": keys}}}
    asked = {"TableName": table, "Key": key(draw, table)}
    if draw(st.booleans()):
        expressions = Expressions(draw)
        asked["ProjectionExpression"] = ", ".join(
            expressions.spelled(each)
            for each in draw(st.sampled_from([["a"], ["map.x", "n"], ["list[0]", "tags"], ["map"]]))
        )
        asked |= expressions.arguments()
    if kind == "transact get":
        return "TransactGetItems", {"TransactItems": [{"Get": asked}]}
    return "GetItem", asked


def _batch(draw: Draw, table: str) -> list[dict[str, Any]]:
    return [
        {"PutRequest": {"Item": item(draw, table)}}
        if draw(st.booleans())
        else {"DeleteRequest": {"Key": key(draw, table)}}
        for _ in range(draw(st.integers(1, 2)))
    ]
