"""What an alarm is, and the metrics it can look at."""

from typing import Any, Final, NamedTuple

from chalicelib import metrics

Document = dict[str, Any]

MINUTE: Final = 60
TOPIC: Final[Document] = {"Fn::If": ["HasTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AlarmTopic"}]}


class Metric(NamedTuple):
    """One metric of AWS: its namespace, its name and what it is of."""

    namespace: str | Document
    name: str
    dimensions: Document

    def rendered(self) -> Document:
        """As an alarm and a metric query have it."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions.items()]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}


class Alarm(NamedTuple):
    """What raises it: the metric, or the `expression` over several, reaches `least`.

    `period` is in seconds; so many `periods` in a row have to be so. `says` is for who is woken.
    A percentile (`p99`) of few samples changes nothing.
    """

    logical_id: str
    name: str
    section: str
    says: str
    metrics: tuple[Metric, ...]
    least: float | Document = 1
    statistic: str = "Sum"
    period: int = 5 * MINUTE
    periods: int = 1
    expression: str = ""
    falls_below: bool = False

    def rendered(self) -> Document:
        """The resource; only AWS has alarms that ring."""
        below, above = "LessThanThreshold", "GreaterThanOrEqualToThreshold"
        properties = {
            "AlarmName": {"Fn::Sub": f"${{Prefix}}-{self.name}"},
            "AlarmDescription": f"{self.says} See docs/runbook.md, {self.section}.",
            "ComparisonOperator": below if self.falls_below else above,
            "Threshold": self.least,
            "EvaluationPeriods": self.periods,
            "TreatMissingData": "breaching" if self.falls_below else "notBreaching",
            "AlarmActions": [TOPIC],
            "OKActions": [TOPIC],
        }
        return {
            "Type": "AWS::CloudWatch::Alarm",
            "Condition": "OnAws",
            "Properties": properties | (self._math() if self.expression else self._metric()),
        }

    def _metric(self) -> Document:
        (metric,) = self.metrics
        stated: Document = {"Statistic": self.statistic}
        if self.statistic.startswith("p"):
            few = {"EvaluateLowSampleCountPercentile": "ignore"}
            stated = {"ExtendedStatistic": self.statistic, **few}
        return metric.rendered() | stated | {"Period": self.period}

    def _math(self) -> Document:
        """Metrics are m1, m2, … in the expression."""
        stated = {"Stat": self.statistic, "Period": self.period}
        queries: list[Document] = [
            {"Id": f"m{number}", "ReturnData": False, "MetricStat": {"Metric": each.rendered()}}
            for number, each in enumerate(self.metrics, start=1)
        ]
        for query in queries:
            query["MetricStat"] |= stated
        return {"Metrics": [{"Id": "all", "Expression": self.expression}, *queries]}


def of_coffer(metric: metrics.Metric, **dimensions: str) -> Metric:
    """A metric that the functions put into their log lines, of this deployment."""
    named = {metrics.DEPLOYMENT: {"Ref": "Prefix"}, **dimensions}
    return Metric(metrics.NAMESPACE, metric.name, named)


def of_function(logical_id: str, name: str) -> Metric:
    """A metric of a function."""
    return Metric("AWS/Lambda", name, {"FunctionName": {"Ref": logical_id}})


def of_queue(logical_id: str, name: str) -> Metric:
    """A metric of a queue."""
    return Metric("AWS/SQS", name, {"QueueName": {"Fn::GetAtt": [logical_id, "QueueName"]}})


def of_flow(logical_id: str, name: str) -> Metric:
    """A metric of a state machine."""
    return Metric("AWS/States", name, {"StateMachineArn": {"Ref": logical_id}})
