"""Fills a new deployment's tables with what it offers: the datastores, and the cloud's flavors."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Final

import requests

from infra import commands
from infra.errors import NotAnsweringError, StackError
from infra.package.sources import PROJECT_ROOT
from infra.target import Target

MIRROR_ATTEMPTS: Final = 3
API_TIMEOUT_SECONDS: Final = 30.0
SEED_TIMEOUT_SECONDS: Final = 60
PAUSE_SECONDS: Final = 0.2


def seed(target: Target, prefix: str) -> None:
    """Put the datastores on offer into the tables, in a process with the functions' environment."""
    environment = {**os.environ, **target.environment(), "COFFER_PREFIX": prefix}
    commands.run(
        [sys.executable, "-m", "infra.seed"],
        "The datastores could not be stored",
        "The list is infra/datastores.yaml.",
        seconds=SEED_TIMEOUT_SECONDS,
        error=StackError,
        environment=environment,
        folder=PROJECT_ROOT,
    )


def mirror_flavors(target: Target, function: str) -> None:
    """Have the task manager copy Nova's flavors: its first call of the cloud as its own user.

    A function that starts cold at a busy Nova may take longer than it is given; the next is warm.
    """
    refused: str | None = None
    for _ in range(MIRROR_ATTEMPTS):
        refused = invoke(target, function, {"step": "mirror_flavors"})
        if refused is None:
            return
    raise StackError(
        f"The task manager could not mirror the flavors: {str(refused)[:500]}",
        "Its log: coffer logs taskmanager-cloud, on AWS /aws/lambda/<prefix>-taskmanager-cloud",
    )


def complete(target: Target, prefix: str) -> bool:
    """Whether the tables have been filled: the flavors come last."""
    found = target.client("dynamodb").scan(TableName=f"{prefix}-flavors", Limit=1)
    return bool(found["Items"])


def invoke(target: Target, function: str, payload: object) -> str | None:
    """Invoke a function and wait; returns the text of its error or failure, or None."""
    answer = target.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps(payload).encode()
    )
    text = str(answer["Payload"].read().decode())
    failed = answer.get("FunctionError") or '"failed"' in text
    return text if failed else None


def wait_for_api(url: str) -> None:
    """Wait until the version document answers through the gateway."""
    deadline = time.monotonic() + API_TIMEOUT_SECONDS
    last = ""
    while time.monotonic() < deadline:
        try:
            response = requests.get(f"{url}/", timeout=API_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            last = str(error)
        else:
            if response.ok:
                return
            last = f"{response.status_code} {response.text[:300]}"
        time.sleep(PAUSE_SECONDS)
    raise NotAnsweringError(
        f"The API did not answer within {API_TIMEOUT_SECONDS:.0f} s; its last answer: {last}",
        "Its log: coffer logs api",
    )
