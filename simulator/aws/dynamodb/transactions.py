"""TransactWriteItems and TransactGetItems: all or nothing, with a reason for each item."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from simulator.aws.dynamodb.account import Account, ConditionFailed, Write
from simulator.aws.dynamodb.values import Invalid, item_size, wire_item
from simulator.aws.errors import client_error

MOST_ITEMS: Final = 100
MOST_BYTES: Final = 4 * 1024 * 1024

Reason = dict[str, Any]
_NONE: Final[Reason] = {"Code": "None"}


def write(account: Account, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Apply all writes of a transaction, or none."""
    operation = "TransactWriteItems"
    items = asked["TransactItems"]
    _check_count(items)
    token = asked.get("ClientRequestToken")
    fingerprint = hashlib.blake2b(repr(items).encode(), digest_size=16).digest() if token else b""
    if token:
        seen = account.tokens.find(token, account.now())
        if seen is not None and seen != fingerprint:
            raise client_error(
                "IdempotentParameterMismatchException",
                operation,
                "The request was made with a token that was used for another request.",
            )
        if seen is not None:
            return {}
    _check_distinct(account, items)
    writes, reasons = _prepared(account, items)
    if any(reason is not _NONE for reason in reasons):
        raise cancelled(operation, reasons)
    if sum(each.size for each in writes) > MOST_BYTES:
        raise Invalid("Collection size of items in transaction exceeded the limit of 4 MB")
    for each, item in zip(writes, items, strict=True):
        if "ConditionCheck" not in item:
            account.commit(each)
        account.count_write(each, factor=2)
    if token:
        account.tokens.add(token, fingerprint, account.now())
    return {}


def _check_count(items: Any) -> None:
    if not 0 < len(items) <= MOST_ITEMS:
        raise Invalid(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MOST_ITEMS}"
        )


def _check_distinct(account: Account, items: Any) -> None:
    """Refuse two operations on one item, and compile all: a bad expression is no cancellation."""
    places = set()
    for item in items:
        ((kind, request),) = item.items()
        table = account.table(request["TableName"], "TransactWriteItems")
        plan, _ = account.plans.of(request)
        if kind == "ConditionCheck" and plan.condition is None:
            raise Invalid("The ConditionCheck request must have a ConditionExpression")
        keys = request["Item"] if kind == "Put" else request["Key"]
        places.add((table.name, *(str(keys.get(name)) for name in table.schema.names)))
    if len(places) != len(items):
        raise Invalid("Transaction request cannot include multiple operations on one item")


def _prepared(account: Account, items: Any) -> tuple[list[Write], list[Reason]]:
    writes: list[Write] = []
    reasons: list[Reason] = []
    for item in items:
        ((kind, request),) = item.items()
        try:
            prepared = account.prepare(kind, request, "TransactWriteItems")
        except ConditionFailed as error:
            reason: Reason = {"Code": "ConditionalCheckFailed", "Message": str(error)}
            if error.item is not None:
                reason["Item"] = wire_item(error.item)
        except Invalid as error:
            reason = {"Code": "ValidationError", "Message": str(error)}
        else:
            writes.append(prepared)
            conflict = account.chances.conflict(prepared.table.name, prepared.key)
            reason = _CONFLICT if conflict else _NONE
        reasons.append(reason)
    return writes, reasons


_CONFLICT: Final[Reason] = {
    "Code": "TransactionConflict",
    "Message": "Transaction is ongoing for the item",
}


def cancelled(operation: str, reasons: list[Reason]) -> ClientError:
    """The error of a transaction of which at least one item failed."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return client_error(
        "TransactionCanceledException",
        operation,
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=[dict(reason) for reason in reasons],
    )


def get(account: Account, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read several items as they are at one moment."""
    operation = "TransactGetItems"
    items = asked["TransactItems"]
    _check_count(items)
    answers: list[dict[str, Any]] = []
    reasons: list[Reason] = []
    for each in items:
        request = each["Get"]
        table = account.table(request["TableName"], operation)
        key = table.key_of(request["Key"])
        plan, _ = account.plans.of(request)
        reasons.append(_CONFLICT if account.chances.conflict(table.name, key) else _NONE)
        item = table.get(key, account.now())
        account.count_read(table.name, 2 * item_size(item or {}), consistent=True)
        if item is not None and plan.projection:
            item = plan.projection(item)
        answers.append({"Item": wire_item(item)} if item else {})
    if any(reason is not _NONE for reason in reasons):
        raise cancelled(operation, reasons)
    return {"Responses": answers}
