"""One process that writes a backup of so many MiB and reads it back: its peak memory, in MiB.

`python -m tests.guest_agent.backups.measured URL MIB`; half of the data can be compressed.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from chalicelib import aws
from chalicelib.bus.contract.arguments import StoredBackup
from guest_agent.backups.calls import HttpSend
from guest_agent.backups.reader import Reader
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.writer import Writer
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Credentials
from tests.guest_agent.backups.objects import ONE, Lender, Objects

LOCATION = f"tenant/{ONE}"
HALF_BYTES = 512 * 1024


def store(url: str) -> S3Store:
    """A store at that endpoint, for an hour."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    lent = msgspec.structs.replace(
        Lender(Objects()).ask(), endpoint=url, credentials=Credentials("a", "s", "t", expires)
    )
    return S3Store(lambda: lent, ServiceClock(), aws.event(), HttpSend())


def data(mib: int) -> Iterator[bytes]:
    for _ in range(mib):
        yield os.urandom(HALF_BYTES) + bytes(HALF_BYTES)


def main() -> None:
    url, mib = sys.argv[1], int(sys.argv[2])
    idle = _peak()
    began = time.monotonic()
    made = Writer(store(url), ONE, LOCATION, lambda _: None)
    made.write(data(mib))
    told = made.finish(engine_version="1")
    written, peak_written = time.monotonic(), _peak()
    backup = StoredBackup(ONE, LOCATION, told.checksum)
    assert sum(map(len, Reader(store(url), backup, lambda _: None).chunks())) == mib * 1024**2
    figures = {
        "idle": idle,
        "written": peak_written,
        "read": _peak(),
        "write_mib_s": mib / (written - began),
        "read_mib_s": mib / (time.monotonic() - written),
    }
    sys.stdout.write(json.dumps(figures))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
