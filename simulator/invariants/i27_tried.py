"""I27: a request that is only tried (`dry_run`) changes nothing and tells nobody."""

from __future__ import annotations

from typing import Final

from simulator.aws.dynamodb.values import Item
from simulator.aws.sqs.queues import Message
from simulator.invariants.base import Invariant
from simulator.invariants.hub import Exchange
from simulator.template import PREFIX

_TABLES: Final = (
    *("instances", "operations", "arguments", "commands", "calls", "kept-replies", "guests"),
    *("service-statuses", "quotas", "events", "rollouts", "jobs"),
    *("configurations", "attachments", "backups", "backup-schedules", "archives"),
)


class Tried(Invariant):
    """Looks at each write of a table and each message of a request that asks for a plan."""

    id = "I27"
    title = "A request that is only tried changes nothing"

    def watch(self) -> None:
        for table in _TABLES:
            self.hub.on_write(table, self._written)
        self.hub.on_message(self._sent)
        self.hub.on_reply(self._replied)

    def _replied(self, exchange: Exchange) -> None:
        if exchange.tried and exchange.reply.status == 200:
            self.exercised += 1

    def _written(self, _: Item | None, new: Item | None) -> None:
        if self._tries():
            self.broken("a row was written for a request that was only tried", _instance_of(new))

    def _sent(self, queue: str, _: Message) -> None:
        if self._tries():
            self.broken(f"a message was sent to {queue} for a request that was only tried")

    def _tries(self) -> bool:
        invocation = self.hub.invocation(f"{PREFIX}-api")
        query = invocation.event.get("queryStringParameters") if invocation is not None else None
        return (query or {}).get("dry_run") == "true"


def _instance_of(row: Item | None) -> str | None:
    found = (row or {}).get("instance_id") or (row or {}).get("id")
    return str(found) if found else None
