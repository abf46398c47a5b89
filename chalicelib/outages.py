"""Which errors of AWS mean "not now": a service that is throttled, down or out of reach.

boto3 has tried again by then; whoever asked us is told to come back (503), not that we are broken.
"""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException, VerboseClientError

OUTAGES: Final = (BotoCoreError, ClientError, PynamoDBException)
"""What the calls of AWS raise, for an `except` in front of `is_outage`."""

_CODES: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def is_outage(error: Exception) -> bool:
    """Whether the same call may succeed later; anything else is a mistake of ours."""
    while isinstance(error, PynamoDBException):
        if error.cause is None:
            return False
        error = error.cause
    if isinstance(error, VerboseClientError) and isinstance(error.__cause__, ClientError):
        error = error.__cause__  # PynamoDB's copy leaves the HTTP status out
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response["Error"]["Code"] in _CODES or status >= 500
    return isinstance(error, BotoCoreError)
