"""The client that PynamoDB is given: every call is an effect of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.aws.dynamodb.service import DynamoDB
from simulator.effects import Effects


class DynamoDBClient:
    """Stands where PynamoDB's connection keeps its botocore client."""

    _request_signer = None

    def __init__(self, service: DynamoDB, effects: Effects) -> None:
        self.service = service
        self.exceptions = service.exceptions
        self._effects = effects

    def _make_api_call(self, operation: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return self._effects.perform(
            "dynamodb", operation, lambda: self.service._make_api_call(operation, kwargs), **kwargs
        )
