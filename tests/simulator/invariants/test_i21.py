"""I21, broken on purpose, is told."""

from __future__ import annotations

from datetime import UTC, datetime

from chalicelib import aws
from chalicelib.store.models import Arguments, Operation
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import operation, told_by


def gone_too_early(deployment: Deployment) -> None:
    in_a_day = datetime.fromtimestamp(int(aws.clock()) + 86400, UTC)
    operation(deployment).update(actions=[Operation.expires.set(in_a_day)])


def kept_for_ever(deployment: Deployment) -> None:
    operation(deployment).update(actions=[Operation.expires.remove()])


def arguments_left(deployment: Deployment) -> None:
    in_a_day = datetime.fromtimestamp(int(aws.clock()) + 86400, UTC)
    Arguments(operation(deployment).id, sealed="x", expires=in_a_day).save()


test_a_broken_promise_is_told = told_by("I21", gone_too_early, kept_for_ever, arguments_left)
