"""The alarms, by AWS's metrics and a few of Coffer's own, and the topic that they reach.

Each belongs to a section of docs/runbook.md, which its description names; a test compares the two.
What has to be looked at is one thing at a time: an alarm counts the failures of one kind of thing,
so that its name says where to look first.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from chalicelib import metrics
from chalicelib.domain.flows import FLOWS, LOOK
from infra.package import alarms_of_lines
from infra.package.alarm import (
    MINUTE,
    Alarm,
    Document,
    Metric,
    of_coffer,
    of_flow,
    of_function,
    of_queue,
)

Names = Iterable[tuple[str, str]]
"""Logical ids of functions with their names behind the prefix."""

METRICS: Final[Document] = {"Fn::Sub": "Coffer/${Prefix}"}
"""Namespace of what is counted from log lines: an account may have several deployments."""
LOG_ALARMS: Final = "LogAlarms"
FUNCTION_ERRORS: Final = 5
"""In five minutes: a step or a message that failed is tried again, and one failure is no news."""
LATE_HEARTBEAT_SECONDS: Final = 60
"""A message waits for a second. A guest is taken for silent after 360 (HeartbeatExpirySeconds)."""
OLD_MESSAGE_SECONDS: Final = 300
"""Two receives and more: the first may have met a container that died."""
REFUSED_MESSAGES: Final = 100
"""In five minutes: what one guest sends by mistake are a few, reporting every 150 seconds."""
HOT_TABLES: Final = ("Instances", "Operations", "ServiceStatuses", "Commands")
"""Those that every request, step or report goes to; the others follow them."""


def alarms(functions: Names) -> Iterator[Alarm]:
    """All of them."""
    functions = list(functions)
    yield from _of_queues()
    yield from _of_flows()
    yield from alarms_of_lines.alarms()
    for logical_id, name in functions:
        yield Alarm(
            f"{logical_id}Errors",
            f"{name}-errors",
            "function-errors",
            f"Function {name} has failed {FUNCTION_ERRORS} times in five minutes.",
            (of_function(logical_id, "Errors"),),
            FUNCTION_ERRORS,
        )
        yield Alarm(
            f"{logical_id}Throttled",
            f"{name}-throttled",
            "function-throttled",
            f"Function {name} was refused an execution.",
            (of_function(logical_id, "Throttles"),),
        )
    yield Alarm(
        "SweeperSilent",
        "sweeper-silent",
        "sweeper-silent",
        "The sweeper has not ended well for five minutes.",
        (of_function("Sweeper", "Invocations"), of_function("Sweeper", "Errors")),
        expression="FILL(m1, 0) - FILL(m2, 0)",
        falls_below=True,
    )
    api = {"ApiName": {"Ref": "Prefix"}, "Stage": "api"}
    yield Alarm(
        "ApiFails",
        "api-fails",
        "api-fails",
        "The API has answered five requests in five minutes with 5xx.",
        (Metric("AWS/ApiGateway", "5XXError", api),),
        5,
    )
    throttled = tuple(
        Metric("AWS/DynamoDB", f"{kind}ThrottleEvents", {"TableName": {"Ref": f"{table}Table"}})
        for table in HOT_TABLES
        for kind in ("Read", "Write")
    )
    total = " + ".join(f"FILL(m{number}, 0)" for number in range(1, len(throttled) + 1))
    yield Alarm(
        "TablesThrottled",
        "tables-throttled",
        "tables-throttled",
        "DynamoDB has refused reads or writes of the tables that everything goes to.",
        throttled,
        expression=total,
    )
    yield Alarm(
        "LogAlarm",
        "log-alarm",
        "log-alarm",
        "A function has logged a line with the field `alarm`.",
        (Metric(METRICS, LOG_ALARMS, {}),),
    )


def _of_queues() -> Iterator[Alarm]:
    yield Alarm(
        "DeadLettersArrive",
        "dead-letters-arrive",
        "dead-letters-arrive",
        "Messages were given up: five tries failed, or somebody sent what nobody can read.",
        # Of those that SQS moves here itself it counts none as sent.
        (of_queue("DeadLettersQueue", "NumberOfMessagesReceived"),),
    )
    yield Alarm(
        "HeartbeatsLate",
        "heartbeats-late",
        "heartbeats-late",
        "Reports of guests wait; soon instances will be shown as silent.",
        (of_queue("HeartbeatsQueue", "ApproximateAgeOfOldestMessage"),),
        LATE_HEARTBEAT_SECONDS,
        statistic="Maximum",
        period=MINUTE,
        periods=3,
    )
    yield Alarm(
        "MessagesRefused",
        "messages-refused",
        "messages-refused",
        f"The bus has refused {REFUSED_MESSAGES} messages in five minutes.",
        (of_coffer(metrics.REFUSALS),),
        REFUSED_MESSAGES,
    )
    for queue, name in (
        ("TaskManagerQueue", "taskmanager"),
        ("ConductorQueue", "conductor"),
        ("DeadLettersQueue", "dead-letters"),
    ):
        yield Alarm(
            f"{queue}Late",
            f"{name}-queue-late",
            "queue-late",
            f"A message waits in the queue {name}, and nobody handles it.",
            (of_queue(queue, "ApproximateAgeOfOldestMessage"),),
            OLD_MESSAGE_SECONDS,
            statistic="Maximum",
            period=MINUTE,
            periods=3,
        )


def _of_flows() -> Iterator[Alarm]:
    for flow in (*FLOWS, LOOK):
        machine = "".join(word.title() for word in flow.split("_"))
        name = flow.replace("_", "-")
        yield Alarm(
            f"{machine}Fails",
            f"{name}-fails",
            "flow-fails",
            f"Executions of {name} have failed.",
            (of_flow(machine, "ExecutionsFailed"),),
            {"Ref": "FailedExecutions"},
            period=15 * MINUTE,
        )
    yield Alarm(
        "FlowsThrottled",
        "flows-throttled",
        "flows-throttled",
        "Step Functions has held back transitions of this account's executions.",
        (Metric("AWS/States", "ThrottledEvents", {"ServiceMetric": "StateTransition"}),),
    )


def resources(functions: Names) -> Document:
    """The alarms, what counts the lines that are alarms, and the topic."""
    functions = list(functions)
    found: Document = {each.logical_id: each.rendered() for each in alarms(functions)}
    for logical_id, _ in functions:
        found[f"{logical_id}LogAlarms"] = _counter(logical_id)
    return found | _topic()


def _counter(logical_id: str) -> Document:
    """Counts the lines of a function that carry the kind of an alarm."""
    counted = {"MetricNamespace": METRICS, "MetricName": LOG_ALARMS, "MetricValue": "1"}
    return {
        "Type": "AWS::Logs::MetricFilter",
        "Condition": "OnAws",
        "Properties": {
            "LogGroupName": {"Ref": f"{logical_id}Logs"},
            "FilterPattern": "{ $.alarm = * }",
            "MetricTransformations": [counted],
        },
    }


def _topic() -> Document:
    encrypted = ["KeyEncryptsAll", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]
    return {
        "AlarmTopic": {
            "Type": "AWS::SNS::Topic",
            "Condition": "MakesTopic",
            "Properties": {
                "TopicName": {"Fn::Sub": "${Prefix}-alarms"},
                "KmsMasterKeyId": {"Fn::If": encrypted},
            },
        },
        "AlarmSubscription": {
            "Type": "AWS::SNS::Subscription",
            "Condition": "WritesToAddress",
            "Properties": {
                "TopicArn": {"Ref": "AlarmTopic"},
                "Protocol": "email",
                "Endpoint": {"Ref": "AlarmEmail"},
            },
        },
    }
