"""The CPU of heartbeats that are written: in this process, and in the emulator's worker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from chalicelib import aws
from chalicelib.bus import keys
from chalicelib.bus.envelope import Direction, Envelope, seal
from chalicelib.conductor import heartbeats
from chalicelib.store.models import ServiceStatusRow
from tests.acceptance.stack import Stack, eventually

GUESTS: Final = 1000
LIFE_SECONDS: Final = 300.0
SEND_AT_ONCE: Final = 10
WRITTEN_WITHIN: Final = 120.0
WORKER: Final = "coffer-heartbeats"


def guest_ids() -> list[str]:
    """Guests that are rows and keys, nothing else."""
    return [f"{number:08d}-0000-4000-9000-000000000000" for number in range(GUESTS)]


def make_rows() -> None:
    """A first report of each."""
    with ServiceStatusRow.batch_write() as batch:
        for each in guest_ids():
            batch.save(
                ServiceStatusRow(instance_id=each, generation=1, status="healthy", updated=1.0)
            )


def bodies(round_number: int) -> Iterator[str]:
    """A sealed heartbeat of each, worth writing: another epoch than the last."""
    version = keys.guest_ring().current
    now = aws.clock()
    for each in guest_ids():
        beat = Envelope(
            id=aws.new_id(),
            instance_id=each,
            generation=1,
            epoch=round_number,
            seq=1,
            kind="heartbeat",
            issued_at=now,
            expires_at=now + LIFE_SECONDS,
            key_version=version,
            result={"status": "healthy", "volume": {"used": 0.5, "total": 1.0}},
        )
        key = keys.guest_key(each, 1, Direction.TO_CONTROL, version, epoch=round_number)
        yield seal(beat, Direction.TO_CONTROL, key)


def in_process(round_number: int, at_once: int) -> float:
    """CPU seconds of the handler in this process, for batches of that size."""
    sealed = list(bodies(round_number))
    began = time.process_time()
    for start in range(0, len(sealed), at_once):
        records = [{"body": each, "messageId": "m"} for each in sealed[start : start + at_once]]
        assert heartbeats.receive({"Records": records}) == {"batchItemFailures": []}
    return time.process_time() - began


def in_worker(stack: Stack, round_number: int) -> tuple[float, int]:
    """CPU seconds of the function's workers, and how many of them there were, for the same."""
    sqs = stack.aws("sqs")
    url = sqs.get_queue_url(QueueName=WORKER)["QueueUrl"]
    sealed = list(bodies(round_number))
    before = {each: _cpu_seconds([each]) for each in workers()}
    for start in range(0, len(sealed), SEND_AT_ONCE):
        entries: list[Any] = [
            {"Id": str(number), "MessageBody": body}
            for number, body in enumerate(sealed[start : start + SEND_AT_ONCE])
        ]
        assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    def written() -> bool:
        rows = ServiceStatusRow.scan(ServiceStatusRow.epoch == round_number, consistent_read=True)
        return sum(1 for _ in rows) == GUESTS

    eventually(written, WRITTEN_WITHIN, "every heartbeat is written")
    after = workers()
    return _cpu_seconds(after) - sum(before.get(each, 0.0) for each in after), len(after)


def workers() -> list[psutil.Process]:
    """The emulator's processes that run the function now."""
    return [each for each in psutil.process_iter() if _function(each) == WORKER]


def _function(process: psutil.Process) -> str | None:
    """By its folder: a forked process shows the environment of the one that has forked it."""
    try:
        folder = Path(process.cwd()).parent.name
    except psutil.Error:
        return None
    return folder.removeprefix("ministack-lambda-").rpartition("-")[0]


def _cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system for each in times))
