"""L10: while nothing is broken on purpose, no function errs, times out, is refused or gives up."""

from __future__ import annotations

import logging
import re
from math import inf
from typing import Final

from chalicelib.lifecycle import Status
from chalicelib.settings import settings
from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.invariants.rows import changed
from simulator.template import PREFIX

BUSY: Final = 503
NOT_SUPPORTED: Final = 501
"""A refusal like any other; I30 looks whether it is one."""
_OF_A_GUEST: Final = re.compile(r"/v1\.0/[^/]+/instances/([^/]+)/(users|databases|root)")
"""The requests that are passed on to a guest, and whose instance they are about."""


class FairWeather(Invariant):
    """Counts what functions, the dead letters and the API say when no fault class is on."""

    id = "L10"
    title = "In fair weather no function errs or times out, and nothing is given up"

    def watch(self) -> None:
        self._replaced: dict[str, float] = {}
        """When each instance's guest was replaced or expelled last."""
        self.hub.on_reply(self._replied)
        self.hub.on_write("instances", self._instance)
        self.hub.on_line(self._line)

    def _instance(self, old: Item | None, new: Item | None) -> None:
        if old is not None and new is not None and changed(old, new, "generation"):
            self._replaced[new["id"]] = self.hub.run.kernel.now

    def _line(self, record: logging.LogRecord) -> None:
        """No report is refused but of a guest that is the instance's no more."""
        said = record.__dict__
        if not self.hub.calm or (said.get("kind"), said.get("outcome")) != ("report", "refused"):
            return
        self.exercised += 1
        whose = said.get("instance_id")
        row = self.hub.row("instances", whose) if whose is not None else None
        is_present = row is not None and int(row["generation"]) == said.get("generation")
        if whose is None or (row is not None and is_present and row["status"] != Status.DELETED):
            self.broken(f"a {said.get('report', 'report')} was refused: {said['error']}", whose)

    def _replied(self, exchange: Exchange) -> None:
        status = exchange.reply.status
        failed = status >= 500 and status != NOT_SUPPORTED
        if self.hub.calm and failed and not self._guest_had_no_time(exchange):
            message = exchange.reply.body[:200].decode(errors="replace")
            self.broken(f"{exchange.method} was answered {status}: {message}")

    def _guest_had_no_time(self, exchange: Exchange) -> bool:
        """Whether a guest could not answer: its database is dead, and its agent says so at once; or
        it was waited for as long as a request may, and its server is off, its database hangs, it is
        still at work on what came before, or it was expelled or replaced meanwhile."""
        found = _OF_A_GUEST.match(exchange.path)
        if exchange.reply.status != BUSY or not found:
            return False
        guests = self.hub.run.fleet.of_instance(found[1])
        if any(each.power and not each.up for each in guests):
            return True
        waited = self.hub.run.kernel.now - exchange.begun
        gone = self._replaced.get(found[1], -inf) >= exchange.begun
        return waited >= settings().guest_call_seconds and (
            gone or any(each.stuck or not each.power or each.at_work for each in guests)
        )

    def check(self) -> None:
        if not self.hub.calm:
            return
        region = self.hub.run.region
        for name, function in region.lambda_.functions.items():
            self.exercised += function.invocations
            if function.throttles:
                self.broken(f"{name} was throttled")
            for error in function.errors:
                self.broken(f"{name} ended with {error}")
        if sum(region.sqs.queues[f"{PREFIX}-dead-letters"].counts(self.hub.run.kernel.now)):
            self.broken("there are dead letters")
