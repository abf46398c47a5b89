"""Bugs of requests that are sent more than once with one Idempotency-Key, or only tried."""

from __future__ import annotations

from chalicelib import aws
from chalicelib.api import idempotency
from chalicelib.api.frame import Request
from chalicelib.api.idempotency import Once
from chalicelib.api.response import Response
from tests.saboteurs.registry import Patch, saboteur


@saboteur("keys", "I10", seeds=10)
def a_reply_kept_apart(patch: Patch) -> None:
    """What is answered is kept with the key behind the acceptance, not in its transaction."""
    patch.setattr(Request, "keeping", lambda *_: None)


@saboteur("keys", "I10")
def any_request_with_the_key(patch: Patch) -> None:
    """A key that is known is answered, whatever the request says."""
    patch.setattr(idempotency, "_digest", lambda _: "")


@saboteur("plans", "I27")
def a_plan_that_is_carried_out(patch: Patch) -> None:
    """What is only to be tried is done."""
    patch.setattr(Request, "dry_run", False)


@saboteur("keys", "I10", seeds=10)
def another_command_each_time(patch: Patch) -> None:
    """A call to a guest that is sent again is a new one to the guest."""

    def begun(once: Once, reply: Response) -> tuple[Response, str]:
        command_id = aws.new_id()
        if once.known is None:
            once.keeping(reply, command_id).put_alone()
        return reply, command_id

    patch.setattr(Once, "begun", begun)
