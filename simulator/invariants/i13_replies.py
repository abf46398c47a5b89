"""I13: every reply is as the published document says; no 500."""

from __future__ import annotations

import re
from typing import Any, Final

from simulator.described import published
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.template import PREFIX

KILLED: Final = frozenset({"Runtime.ExitError", "Sandbox.Timedout"})
"""How an invocation ends that a fault has killed: API Gateway answers in its place."""


class Replies(Invariant):
    """Holds each reply against the document: its status, its media type, its body."""

    id = "I13"
    title = "Every reply is as the published document says; no 500"

    def watch(self) -> None:
        self._document = published()  # once, before the run is copied: each copy would make it
        self.hub.on_reply(self._replied)

    def _replied(self, exchange: Exchange) -> None:
        self.exercised += 1
        reply = exchange.reply
        where = f"{exchange.method} {_general(exchange.path)} was answered {reply.status}"
        media_type = reply.headers.get("Content-Type", "")
        complaint = self._document.complaint(
            exchange.method, exchange.path, reply.status, media_type, reply.body
        )
        if complaint is not None:
            self.broken(f"{where}: {complaint}")
        elif reply.status == 500:
            self.broken(f"{where}: {self._why(reply.document)}")

    def _why(self, document: Any) -> str:
        """What the log says about the request that the fault names."""
        message = str(next(iter(document.values()))["message"])
        request = message.rpartition("(")[2].rstrip(").")
        return next((said for line, said in self.hub.raised if request in line), message)

    def check(self) -> None:
        """An API that ended by itself, rather than by a fault, has raised what it must not."""
        errors = self.hub.run.region.lambda_.functions[f"{PREFIX}-api"].errors
        for name, count in errors.items():
            if name not in KILLED:
                self.broken(f"the API ended {count} times with {name}")


def _general(path: str) -> str:
    """A path without what names one thing."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", path)
