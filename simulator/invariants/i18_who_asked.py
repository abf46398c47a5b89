"""I18: whatever was accepted of a tenant says who asked for it, and with which request; and each
request for a change, accepted or refused, leaves its audit record."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from simulator.aws.dynamodb.values import Item
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange, Hub

REQUEST_ID: Final = "X-OpenStack-Request-Id"
MOST_REMEMBERED: Final = 1000
"""Lines of requests whose answer was lost on its way."""
_SERVERS: Final = "/guest/"
"""Requests of guests: no user asks for anything with them."""
_UNAVAILABLE: Final = 503


class WhoAsked(Invariant):
    """Looks at each event that is written, and at the line of each request that is answered."""

    id = "I18"
    title = "Every change says who asked for it, and every request for one has its audit record"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._lines: deque[logging.LogRecord] = deque(maxlen=MOST_REMEMBERED)

    def watch(self) -> None:
        self.hub.on_write("events", self._written)
        self.hub.on_line(self._line)
        self.hub.on_reply(self._replied)

    def _written(self, old: Item | None, new: Item | None) -> None:
        if old is not None or new is None or not str(new["kind"]).endswith(".accepted"):
            return
        self.exercised += 1
        said = ("user_id", "user_tenant_id", "request_id")
        if missing := [name for name in said if not new.get(name)]:
            self.broken(f"{new['kind']} without {' and '.join(missing)}", str(new["scope"]))

    def _line(self, record: logging.LogRecord) -> None:
        if getattr(record, "kind", None) == "request":
            self._lines.append(record)

    def _replied(self, exchange: Exchange) -> None:
        request_id = exchange.reply.headers.get(REQUEST_ID)
        if exchange.method == "GET" or _SERVERS in exchange.path or request_id is None:
            return
        told = next((each for each in self._lines if _of(each, "request_id") == request_id), None)
        self.exercised += 1
        if told is None:
            self.broken(f"{exchange.method} {exchange.path} left no line in the log")
            return
        self._lines.remove(told)
        if exchange.tried or str(_of(told, "action")).endswith(" none"):
            return
        if not _of(told, "audit") or _of(told, "status") != exchange.reply.status:
            self.broken(f"{exchange.method} {exchange.path} left no audit record of its answer")
        elif self._is_known(exchange, told) and (
            (_of(told, "tenant_id"), bool(_of(told, "admin"))) != (exchange.tenant, exchange.admin)
        ):
            self.broken(f"the audit record of {exchange.path} names somebody else")

    @staticmethod
    def _is_known(exchange: Exchange, told: logging.LogRecord) -> bool:
        """Who asks is unknown while Keystone, which alone could tell, does not answer (F20)."""
        return exchange.reply.status != _UNAVAILABLE or _of(told, "user_id") is not None


def _of(record: logging.LogRecord, name: str) -> object:
    return getattr(record, name, None)
