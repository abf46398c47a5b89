"""I13: every reply fits the published schema; no 500."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from chalicelib.status import Status
from simulator.invariants.base import Exchange, Invariant
from simulator.template import PREFIX

EMPTY: Final = frozenset({202, 204})
KILLED: Final = frozenset({"Runtime.ExitError", "Sandbox.Timedout"})
"""How an invocation ends that a fault has killed: API Gateway answers in its place."""

_INSTANCE: Final[dict[str, Any]] = {
    "id": str,
    "name": str,
    "status": str,
    "operating_status": str,
    "created": str,
    "updated": str,
    "datastore": dict,
    "flavor": dict,
    "volume": dict,
    "links": list,
}
_SHAPES: Final[tuple[tuple[re.Pattern[str], str, dict[str, Any]], ...]] = (
    (re.compile(r"/v1\.0/[^/]+/instances(/detail)?"), "instances", _INSTANCE),
    (re.compile(r"/v1\.0/[^/]+/instances/[^/]+"), "instance", _INSTANCE),
    (re.compile(r"/v1\.0/[^/]+/instances/[^/]+/users"), "users", {"name": str, "host": str}),
    (re.compile(r"/v1\.0/[^/]+/instances/[^/]+/databases"), "databases", {"name": str}),
    (
        re.compile(r"/v1\.0/[^/]+/instances/[^/]+/operations"),
        "operations",
        {"id": str, "action": str, "status": str, "steps": list},
    ),
    (
        re.compile(r"/v1\.0/[^/]+/events"),
        "events",
        {"id": str, "instance_id": str, "kind": str, "created": str},
    ),
    (re.compile(r"/v1\.0/[^/]+/flavors"), "flavors", {"id": object, "name": str, "ram": int}),
    (re.compile(r"/v1\.0/[^/]+/datastores"), "datastores", {"id": str, "name": str}),
)
STATUSES: Final = frozenset(status for status in Status if status is not Status.DELETED)


class Replies(Invariant):
    """Looks at each reply: its status, and the shape of its body."""

    id = "I13"
    title = "Every reply fits the published schema; no 500"

    def watch(self) -> None:
        self.hub.on_reply(self._replied)

    def _replied(self, exchange: Exchange) -> None:
        self.exercised += 1
        reply = exchange.reply
        where = f"{exchange.method} {_general(exchange.path)} was answered {reply.status}"
        try:
            document = reply.document
        except ValueError:
            self.broken(f"{where} with what is no JSON: {reply.body[:60]!r}")
            return
        if reply.status >= 400:
            self._refused(where, reply.status, document)
        elif document is None:
            if reply.status not in EMPTY:
                self.broken(f"{where} with an empty body")
        else:
            self._accepted(where, exchange, document)

    def _refused(self, where: str, status: int, document: Any) -> None:
        fault = next(iter(document.values()), None) if isinstance(document, dict) else None
        if not isinstance(fault, dict) or len(document) != 1 or fault.get("code") != status:
            self.broken(f"{where} without a fault: {json.dumps(document)[:120]}")
        elif not isinstance(fault.get("message"), str) or not fault["message"]:
            self.broken(f"{where} without a message")
        elif status == 500:
            self.broken(f"{where}: {self._why(fault['message'])}")

    def _why(self, message: str) -> str:
        """What the log says about the request that the message names."""
        request = message.rpartition("(")[2].rstrip(").")
        return next((said for line, said in self.hub.raised if request in line), message)

    def _accepted(self, where: str, exchange: Exchange, document: Any) -> None:
        path = exchange.path.partition("?")[0]
        for pattern, name, shape in _SHAPES:
            if exchange.method == "GET" and pattern.fullmatch(path):
                if path.endswith("/detail") and name == "instance":
                    continue
                content = document.get(name) if isinstance(document, dict) else None
                things = content if isinstance(content, list) else [content]
                if name.endswith("s") != isinstance(content, list):
                    self.broken(f"{where} without {name!r}")
                for thing in things:
                    self._fits(where, thing, shape)
                return
        if not isinstance(document, dict):
            self.broken(f"{where} with what is no object")

    def _fits(self, where: str, thing: Any, shape: dict[str, Any]) -> None:
        if not isinstance(thing, dict):
            self.broken(f"{where} with {thing!r}")
            return
        for name, kind in shape.items():
            if name not in thing and name in ("operating_status", "created", "updated"):
                continue  # a list shows less than a detail
            if not isinstance(thing.get(name), kind):
                self.broken(f"{where}: {name} is {thing.get(name)!r}")
        if shape is _INSTANCE and thing.get("status") not in STATUSES:
            self.broken(f"{where}: a status {thing.get('status')!r} that no client sees")

    def check(self) -> None:
        """An API that ended by itself, rather than by a fault, has raised what it must not."""
        errors = self.hub.run.region.lambda_.functions[f"{PREFIX}-api"].errors
        for name, count in errors.items():
            if name not in KILLED:
                self.broken(f"the API ended {count} times with {name}")


def _general(path: str) -> str:
    """A path without what names one thing."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", path)
