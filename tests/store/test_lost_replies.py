"""A reply that never came is no answer of DynamoDB: it has no code, and stays what it is."""

from __future__ import annotations

from botocore.exceptions import ReadTimeoutError
from pynamodb.exceptions import PutError

from chalicelib.store.base import condition_failed


def test_a_lost_reply_is_no_failed_condition() -> None:
    assert not condition_failed(PutError("lost", ReadTimeoutError(endpoint_url="dynamodb")))
