"""The alarms on what the functions measure themselves, in the lines of their log.

AWS's own metrics tell a function that failed; these tell work that ended badly in one that did not.
A threshold is above what one instance or one guest can cause alone, or is a share of all.
"""

from collections.abc import Iterator
from typing import Final

from chalicelib import metrics
from infra.package.alarm import MINUTE, Alarm, of_coffer

STATUS_CLASSES: Final = ("2xx", "4xx", "5xx")
FAILED_SHARE: Final = 5
"""Percent of the requests in five minutes; `api-fails` counts single ones."""
LEAST_REQUESTS: Final = 100
SLOW_REQUEST_MS: Final = 10_000
"""A guest has twice as long to answer, and API Gateway gives up after 29 seconds."""
FAILED_OPERATIONS: Final = 10
"""In fifteen minutes, of all kinds: single ones ring by their flow."""
TIMED_OUT_CALLS: Final = 75
"""In five minutes: a hung guest makes 60, with four calls in flight of twenty seconds each."""
LATE_SHARE: Final = 10
"""Percent of the heartbeats in five minutes, of twenty at least."""
LEAST_HEARTBEATS: Final = 20
LOG_LAG_SECONDS: Final = 900
"""What a customer does to a volume of its own is one log of many; a store that is away is all."""
STUCK_LOG_SECONDS: Final = 3600
"""Of a single one. It rings for one customer, as a damaged backup does: who relies on moments
finds out too late, and the log has a share of the volume only. One that does not run tells none."""
LOG_GAPS: Final = 5
"""In fifteen minutes: a log that breaks again and again is followed each ten minutes at most."""
REFUSED_HEARTBEATS: Final = 20
"""In five minutes: those of ten guests, which report every 150 seconds."""


def alarms() -> Iterator[Alarm]:
    """All of them."""
    yield from _of_requests()
    yield Alarm(
        "OperationsFail",
        "operations-fail",
        "operations-fail",
        f"{FAILED_OPERATIONS} operations, of whatever kind, have failed in fifteen minutes.",
        (of_coffer(metrics.OPERATION_MS, outcome="failed"),),
        FAILED_OPERATIONS,
        statistic="SampleCount",
        period=15 * MINUTE,
    )
    yield Alarm(
        "GuestsSilent",
        "guest-calls-time-out",
        "guest-calls-time-out",
        f"{TIMED_OUT_CALLS} calls in five minutes were not answered by their guests.",
        (of_coffer(metrics.GUEST_CALL_MS, outcome="timeout"),),
        TIMED_OUT_CALLS,
        statistic="SampleCount",
    )
    yield Alarm(
        "HeartbeatsOverdue",
        "heartbeats-overdue",
        "heartbeats-late",
        f"{LATE_SHARE}% of the heartbeats came when the next one was due.",
        (of_coffer(metrics.HEARTBEATS_LATE), of_coffer(metrics.HEARTBEATS)),
        LATE_SHARE,
        expression=f"IF(m2 >= {LEAST_HEARTBEATS}, 100 * FILL(m1, 0) / m2, 0)",
    )
    yield Alarm(
        "LogsLag",
        "logs-lag",
        "logs-lag",
        "Of half of the databases whose log is archived nothing has been for fifteen minutes.",
        (of_coffer(metrics.LOG_LAG_SECONDS),),
        LOG_LAG_SECONDS,
        statistic="p50",
        periods=3,
    )
    yield Alarm(
        "LogStuck",
        "log-stuck",
        "logs-lag",
        "Of a database whose log is archived nothing has been for an hour.",
        (of_coffer(metrics.LOG_LAG_SECONDS),),
        STUCK_LOG_SECONDS,
        statistic="Maximum",
        periods=3,
    )
    yield Alarm(
        "LogGaps",
        "log-gaps",
        "log-gaps",
        f"{LOG_GAPS} archives of logs have ended with a gap in fifteen minutes.",
        (of_coffer(metrics.LOG_GAPS),),
        LOG_GAPS,
        period=15 * MINUTE,
    )
    yield Alarm(
        "HeartbeatsRefused",
        "heartbeats-refused",
        "messages-refused",
        f"{REFUSED_HEARTBEATS} heartbeats were refused in five minutes.",
        (of_coffer(metrics.HEARTBEATS_REFUSED),),
        REFUSED_HEARTBEATS,
    )
    yield Alarm(
        "UnknownVersions",
        "unknown-version",
        "unknown-version",
        "For half an hour there have been messages of a release that this one does not read.",
        (of_coffer(metrics.REFUSALS, reason="UnknownVersion"),),
        period=15 * MINUTE,
        periods=2,
    )
    yield Alarm(
        "BackupsUnsound",
        "backup-unsound",
        "backup-unsound",
        "A backup was tried out and cannot be restored.",
        (of_coffer(metrics.BACKUPS_UNSOUND),),
    )


def _of_requests() -> Iterator[Alarm]:
    classes = tuple(of_coffer(metrics.REQUEST_MS, status_class=each) for each in STATUS_CLASSES)
    total = " + ".join(f"FILL(m{number}, 0)" for number in range(1, len(classes) + 1))
    failed = f"FILL(m{len(classes)}, 0)"
    yield Alarm(
        "RequestsFail",
        "requests-fail",
        "requests-fail",
        f"{FAILED_SHARE}% of the requests in five minutes were answered with 5xx.",
        classes,
        FAILED_SHARE,
        statistic="SampleCount",
        expression=f"IF({total} >= {LEAST_REQUESTS}, 100 * {failed} / ({total}), 0)",
    )
    yield Alarm(
        "RequestsSlow",
        "requests-slow",
        "requests-slow",
        "One request in a hundred that were done took ten seconds, for fifteen minutes.",
        (of_coffer(metrics.REQUEST_MS, status_class="2xx"),),
        SLOW_REQUEST_MS,
        statistic="p99",
        periods=3,
    )
