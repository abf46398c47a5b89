"""The Chalice app: the API, and the handlers of queues and schedules. No logic.

Queues and schedules are wired to the functions in `infra/template`, which can say what Chalice's
decorators cannot (partial batch failures, redrive, concurrency).
"""

from __future__ import annotations

from typing import Any

from chalicelib import batch, logs
from chalicelib.api import create_app
from chalicelib.conductor import dead_letters as dead_letter_reports
from chalicelib.conductor import heartbeats as heartbeat_reports
from chalicelib.conductor import reports
from chalicelib.settings import settings
from chalicelib.taskmanager import dispatcher as hints
from chalicelib.taskmanager import sweeper as sweeps

logs.set_up(settings().log_level, settings().prefix)

app = create_app()

Event = dict[str, Any]


@app.lambda_function(name="dispatcher")
def dispatcher(event: Event, _: object) -> batch.Answer:
    """Queue `taskmanager`: start accepted operations."""
    return batch.each(event, lambda record: hints.receive(record["body"]))


@app.lambda_function(name="conductor")
def conductor(event: Event, _: object) -> batch.Answer:
    """Queue `conductor`: results, progress and reports of the guests."""
    return batch.each(event, lambda record: reports.receive(record["body"]))


@app.lambda_function(name="heartbeats")
def heartbeats(event: Event, _: object) -> batch.Answer:
    """Queue `heartbeats`: what the guests report of themselves, a hundred at once."""
    return heartbeat_reports.receive(event)


@app.lambda_function(name="dead_letters")
def dead_letters(event: Event, _: object) -> batch.Answer:
    """Queue `dead-letters`: count what is poisoned, send back what is healthy."""
    return dead_letter_reports.receive(event)


@app.lambda_function(name="sweeper")
def sweeper(event: Event, _: object) -> dict[str, int]:
    """Every minute: repeat what was lost, and tell which schedules are due."""
    return sweeps.minute()
