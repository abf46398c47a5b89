"""The API's handlers in this process, on the stack's tables: latency and CPU of reads."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any


def event(method: str, resource: str, parameters: dict[str, str], token: str) -> dict[str, Any]:
    """An API Gateway proxy event."""
    path = resource.format(**parameters)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {"X-Auth-Token": token, "Host": "bench", "Accept": "application/json"},
        "multiValueHeaders": {"X-Auth-Token": [token], "Host": ["bench"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": f"/api{path}",
            "stage": "api",
            "identity": {"sourceIp": "127.0.0.1"},
            "requestId": "bench",
        },
        "body": None,
        "isBase64Encoded": False,
    }


class Times:
    """Wall and CPU milliseconds of repeated calls."""

    def __init__(self, call: Callable[[], Any], runs: int) -> None:
        self.wall, self.cpu = [], []
        for _ in range(runs):
            wall, cpu = time.perf_counter(), time.process_time()
            answer = call()
            self.wall.append((time.perf_counter() - wall) * 1000)
            self.cpu.append((time.process_time() - cpu) * 1000)
            assert answer["statusCode"] == 200, answer
        self.rows = len(json.loads(answer["body"]).get("instances", [0]))

    @staticmethod
    def quantile(values: list[float], percent: int) -> float:
        """The value at a percentile."""
        return statistics.quantiles(values, n=100)[percent - 1]

    def row(self) -> tuple[str, ...]:
        """p50 and p99 of wall and CPU, formatted."""
        return tuple(
            f"{self.quantile(values, percent):.1f}"
            for values in (self.wall, self.cpu)
            for percent in (50, 99)
        )
