"""I11: no secret in a log line, a queue body in clear, a status text or an execution's input."""

from __future__ import annotations

import json
import logging
import traceback
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from chalicelib.domain.user_data import CONFIGURATION_PATH
from chalicelib.logs import JsonFormatter
from chalicelib.parameters import CONTROL_KEYS, GUEST_KEYS
from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.aws.stepfunctions.execution import Execution
from simulator.effects import Effect
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange, Hub
from simulator.invariants.mail import Mail
from simulator.invariants.marks import SECRET_MARK
from simulator.invariants.rows import changed
from simulator.services import SERVICE_PASSWORD

MARKS: Final = (SECRET_MARK, "secret-of-ASIA", "token-of-ASIA")
MOST_RECENT: Final = 256
SHORTEST: Final = 6
_TEXTS: Final = {
    "instances": ("fault_message",),
    "operations": ("reason", "cancelled", "notes"),
    "commands": ("error",),
    "events": ("message",),
}


class Secrets(Invariant):
    """Looks for passwords, keys, credentials and tokens wherever text leaves its place.

    Those that a run has made lately are looked for; a workload's own carry a mark besides.
    """

    id = "I11"
    title = "No secret in a log line, a queue body, a status text or an execution"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._recent: deque[str] = deque(maxlen=MOST_RECENT)
        self._form = JsonFormatter()
        self._mail = Mail(hub.run.region)
        self._always = (*MARKS, SERVICE_PASSWORD, *self._master_keys())

    def _master_keys(self) -> Iterator[str]:
        for ring in (GUEST_KEYS, CONTROL_KEYS):
            yield from self._mail.master_keys(ring).values()

    def watch(self) -> None:
        hub = self.hub
        hub.on_reply(self._replied)
        hub.on_message(self._sent)
        hub.on_effect("stepfunctions", self._called)
        hub.on_effect("openstack", self._booted)
        hub.on_closed(self._closed)
        for table, names in _TEXTS.items():
            hub.on_write(table, self._texts_of(names))
        hub.on_line(self._written)

    # ------------------------------------------------------------------- what is secret

    def add(self, text: str) -> None:
        """Look for this text from now on."""
        if len(text) >= SHORTEST and text not in self._recent:
            self._recent.append(text)

    def _replied(self, exchange: Exchange) -> None:
        for body in (exchange.body, exchange.reply.body):
            if b"password" in body or b'"token"' in body:
                for secret in _named(_decoded(body)):
                    self.add(secret)

    def _booted(self, effect: Effect) -> None:
        if effect.call == "servers.create":
            document = _decoded(str(effect.what["user_data"]).partition("\n")[2].encode())
            for file in (document or {}).get("write_files", ()):
                if file["path"] == CONFIGURATION_PATH:
                    self.add(str(json.loads(file["content"])["enrolment_token"]))

    # ------------------------------------------------------------------ where it may not be

    def look(self, where: str, text: str) -> None:
        """Look at a text."""
        self.exercised += 1
        for secret in (*self._always, *self._recent):
            if secret in text:
                at = text.index(secret)
                self.broken(f"{where} tells a secret: …{text[max(0, at - 80) : at]}[it]")
                return

    def _written(self, record: logging.LogRecord) -> None:
        self.look(f"a log line of {record.name}", self._form.format(record))
        if record.exc_info and record.exc_info[1] is not None:
            raised = (record.getMessage(), _place_of(record.exc_info[1]))
            self.hub.raised.append(raised)

    def _sent(self, queue: str, message: Message) -> None:
        body = message.body
        for mark in self._always:
            if mark in body:
                self.look(f"a message on {queue}", body)
        self.exercised += 1

    def _called(self, effect: Effect) -> None:
        for name in ("input", "output", "error"):
            if name in effect.what:
                self.look(f"{effect.call}'s {name}", str(effect.what[name]))

    def _closed(self, execution: Execution) -> None:
        for name in ("input", "output", "cause"):
            text = getattr(execution, name)
            if text:
                self.look(f"the {name} of an execution", str(text))
        for _, kind, name, detail in execution.history:
            if detail is not None and "Scheduled" not in kind:
                self.look(f"the history of an execution ({kind} {name})", str(detail))

    def _texts_of(self, names: tuple[str, ...]) -> Any:
        def written(old: Item | None, new: Item | None) -> None:
            if new is None:
                return
            for name in names:
                if name in new and changed(old, new, name):
                    self.look(f"{name} of {new.get('id')}", str(new[name]))

        return written


def _place_of(error: BaseException) -> str:
    """What was raised, and the last place in our own code that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if "/chalicelib/" in each.filename] or list(frames)
    place = f" at {own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {error}{place}"


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _named(document: Any) -> Iterator[str]:
    """The values under names of secrets, however deep."""
    if isinstance(document, dict):
        for name, value in document.items():
            if isinstance(value, str) and name in ("password", "root_password", "token"):
                yield value
            else:
                yield from _named(value)
    elif isinstance(document, list):
        for value in document:
            yield from _named(value)
