"""I8: no guest runs a command that was meant for another generation."""

from __future__ import annotations

from chalicelib.bus.envelope import Direction
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Hub
from simulator.invariants.mail import Mail
from simulator.template import PREFIX


class Generations(Invariant):
    """Opens each result a guest sends: what it has run must have been its own command."""

    id = "I8"
    title = "No guest runs a command that was meant for another generation"

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._mail = Mail(hub.run.region)

    def watch(self) -> None:
        self.hub.on_message(self._sent)

    def _sent(self, queue: str, message: Message) -> None:
        if queue != f"{PREFIX}-conductor" or not self.hub.is_guest():
            return
        report = self._mail.opened(message.body, Direction.TO_CONTROL)
        if report is None or report.kind != "result" or report.error is not None:
            return
        self.exercised += 1
        row = self.hub.row("commands", report.id)
        if row is None:
            self.broken(f"{report.method} {report.id} was never sent", report.instance_id)
        elif (row["instance_id"], row["generation"]) != (report.instance_id, report.generation):
            text = f"generation {report.generation} ran {report.method} {report.id}, "
            text += f"which was for {row['generation']} of {row['instance_id']}"
            self.broken(text, report.instance_id)
