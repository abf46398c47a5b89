"""What a run would cost on AWS: list prices of us-east-1, without a free tier."""

from __future__ import annotations

from typing import Final

from simulator.result import Cost
from simulator.world import World

PRICES: Final = {
    "read unit": 0.125e-6,
    "write unit": 0.625e-6,
    "sqs request": 0.40e-6,
    "state transition": 25e-6,
    "invocation": 0.20e-6,
    "gb second": 16.6667e-6,
    "api request": 3.50e-6,
    "s3 write": 5e-6,
    "s3 read": 0.4e-6,
    "kms request": 3e-6,
}
"""Dollars for one; DynamoDB on demand, Lambda on x86, standard workflows."""

_S3: Final = {
    "PutObject": PRICES["s3 write"],
    "ListObjectsV2": PRICES["s3 write"],
    "GetObject": PRICES["s3 read"],
    "HeadObject": PRICES["s3 read"],
}
"""What a delete costs is nothing."""

HOURS_A_MONTH: Final = 730.0
ASSUMPTIONS: Final = (
    "List prices of us-east-1, without a free tier; CloudWatch and transfer are not counted.",
    "Of S3 its requests alone: a simulated database has next to no data, a real one's is stored.",
    "Lambda is billed for its virtual seconds, in which a call of AWS takes 2 to 6 ms.",
    "Idle long polls of the guests and of the event source mappings are counted by arithmetic.",
)


def by_service(world: World) -> dict[str, float]:
    """Dollars since the begin, by service."""
    region = world.region
    calls = world.calls_by_service()
    mappings = region.mappings.values()
    receives = sum(each.receives + each.idle_receives(world.elapsed) for each in mappings)
    functions = region.lambda_.functions.values()
    seconds = sum(each.seconds * each.memory_mib / 1024 for each in functions)
    invocations = sum(each.invocations for each in functions)
    transitions = region.states.transitions
    return {
        "DynamoDB": sum(region.dynamodb.read_units.values()) * PRICES["read unit"]
        + region.dynamodb.write_units.total() * PRICES["write unit"],
        "SQS": (sum(calls.get("sqs", {}).values()) + receives + world.fleet.receives)
        * PRICES["sqs request"],
        "Step Functions": transitions * PRICES["state transition"],
        "Lambda": invocations * PRICES["invocation"] + seconds * PRICES["gb second"],
        "S3": sum(_S3.get(call, 0.0) * many for call, many in calls.get("s3", {}).items()),
        "KMS": sum(calls.get("kms", {}).values()) * PRICES["kms request"],
        "API Gateway": region.lambda_.functions["coffer-api"].invocations * PRICES["api request"],
    }


def of(world: World, guest_hours: float) -> Cost:
    """The cost of a guest and month, from what was used in so many hours."""
    spent = by_service(world)
    hours = max(guest_hours, 1e-9)
    scaled = {name: dollars / hours * HOURS_A_MONTH for name, dollars in spent.items()}
    return Cost(
        per_guest_month=sum(scaled.values()), by_service=scaled, assumptions=list(ASSUMPTIONS)
    )
