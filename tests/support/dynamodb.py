"""DynamoDB in memory, where PynamoDB's client stands: fast enough to crash at every call.

Only what the stores use. `tests/store` runs the same tests against moto, so that the two agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from botocore.exceptions import ClientError

Item = dict[str, Any]
Watch = Callable[[str, Item | None, Item | None], None]

_TOKEN: Final = re.compile(r"\s*(#\w+|:\w+|[A-Za-z_]\w*|<=|>=|<>|\d+|[=<>(),.\[\]+-])")


def refused(code: str, operation: str, message: str = "", **more: Any) -> ClientError:
    """The error that botocore raises for an error code."""
    body = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}, **more}
    return ClientError(body, operation)  # type: ignore[arg-type]


class Invalid(Exception):
    """A ValidationException."""


class MemoryDynamoDB:
    """A client: `_make_api_call` as botocore's. `watch` sees each item change."""

    _request_signer = None

    def __init__(self, models: Iterable[Any]) -> None:
        self.tables: dict[str, dict[tuple[str, ...], Item]] = {}
        self.keys: dict[str, tuple[str, ...]] = {}
        self.indexes: dict[tuple[str, str], tuple[str, ...]] = {}
        self.tokens: dict[str, Any] = {}
        self.watch: Watch = lambda table, old, new: None
        for model in models:
            name, schema = model.Meta.table_name, model._get_schema()
            self.tables[name] = {}
            self.keys[name] = _key_names(schema["key_schema"])
            for index in schema["global_secondary_indexes"]:
                self.indexes[name, index["index_name"]] = _key_names(index["key_schema"])

    def _make_api_call(self, operation: str, kwargs: dict[str, Any]) -> dict[str, Any]:
        handler = getattr(self, f"_{_snake(operation)}")
        try:
            answer: dict[str, Any] = handler(_copied(kwargs))
        except Invalid as error:
            raise refused("ValidationException", operation, str(error)) from None
        copied: dict[str, Any] = _copied(answer)
        return copied

    def _key(self, table: str, item: Item) -> tuple[str, ...]:
        return tuple(next(iter(item[name].values())) for name in self.keys[table])

    def _store(self, table: str, key: tuple[str, ...], new: Item | None) -> None:
        old = self.tables[table].get(key)
        self.watch(table, old, new)
        if new is None:
            self.tables[table].pop(key, None)
        else:
            self.tables[table][key] = new

    def _get_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.tables[asked["TableName"]].get(self._key(asked["TableName"], asked["Key"]))
        return {"Item": found} if found is not None else {}

    def _single(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        table, key, new = self._prepared(asked)
        if new is False:
            raise refused("ConditionalCheckFailedException", operation, "The request failed")
        self._store(table, key, new)
        if asked.get("ReturnValues") == "ALL_NEW":
            return {"Attributes": new}
        return {}

    def _put_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._single("PutItem", asked)

    def _update_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._single("UpdateItem", asked)

    def _delete_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._single("DeleteItem", asked)

    def _prepared(self, asked: dict[str, Any]) -> tuple[str, tuple[str, ...], Any]:
        """Table, key and the item after the write (None: deleted, False: a clause failed)."""
        table = asked["TableName"]
        key = self._key(table, asked.get("Item") or asked["Key"])
        old = self.tables[table].get(key)
        expression = Expression(asked, old or {})
        clause = asked.get("ConditionExpression")
        if clause and not expression.condition(clause):
            return table, key, False
        if "Item" in asked:
            return table, key, asked["Item"]
        if "UpdateExpression" in asked:
            base = _copied(old) if old is not None else dict(asked["Key"])
            return table, key, expression.update(asked["UpdateExpression"], base)
        return table, key, None

    def _transact_write_items(self, asked: dict[str, Any]) -> dict[str, Any]:
        token, items = asked.get("ClientRequestToken"), asked["TransactItems"]
        if token in self.tokens:
            if self.tokens[token] != items:
                raise refused("IdempotentParameterMismatchException", "TransactWriteItems")
            return {}
        writes = [self._prepared(next(iter(item.values()))) for item in items]
        if len({(table, key) for table, key, _ in writes}) != len(writes):
            raise Invalid("Transaction request cannot include multiple operations on one item")
        if any(new is False for *_, new in writes):
            reasons = [
                {"Code": "ConditionalCheckFailed" if new is False else "None", "Message": ""}
                for *_, new in writes
            ]
            raise refused(
                "TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons
            )
        for table, key, new in writes:
            self._store(table, key, new)
        if token:
            self.tokens[token] = items
        return {}

    def _batch_get_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for table, request in asked["RequestItems"].items():
            keys = [self._key(table, key) for key in request["Keys"]]
            if len(set(keys)) != len(keys):
                raise Invalid("Provided list of item keys contains duplicates")
            rows = self.tables[table]
            answer[table] = [rows[key] for key in keys if key in rows]
        return {"Responses": answer, "UnprocessedKeys": {}}

    def _batch_write_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        for table, requests in asked["RequestItems"].items():
            for request in requests:
                put = request.get("PutRequest", {}).get("Item")
                key = put if put is not None else request["DeleteRequest"]["Key"]
                self._store(table, self._key(table, key), put)
        return {"UnprocessedItems": {}}

    def _scan(self, asked: dict[str, Any]) -> dict[str, Any]:
        rows = list(self.tables[asked["TableName"]].values())
        return {"Items": rows, "Count": len(rows), "ScannedCount": len(rows)}

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        table = asked["TableName"]
        index = asked.get("IndexName")
        names = self.indexes[table, index] if index else self.keys[table]
        found = [
            row
            for row in self.tables[table].values()
            if all(name in row for name in names)
            and Expression(asked, row).condition(asked["KeyConditionExpression"])
        ]
        found.sort(
            key=lambda row: _plain(row[names[-1]]), reverse=not asked.get("ScanIndexForward", True)
        )
        if start := asked.get("ExclusiveStartKey"):
            keys = [self._key(table, row) for row in found]
            found = found[keys.index(self._key(table, start)) + 1 :]
        limit = asked.get("Limit") or len(found)
        page, rest = found[:limit], found[limit:]
        answer: dict[str, Any] = {"Items": page, "Count": len(page), "ScannedCount": len(page)}
        if rest:
            wanted = {*names, *self.keys[table]}
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in wanted}
        return answer


class Expression:
    """Conditions and updates over one item, by recursive descent."""

    def __init__(self, asked: dict[str, Any], item: Item) -> None:
        self.names = asked.get("ExpressionAttributeNames", {})
        self.values = asked.get("ExpressionAttributeValues", {})
        self.item = item
        self.tokens: list[str] = []

    def condition(self, text: str) -> bool:
        """Whether a condition holds."""
        self.tokens = _tokens(text)
        holds = self._or()
        assert not self.tokens, f"left over: {self.tokens} of {text}"
        return holds

    def _peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _take(self, expected: str = "") -> str:
        token = self.tokens.pop(0)
        assert expected in ("", token), f"{expected} expected, not {token}"
        return token

    def _or(self) -> bool:
        holds = self._and()
        while self._peek() == "OR":
            self._take()
            other = self._and()
            holds = holds or other
        return holds

    def _and(self) -> bool:
        holds = self._not()
        while self._peek() == "AND":
            self._take()
            other = self._not()
            holds = holds and other
        return holds

    def _not(self) -> bool:
        if self._peek() == "NOT":
            self._take()
            return not self._not()
        if self._peek() == "(":
            self._take()
            holds = self._or()
            self._take(")")
            return holds
        if self._peek() in ("attribute_exists", "attribute_not_exists", "begins_with"):
            return self._function(self._take())
        return self._comparison()

    def _function(self, name: str) -> bool:
        self._take("(")
        found = self._operand()
        if name == "begins_with":
            self._take(",")
            prefix = self._operand()
            self._take(")")
            return found is not None and str(_plain(found)).startswith(str(_plain(prefix)))
        self._take(")")
        return (found is not None) == (name == "attribute_exists")

    def _comparison(self) -> bool:
        left = self._operand()
        operator = self._take()
        if operator == "IN":
            self._take("(")
            choices = [self._operand()]
            while self._take() == ",":
                choices.append(self._operand())
            return left is not None and any(_plain(left) == _plain(each) for each in choices)
        if operator == "BETWEEN":
            low = self._operand()
            self._take("AND")
            high = self._operand()
            return left is not None and _plain(low) <= _plain(left) <= _plain(high)
        right = self._operand()
        if left is None or right is None or set(left) != set(right):
            return operator == "<>"
        one, two = _plain(left), _plain(right)
        return bool(
            {
                "=": one == two,
                "<>": one != two,
                "<": one < two,
                "<=": one <= two,
                ">": one > two,
                ">=": one >= two,
            }[operator]
        )

    def _operand(self) -> Any:
        token = self._peek()
        if token.startswith(":"):
            return self.values[self._take()]
        if token == "if_not_exists":
            self._take()
            self._take("(")
            found = self._operand()
            self._take(",")
            otherwise = self._operand()
            self._take(")")
            return found if found is not None else otherwise
        node: Any = {"M": self.item}
        for step in self._path():
            if node is None or "M" not in node:
                return None
            node = node["M"].get(step)
        return node

    def _path(self) -> list[str]:
        steps = [self._name(self._take())]
        while self._peek() == ".":
            self._take()
            steps.append(self._name(self._take()))
        return steps

    def _name(self, token: str) -> str:
        return str(self.names[token]) if token.startswith("#") else token

    def update(self, text: str, base: Item) -> Item:
        """The item after an update; operands read the item as it was."""
        self.tokens = _tokens(text)
        while self.tokens:
            clause = self._take()
            while True:
                self._action(clause, base)
                if self._peek() != ",":
                    break
                self._take()
        return base

    def _action(self, clause: str, base: Item) -> None:
        path = self._path()
        parent = base
        for step in path[:-1]:
            if "M" not in parent.get(step, {}):
                raise Invalid("The document path provided in the update expression is invalid")
            parent = parent[step]["M"]
        if clause == "REMOVE":
            parent.pop(path[-1], None)
        elif clause == "ADD":
            added = Decimal(self._operand()["N"])
            parent[path[-1]] = {"N": str(Decimal(parent.get(path[-1], {"N": "0"})["N"]) + added)}
        else:
            self._take("=")
            parent[path[-1]] = self._sum()

    def _sum(self) -> Any:
        left = self._operand()
        if self._peek() not in ("+", "-"):
            if left is None:
                raise Invalid("The provided expression refers to an attribute that does not exist")
            return left
        sign = 1 if self._take() == "+" else -1
        right = self._operand()
        if left is None:
            raise Invalid("The provided expression refers to an attribute that does not exist")
        return {"N": str(Decimal(left["N"]) + sign * Decimal(right["N"]))}


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if type(value) is list else value


def _plain(value: Any) -> Any:
    kind, content = next(iter(value.items()))
    return Decimal(content) if kind == "N" else content


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        assert match, f"not an expression: {text[place:]}"
        found.append(match[1])
        place = match.end()
    return found


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def _key_names(schema: list[dict[str, str]]) -> tuple[str, ...]:
    ordered = sorted(schema, key=lambda each: each["KeyType"])  # HASH before RANGE
    return tuple(each["AttributeName"] for each in ordered)
