"""`?dry_run=true`: what a request would do, and whether it would be refused; nothing is done.

The steps, their bounds and the statuses are read from the flow's declaration. A refusal by how
things stand (status, an operation under way, protection, quota) is told in the plan; a request that
makes no sense by itself is refused as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from chalicelib.api.response import Response, View, one_of
from chalicelib.domain.flows import Flow, Step, Waits
from chalicelib.domain.operations import OperationAction
from chalicelib.domain.quotas import RESOURCES, require_fit
from chalicelib.errors import CofferError, NotFound, Unauthorized
from chalicelib.settings import settings
from chalicelib.store import quotas
from chalicelib.store.models import Subject


class Refusal(View, frozen=True):
    """Why a request would be refused, as its answer would say it."""

    fault: str
    code: int
    message: str


class QuotaChange(View, frozen=True):
    """What the subject holds of a resource, and how that would change."""

    resource: Annotated[str, one_of(RESOURCES)]
    held: int
    change: int
    in_use: int
    limit: int


class PlannedStatus(View, frozen=True):
    """The status now, during the operation, and at each of its ends."""

    before: str
    during: str
    done: str
    undone: str | None
    failed: str


class PlannedStep(View, frozen=True):
    """A step, what it waits for, and how long it may take."""

    name: str
    waits_for: Annotated[str, one_of(Waits)]
    bound_seconds: float


class Plan(View, frozen=True):
    """What an operation would do. `behind`: the operation that it would wait for."""

    action: Annotated[str, one_of(OperationAction)]
    would_be_accepted: bool
    refusal: Refusal | None
    changes: Any
    quota: list[QuotaChange]
    behind: str | None
    status: PlannedStatus
    bound_seconds: float
    steps: list[PlannedStep]
    undoing: list[PlannedStep]
    can_be_cancelled: bool


class Planned(View, frozen=True):
    """The answer to a request with `dry_run`: nothing was done."""

    dry_run: Plan


def plan(
    row: Subject,
    flow: Flow,
    decide: Callable[[], tuple[Any, Mapping[str, int] | None]],
    behind: str | None = None,
) -> Response:
    """The plan of one operation on a subject, which may be one that is not there yet.

    `decide` gives what would change and what the subject would hold of the quota (None: what it
    holds), or raises what speaks against it. `behind` is the operation that would be waited for.
    """
    changes, holds, refusal = None, None, None
    try:
        changes, holds = decide()
    except (NotFound, Unauthorized):
        raise
    except CofferError as error:
        refusal = error
    quota, short = _quota(row, row.held if holds is None else holds)
    refusal = refusal or short
    told = Plan(
        action=flow.action,
        would_be_accepted=refusal is None,
        refusal=_told(refusal),
        changes=changes,
        quota=quota,
        behind=behind,
        status=PlannedStatus(
            before=row.status,
            during=flow.during,
            done=flow.done,
            undone=flow.undone if flow.undo else None,
            failed=flow.failed,
        ),
        bound_seconds=_bound(flow.timeout),
        steps=[_step(flow, each) for each in flow.steps],
        undoing=[_step(flow, each) for each in flow.undo],
        can_be_cancelled=flow.can_go_back(()),
    )
    return Response(200, Planned(told))


def _quota(row: Subject, holds: Mapping[str, int]) -> tuple[list[QuotaChange], CofferError | None]:
    """Each resource of which the subject holds something, and what does not fit."""
    stored = quotas.get_quota(row.tenant_id)
    used, limits = quotas.used_of(stored), quotas.limits_of(stored)
    before = {name: int(row.held.get(name, 0)) for name in RESOURCES}
    change = {name: int(holds.get(name, 0)) - before[name] for name in RESOURCES}
    told = [
        QuotaChange(name, before[name], change[name], used[name], int(limits[name]))
        for name in RESOURCES
        if before[name] or change[name]
    ]
    try:
        require_fit(used, {name: more for name, more in change.items() if more}, limits)
    except CofferError as error:
        return told, error
    return told, None


def _told(refusal: CofferError | None) -> Refusal | None:
    if refusal is None:
        return None
    return Refusal(refusal.fault, refusal.status, refusal.message)


def _step(flow: Flow, step: Step) -> PlannedStep:
    return PlannedStep(step.name, step.waits, _bound(step.timeout or flow.timeout))


def _bound(timeout: str) -> float:
    """The bound that a setting of that name is, in seconds."""
    return float(getattr(settings(), timeout))
