"""What every table shares: the client from `chalicelib.aws`, table names, and how writes fail.

StoreError
├── ConditionFailed      a named clause of a conditional write did not hold
├── Claimed              what a transaction was to claim is another's
└── Contended            the same items were written at the same time, again and again
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar, cast

from pynamodb.attributes import Attribute
from pynamodb.connection import Connection
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import PynamoDBException, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib import aws
from chalicelib.errors import Unavailable
from chalicelib.settings import settings
from chalicelib.store import reading

T = TypeVar("T")

CONTENDED_SECONDS: Final = 15.0
"""So long a race is tried again: less than any function's timeout (20 s a step, 29 s a request)."""
BACKOFF_SECONDS: Final = 0.05
MOST_BACKOFF_SECONDS: Final = 0.8


class ConditionFailed(Exception):
    """A condition of a write did not hold; `failed` are the places of the failed items."""

    def __init__(self, failed: tuple[int, ...] = ()) -> None:
        super().__init__(f"conditions of items {failed} did not hold")
        self.failed = failed


class Claimed(Exception):
    """A claim is another's already; who asked looks at what that one has come to."""


class Claim(Protocol):
    """An item of a transaction that only one of several transactions can write."""

    kept: bool

    def put(self, write: TransactWrite) -> None:
        """Add the item; its condition fails when another has it."""

    def taken(self) -> bool:
        """Whether another has it: no more than a look, after a transaction that failed."""


class Contended(Unavailable):
    """The same items were written by others until the time for it was over."""


class Table(Model, metaclass=reading.ModelWithColumns):
    """A PynamoDB model with the shared client, whose rows are read by its columns."""

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = super()._get_connection()
        table.connection._client = aws.client("dynamodb")
        return table

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Self:
        """A row of what the service answered."""
        row = cls.__new__(cls)
        row.deserialize(data)
        return row

    def deserialize(self, attribute_values: dict[str, dict[str, Any]]) -> None:
        """Be what the service answered."""
        self.attribute_values = reading.read(type(self).columns, attribute_values)


class IndexNames(NamedTuple):
    """The names of the indexes, as the template declares them."""

    TENANT: str = "tenant-index"
    VERSION: str = "version-index"
    LIVE: str = "live-index"
    SUBJECT: str = "instance-index"
    FEED: str = "feed-index"
    SOURCE: str = "source-index"
    DUE: str = "due-index"
    TIME: str = "time-index"


INDEXES: Final = IndexNames()


def optional(attribute: Attribute[T]) -> Attribute[T | None]:
    """The same attribute, with the type that a nullable one really has."""
    return cast("Attribute[T | None]", attribute)


def entries() -> reading.Entries:
    """A map whose keys are data, written key by key so that two writers do not overwrite."""
    return reading.Entries(default=dict)


def as_dict(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an `entries` attribute, which may be changed."""
    return dict(stored)


def table_meta(name: str) -> tuple[str, str]:
    """Table name and region for a model's `Meta`."""
    return settings().table(name), settings().region


def _connection() -> Connection:
    made = Connection(region=settings().region)
    made._client = aws.client("dynamodb")
    return made


def races(until: float | None = None) -> Iterator[float]:
    """The attempts at something that others may do at the same time, with jittered pauses.

    Each is the time at which they end, `CONTENDED_SECONDS` from now unless it is given, for the
    transaction within. Whoever comes to the end raises `Contended`.
    """
    until = aws.clock() + CONTENDED_SECONDS if until is None else until
    for attempt in itertools.count():
        yield until
        pause = min(BACKOFF_SECONDS * 2 ** min(attempt, 10), MOST_BACKOFF_SECONDS)
        pause *= 0.5 + aws.random()
        if aws.clock() + pause > until:
            return
        aws.sleep(pause)


def update_if(row: Table, actions: list[Action], condition: Condition) -> None:
    """Write attributes of one row under a condition; the row is as it is then.

    Raises `ConditionFailed` when a clause does not hold.
    """
    try:
        row.update(actions=actions, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            raise ConditionFailed((0,)) from None
        raise


def transact(
    build: Callable[[TransactWrite], None],
    until: float | None = None,
    claim: Claim | None = None,
) -> None:
    """Commit one `TransactWriteItems`; `build` must add the same items each time it is called.

    A conflict with another transaction is retried with jitter under the same client token, since
    botocore does not do it; past `until` (see `races`) it is `Contended` (503). A clause that did
    not hold raises `ConditionFailed`, and that of the `claim` `Claimed`, whatever else failed.
    """
    token = aws.new_id()
    for _ in races(until):
        try:
            with TransactWrite(connection=_connection(), client_request_token=token) as write:
                build(write)
                if claim is not None:
                    claim.put(write)
            if claim is not None:
                claim.kept = True
            return
        except TransactWriteError as error:
            codes = [reason.code if reason else "" for reason in error.cancellation_reasons]
            failed = tuple(i for i, code in enumerate(codes) if code == "ConditionalCheckFailed")
            if failed and claim is not None and claim.taken():
                raise Claimed from None
            if failed:
                raise ConditionFailed(failed) from None
            retryable = any(code in _CONFLICTS for code in codes) or (_code(error) in _CONFLICTS)
            if not retryable:
                raise
    raise Contended("What is asked for is being changed by others at the moment; try again.")


def transacted(build: Callable[[TransactWrite], None], claim: Claim | None = None) -> bool:
    """`transact`; False when a clause does not hold, which is a lost race."""
    try:
        transact(build, claim=claim)
    except ConditionFailed:
        return False
    return True


_CONFLICTS: Final = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "TransactionConflict",
        "TransactionInProgressException",
    }
)


def condition_failed(error: PynamoDBException) -> bool:
    """Whether a single write failed on its condition."""
    return _code(error) == "ConditionalCheckFailedException"


def _code(error: PynamoDBException) -> str | None:
    """The service's error code; None for an error of the connection, which has no response.

    PynamoDB's own property fails on those: botocore gives them a response that is None.
    """
    response = getattr(error.cause, "response", None) or {}
    code: str | None = response.get("Error", {}).get("Code")
    return code
