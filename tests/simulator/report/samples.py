"""Results as a run hands them back, made from a seed: what the report and the command line draw."""

from __future__ import annotations

import math
import random

from simulator.result import (
    ActionResult,
    Cost,
    FaultLane,
    FaultResult,
    InvariantResult,
    Result,
    Series,
    ViolationResult,
)

FAULTS = {
    "F1": "duplicate delivery",
    "F3": "delay",
    "F5": "function crash",
    "F7": "throttling and 5xx",
    "F8": "unknown commit",
    "F10": "clock skew",
    "F20": "outage and recovery storm",
}
INVARIANTS = {
    "I1": "Only transitions that the lifecycle table allows.",
    "I3": "At most one live operation per instance.",
    "I5": "Quota used equals the sum over what exists or is being made.",
    "I12": "Every completed backup has all its ancestors.",
    "L1": "Every accepted operation reached a terminal state, and its reason is told.",
    "L9": "The same seed gives the same trace, byte for byte.",
}


def result(
    seed: int = 7,
    *,
    guests: int = 1000,
    samples: int = 289,
    step_seconds: float = 300.0,
    broken: bool = False,
) -> Result:
    """A day of a fleet with an outage in its middle."""
    stream = random.Random(seed)
    seconds = step_seconds * max(0, samples - 1)
    return Result(
        scenario="storm",
        seed=seed,
        guests=guests,
        virtual_seconds=seconds,
        wall_seconds=93.4,
        setup_wall_seconds=4.1,
        events=4_812_337,
        trace_hash="9f3c" * 16,
        guest_hours=guests * seconds / 3600,
        asked=64_000,
        operations={
            "create": ActionResult(12_410, 12_201, 150, 59, 41.2, 93.5, 312.0, 2710.5),
            "delete": ActionResult(11_903, 11_903, 0, 0, 12.4, 38.8, 120.2, 601.3),
            "list users": ActionResult(30_228, 30_004, 224, 0, 0.41, 1.9, 8.2, 20.0),
            "restart": ActionResult(),
        },
        faults=_faults(stream),
        invariants=_invariants(broken, seconds),
        calls={
            "dynamodb": {"UpdateItem": 1_204_331, "GetItem": 840_220, "TransactWriteItems": 99_003},
            "sqs": {"ReceiveMessage": 2_400_111, "SendMessage": 1_300_050},
            "stepfunctions": {"StartExecution": 24_313},
        },
        retries=8_211,
        replies={"200": 80_211, "202": 24_313, "404": 1_208, "422": 640, "503": 77},
        cost=Cost(
            per_guest_month=0.0934,
            by_service={
                "SQS": 0.051,
                "DynamoDB": 0.029,
                "Lambda": 0.0131,
                "Step Functions": 0.0003,
            },
            assumptions=[
                "List prices of us-east-1, without a free tier.",
                "A month has 730 hours.",
            ],
        ),
        series=_series(stream, guests, samples, step_seconds),
        plan={
            "scenario": "storm",
            "guests": guests,
            "hours": seconds * 0.9 / 3600,
            "faults": {"F1": 0.21},
        },
    )


def _faults(stream: random.Random) -> dict[str, FaultResult]:
    found = {
        id_: FaultResult(title, round(stream.random() / 3, 3), stream.randrange(9000), True)
        for id_, title in FAULTS.items()
    }
    found["F2"] = FaultResult("reorder", None, 0, True)
    found["F18"] = FaultResult("object store", None, 0, False, "nothing uses the object store yet")
    return found


def _invariants(broken: bool, seconds: float) -> dict[str, InvariantResult]:
    found = {id_: InvariantResult(title, "holds") for id_, title in INVARIANTS.items()}
    found["I12"] = InvariantResult(INVARIANTS["I12"], "not reached", "there are no backups yet")
    if broken:
        timeline = [
            "12 h 3 min   operation create accepted",
            "12 h 3 min   fault F5: step boot_server killed after its effect 2",
            "12 h 4 min   cloud: server made twice",
        ]
        instance = "5a0c3e1e-94b5-4f7e-8d6f-4a4f5d0b7c11"
        found["I3"] = InvariantResult(
            INVARIANTS["I3"],
            "broken",
            violations=[
                ViolationResult(seconds * 0.505, instance, "two live operations", timeline),
                ViolationResult(seconds * 0.61, None, "three live operations"),
            ],
        )
    return found


def _series(stream: random.Random, guests: int, samples: int, step_seconds: float) -> Series:
    series = Series(
        time=[index * step_seconds for index in range(samples)],
        status={name: [] for name in ("BUILD", "ACTIVE", "ERROR", "SHUTDOWN")},
        queues={
            name: []
            for name in ("heartbeats", "conductor", "taskmanager", "guests", "dead-letters")
        },
    )
    failed = 0
    for index in range(samples):
        share = index / max(1, samples - 1)
        storm = math.exp(-(((share - 0.55) / 0.03) ** 2))
        building = int(guests * (0.03 + 0.1 * storm) * stream.uniform(0.6, 1.2))
        failed = max(0, failed + stream.randrange(-2, 3) + int(6 * storm))
        leaving = int(guests * 0.02 * stream.uniform(0.5, 1.5))
        counts = {"BUILD": building, "ERROR": failed, "SHUTDOWN": leaving}
        counts["ACTIVE"] = max(0, guests - sum(counts.values()))
        for name, number in counts.items():
            series.status[name].append(number)
        depths = {
            "heartbeats": int(guests * storm * 5 + stream.randrange(9)),
            "conductor": int(guests * storm + stream.randrange(30)),
            "taskmanager": stream.randrange(6) + int(80 * storm),
            "guests": stream.randrange(40),
            "dead-letters": 0,
        }
        for name, number in depths.items():
            series.queues[name].append(number)
        series.live_operations.append(building + leaving)
        quiet = stream.random() < 0.15 or 0.48 < share < 0.52
        series.latency_p50.append(None if quiet else 30 * stream.uniform(0.8, 1.2) + 200 * storm)
        series.latency_p95.append(None if quiet else 90 * stream.uniform(0.7, 1.6) + 1500 * storm)
        series.calls.append(int(guests * (14 + 40 * storm) * stream.uniform(0.9, 1.1)))
        before = series.cost[-1] if series.cost else 0.0
        series.cost.append(before + series.calls[-1] * 4.1e-7)
    end = step_seconds * max(0, samples - 1)
    series.faults = [
        FaultLane("F1", 0.0, end * 0.9),
        FaultLane("F3", end * 0.1, end * 0.9),
        FaultLane("F5", 0.0, end * 0.9),
        FaultLane("F10", 0.0, end * 0.9),
        FaultLane("F20", end * 0.48, end * 0.52),
    ]
    series.faults += [
        FaultLane("F7", start, start + end * stream.uniform(0.002, 0.02))
        for start in (end * 0.9 * stream.random() for _ in range(24))
    ]
    return series
