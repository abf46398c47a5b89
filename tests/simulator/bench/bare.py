"""What a heartbeat costs without any simulation: sealed, handled and written to a dict.

The shipped code alone (envelope, Chalice's entry, conductor, the store's requests) with a client of
DynamoDB that takes every write. A simulated fleet can't be faster than this.

python -m tests.simulator.bench.bare GUESTS
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from app import heartbeats
from chalicelib.bus import keys
from chalicelib.bus.envelope import Direction
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Session
from guest_agent.memory import Memory
from guest_agent.outbox import Outbox
from simulator.plan import Plan
from simulator.run import Run

ROUNDS: Final = 3
BATCH: Final = 100
STATE: Final = {"status": "healthy", "volume": {"used": 0.2, "total": 1.0}, "rejected": 0}
TABLE: Final = "coffer-service-statuses"
FIELDS: Final = ("generation", "epoch", "seq", "status", "updated", "volume_used", "rejected")


class TakesAll:
    """A client of DynamoDB for heartbeats: a dict that neither parses nor checks anything."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.writes = 0

    def _make_api_call(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "BatchGetItem":
            keys_of = asked["RequestItems"][TABLE]["Keys"]
            rows = [self.rows[each["instance_id"]["S"]] for each in keys_of]
            return {"Responses": {TABLE: rows}, "UnprocessedKeys": {}}
        values = asked["ExpressionAttributeValues"]
        row = self.rows[asked["Key"]["instance_id"]["S"]]
        for name in FIELDS:
            row[name] = values[f":{name}" if name != "updated" else ":now"]
        self.writes += 1
        return {}


class Sent:
    """The queues of a guest, of which only the heartbeats are used."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def adopt(self, session: Session) -> None:
        """Nothing is connected."""

    def beat(self, body: str) -> None:
        """Keep what was sent."""
        self.bodies.append(body)


def guest(session: Session, number: int, sent: Any, clock: ServiceClock) -> Outbox:
    """The outbox of one guest, with keys of its own."""
    instance_id = f"{number:036d}"
    key = keys.guest_key(instance_id, 1, Direction.TO_CONTROL, session.key_version, session.epoch)
    own = type(session.keys)(session.keys.to_guest, base64.b64encode(key).decode())
    outbox = Outbox(sent, clock, Memory())
    fields = {name: getattr(session, name) for name in session.__struct_fields__}
    outbox.adopt(type(session)(**{**fields, "instance_id": instance_id, "keys": own}))
    return outbox


def row(instance_id: str) -> dict[str, Any]:
    """What a row says before the first heartbeat."""
    zeros = {name: {"N": "0"} for name in FIELDS}
    known = {"instance_id": {"S": instance_id}, "status": {"S": ""}, "generation": {"N": "1"}}
    return {**zeros, **known}


def main(guests: int) -> None:
    run = Run(Plan(guests=1))
    try:
        run._set_up()
        session = next(iter(run.world.fleet)).memory.session
        assert session is not None
        table, sent, clock = TakesAll(), Sent(), ServiceClock()
        run.world.region.provider._simulated["dynamodb"] = table
        fleet = [guest(session, number, sent, clock) for number in range(guests)]
        table.rows = {f"{number:036d}": row(f"{number:036d}") for number in range(guests)}
        seconds = min(_round(run, fleet, sent) for _ in range(ROUNDS))
        assert table.writes == guests * ROUNDS
    finally:
        run.close()
    sys.stdout.write(json.dumps({"heartbeats": guests, "cpu": seconds}) + "\n")


def _round(run: Run, fleet: list[Outbox], sent: Sent) -> float:
    """One heartbeat of each guest, a minute after the one before; CPU seconds."""
    run.world.kernel.now += 60.0
    began = time.process_time()
    for outbox in fleet:
        outbox.heartbeat(STATE)
    for begin in range(0, len(sent.bodies), BATCH):
        batch = enumerate(sent.bodies[begin : begin + BATCH])
        records = [{"body": body, "messageId": str(number)} for number, body in batch]
        assert heartbeats({"Records": records}, None) == {"batchItemFailures": []}
    sent.bodies.clear()
    return time.process_time() - began


if __name__ == "__main__":
    main(int(sys.argv[1]))
