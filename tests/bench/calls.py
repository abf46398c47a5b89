"""AWS calls by operation, from the effects that the functions and guests write down, and prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from chalicelib.crash import LOG_NAME
from simulator.cost import PRICES
from tests.bench.tables import console, table

SERVICES = {
    "DynamoDB": {
        "GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem",
        "BatchWriteItem", "TransactWriteItems",
    },
    "SQS": {
        "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "CreateQueue",
        "DeleteQueue",
    },
    "Step Functions": {"StartExecution", "SendTaskSuccess", "DescribeExecution"},
    "STS": {"AssumeRole"},
    "SSM": {"GetParameter"},
}  # fmt: skip

READS = {"GetItem", "BatchGetItem", "Query", "Scan"}
TRANSACTION_WRITES = 12  # six items at most, each billed as two
BILLED_SECONDS = 0.1


class Effect(NamedTuple):
    """A call that was answered: when (seconds since the epoch), in which scope, its name."""

    at: float
    scope: str
    name: str


@dataclass
class Calls:
    """The calls of one operation, by name; names with a dot are OpenStack's."""

    by_name: Counter[str] = field(default_factory=Counter)
    invocations: int = 0
    transitions: int = 0
    api_requests: int = 0

    @property
    def by_service(self) -> dict[str, int]:
        """Calls to each AWS service."""
        return {
            service: found
            for service, names in SERVICES.items()
            if (found := sum(self.by_name[name] for name in names))
        }

    @property
    def aws(self) -> int:
        """All AWS calls."""
        return sum(self.by_service.values())

    @property
    def openstack(self) -> int:
        """All OpenStack calls."""
        return sum(count for name, count in self.by_name.items() if "." in name)

    @property
    def dollars(self) -> float:
        """What it costs at list price, pollers of the event source mappings apart."""
        reads = sum(self.by_name[name] for name in READS)
        writes = self.by_name["PutItem"] + self.by_name["UpdateItem"] + self.by_name["DeleteItem"]
        writes += self.by_name["TransactWriteItems"] * TRANSACTION_WRITES
        return (
            reads * PRICES["read unit"]
            + writes * PRICES["write unit"]
            + self.by_service.get("SQS", 0) * PRICES["sqs request"]
            + self.transitions * PRICES["state transition"]
            + self.invocations * (PRICES["invocation"] + BILLED_SECONDS / 2 * PRICES["gb second"])
            + self.api_requests * PRICES["api request"]
        )


class Counting:
    """Counts between two looks at the effects log of a stack."""

    def __init__(self, plan: Path) -> None:
        self.log = plan / LOG_NAME
        self.log.touch()
        self.log.chmod(0o666)
        self.begin()

    def begin(self) -> None:
        """Forget what was counted so far."""
        self._from = self.log.stat().st_size

    def seen(self) -> list[Effect]:
        """Effects since `begin`, in the order of their times."""
        with self.log.open() as log:
            log.seek(self._from)
            lines = [line.split() for line in log if line.endswith("\n")]
        return sorted(Effect(float(at), scope, name) for at, scope, name in lines)

    def counted(self) -> Counter[tuple[str, str]]:
        """Effects since `begin`, by (scope, name)."""
        return Counter((each.scope, each.name) for each in self.seen())


def show_calls(measured: Mapping[str, Calls]) -> None:
    """Print the calls and the price of each operation by its name."""
    shown = table(
        "Calls of one operation, warm, counted in the functions and in the guest",
        "", "DynamoDB", "SQS", "States", "STS", "AWS", "OpenStack", "transitions", "$ per 1000",
    )  # fmt: skip
    for label, calls in measured.items():
        services = calls.by_service
        shown.add_row(
            label,
            *(str(services.get(name, 0)) for name in ("DynamoDB", "SQS", "Step Functions", "STS")),
            str(calls.aws),
            str(calls.openstack),
            str(calls.transitions),
            f"{calls.dollars * 1000:.4f}",
        )
    console.print(shown)
