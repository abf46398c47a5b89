"""The calls of DynamoDB on tables in memory; `_make_api_call` is what PynamoDB calls.

Sources of the semantics: the API reference and the developer guide of Amazon DynamoDB. What the
service leaves open (lag, conflicts, late deletion, unprocessed keys) a run decides by `Chances`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from simulator.aws.dynamodb import queries, transactions
from simulator.aws.dynamodb.account import Account, Chances, ConditionFailed, Write
from simulator.aws.dynamodb.tables import Table
from simulator.aws.dynamodb.values import (
    Invalid,
    item_size,
    wire_item,
)
from simulator.aws.errors import Exceptions, client_error

Answer = dict[str, Any]

MOST_BATCH_WRITES: Final = 25
MOST_BATCH_READS: Final = 100
MOST_BATCH_READ_BYTES: Final = 16 * 1024 * 1024


class DynamoDB(Account):
    """One account's tables in one region. `now` is the virtual clock."""

    _request_signer = None
    exceptions = Exceptions(
        **{
            name: name
            for name in (
                "ConditionalCheckFailedException",
                "ResourceInUseException",
                "ResourceNotFoundException",
                "TransactionCanceledException",
                "TransactionConflictException",
            )
        }
    )

    def __init__(self, now: Callable[[], float], chances: Chances | None = None) -> None:
        super().__init__(now, chances)
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "BatchGetItem": self._batch_get_item,
            "BatchWriteItem": self._batch_write_item,
            "CreateTable": self._create_table,
            "DeleteItem": self._delete_item,
            "DeleteTable": self._delete_table,
            "DescribeTable": self._describe_table,
            "GetItem": self._get_item,
            "PutItem": self._put_item,
            "Query": lambda asked: queries.query(self, asked),
            "Scan": lambda asked: queries.scan(self, asked),
            "TransactGetItems": lambda asked: transactions.get(self, asked),
            "TransactWriteItems": lambda asked: transactions.write(self, asked),
            "UpdateItem": self._update_item,
            "UpdateTimeToLive": self._update_time_to_live,
        }

    def _make_api_call(self, operation: str, kwargs: Mapping[str, Any]) -> Answer:
        try:
            return self._handlers[operation](kwargs)
        except Invalid as error:
            raise client_error("ValidationException", operation, str(error)) from None
        except ConditionFailed as error:
            more: Any = {} if error.item is None else {"Item": wire_item(error.item)}
            code = "ConditionalCheckFailedException"
            raise client_error(code, operation, str(error), **more) from None

    # ---------------------------------------------------------------------- single reads

    def _get_item(self, asked: Mapping[str, Any]) -> Answer:
        name = asked["TableName"]
        table = self.table(name, "GetItem")
        key = table.key_of(asked["Key"])
        consistent = asked.get("ConsistentRead") or False
        item = table.image(key, self.now(), self.lag_of(name, None, consistent))
        if item is None:
            self.count_read(name, 0, consistent)
            return {}
        self.count_read(name, item_size(item), consistent)
        if "ProjectionExpression" in asked:
            project = self.plans.of(asked)[0].projection
            item = project(item) if project else item
        return {"Item": wire_item(item)}

    def _batch_get_item(self, asked: Mapping[str, Any]) -> Answer:
        total = sum(len(request["Keys"]) for request in asked["RequestItems"].values())
        if total > MOST_BATCH_READS:
            raise Invalid("Too many items requested for the BatchGetItem call")
        answer: dict[str, list[Any]] = {}
        left: dict[str, Any] = {}
        room = MOST_BATCH_READ_BYTES
        for name, request in asked["RequestItems"].items():
            table = self.table(name, "BatchGetItem")
            keys = [table.key_of(wire) for wire in request["Keys"]]
            if len(set(keys)) != len(keys):
                raise Invalid("Provided list of item keys contains duplicates")
            plan, _ = self.plans.of(request)
            consistent = request.get("ConsistentRead") or False
            lag = self.lag_of(name, None, consistent)
            found = answer.setdefault(name, [])
            for key, wire in zip(keys, request["Keys"], strict=True):
                if room <= 0 or self.chances.unprocessed(name, key):
                    left.setdefault(name, {**request, "Keys": []})["Keys"].append(wire)
                    continue
                item = table.image(key, self.now(), lag)
                size = item_size(item or {})
                room -= size
                self.count_read(name, size, consistent)
                if item is not None:
                    shown = plan.projection(item) if plan.projection else item
                    found.append(wire_item(shown))
        return {"Responses": answer, "UnprocessedKeys": left}

    # --------------------------------------------------------------------- single writes

    def _single(self, kind: str, asked: Mapping[str, Any]) -> Write:
        operation = f"{kind}Item"
        for name in _LEGACY:
            if name in asked:
                raise Invalid(f"{name} is a legacy parameter, which is not simulated")
        write = self.prepare(kind, asked, operation)
        if self.chances.conflict(write.table.name, write.key):
            raise client_error(
                "TransactionConflictException",
                operation,
                "Transaction is ongoing for the item",
            )
        self.commit(write)
        self.count_write(write)
        return write

    def _put_item(self, asked: Mapping[str, Any]) -> Answer:
        return _old(self._single("Put", asked), asked)

    def _delete_item(self, asked: Mapping[str, Any]) -> Answer:
        return _old(self._single("Delete", asked), asked)

    def _update_item(self, asked: Mapping[str, Any]) -> Answer:
        wanted = asked.get("ReturnValues", "NONE")
        if wanted not in _UPDATE_RETURNS:
            raise Invalid(f"Return values set to invalid value {wanted}")
        write = self._single("Update", asked)
        image = write.new if wanted.endswith("NEW") else write.old
        if wanted == "NONE" or image is None:
            return {}
        if wanted.startswith("UPDATED"):
            image = write.plan.changed(image)
            return {"Attributes": wire_item(image)} if image else {}
        return {"Attributes": wire_item(image)}

    def _batch_write_item(self, asked: Mapping[str, Any]) -> Answer:
        total = sum(len(requests) for requests in asked["RequestItems"].values())
        if not 0 < total <= MOST_BATCH_WRITES:
            raise Invalid("Too many items requested for the BatchWriteItem call")
        writes = [
            (self._batched(name, request), request)
            for name, requests in asked["RequestItems"].items()
            for request in requests
        ]
        places = {(write.table.name, write.key) for write, _ in writes}
        if len(places) != len(writes):
            raise Invalid("Provided list of item keys contains duplicates")
        left: dict[str, list[Any]] = {}
        for write, request in writes:
            if self.chances.unprocessed(write.table.name, write.key):
                left.setdefault(write.table.name, []).append(request)
                continue
            self.commit(write)
            self.count_write(write)
        return {"UnprocessedItems": left}

    def _batched(self, table: str, request: Mapping[str, Any]) -> Write:
        ((kind, content),) = request.items()
        return self.prepare(
            kind.removesuffix("Request"), {"TableName": table, **content}, "BatchWriteItem"
        )

    # ---------------------------------------------------------------------------- tables

    def create_table(self, **description: Any) -> None:
        """Make a table; takes CreateTable's arguments or a template's properties."""
        self._create_table(description)

    def create_tables(self, models: Iterable[Any]) -> None:
        """Make the tables of PynamoDB models."""
        for model in models:
            self.create_table(**description_of(model))

    def _create_table(self, asked: Mapping[str, Any]) -> Answer:
        name = asked["TableName"]
        if name in self.tables:
            raise client_error(
                "ResourceInUseException", "CreateTable", f"Table already exists: {name}"
            )
        table = self.tables[name] = Table(name, asked)
        table.most_lag_seconds = self.most_lag_seconds
        table.ttl_delay = self.chances.ttl_delay
        lives = asked.get("TimeToLiveSpecification") or {}
        table.ttl = lives.get("AttributeName") if lives.get("Enabled") else None
        return {"TableDescription": self._described(table)}

    def _described(self, table: Table) -> Answer:
        return {**table.description, "TableStatus": "ACTIVE", "ItemCount": len(table.items)}

    def _describe_table(self, asked: Mapping[str, Any]) -> Answer:
        return {"Table": self._described(self.table(asked["TableName"], "DescribeTable"))}

    def _delete_table(self, asked: Mapping[str, Any]) -> Answer:
        table = self.table(asked["TableName"], "DeleteTable")
        del self.tables[table.name]
        return {"TableDescription": self._described(table)}

    def _update_time_to_live(self, asked: Mapping[str, Any]) -> Answer:
        table = self.table(asked["TableName"], "UpdateTimeToLive")
        lives = asked["TimeToLiveSpecification"]
        table.ttl = lives["AttributeName"] if lives["Enabled"] else None
        return {"TimeToLiveSpecification": lives}


_UPDATE_RETURNS: Final = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
_LEGACY: Final = ("AttributeUpdates", "ConditionalOperator", "Expected")


def _old(write: Write, asked: Mapping[str, Any]) -> Answer:
    wanted = asked.get("ReturnValues", "NONE")
    if wanted not in ("NONE", "ALL_OLD"):
        raise Invalid(f"Return values set to invalid value {wanted}")
    if wanted == "NONE" or write.old is None:
        return {}
    return {"Attributes": wire_item(write.old)}


def description_of(model: Any) -> dict[str, Any]:
    """CreateTable's arguments for a PynamoDB model."""
    schema = model._get_schema()
    lives = model._ttl_attribute()
    return {
        "TableName": model.Meta.table_name,
        "KeySchema": _capitals(schema["key_schema"]),
        "AttributeDefinitions": _capitals(schema["attribute_definitions"]),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": each["index_name"],
                "KeySchema": _capitals(each["key_schema"]),
                "Projection": each["projection"],
            }
            for each in schema["global_secondary_indexes"]
        ],
        "TimeToLiveSpecification": {
            "AttributeName": lives.attr_name if lives else "",
            "Enabled": lives is not None,
        },
    }


def _capitals(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    """PynamoDB writes either spelling of these keys."""
    names = {
        "attribute_name": "AttributeName",
        "attribute_type": "AttributeType",
        "key_type": "KeyType",
    }
    return [{names.get(name, name): value for name, value in each.items()} for each in entries]
