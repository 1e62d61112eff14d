"""What an endpoint reports, under CloudWatch's names.

https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

NAMESPACE = "AWS/SageMaker"


@dataclass(frozen=True)
class EndpointMetrics:
    """A snapshot. Counters count from the start of the service."""

    queued: int
    in_progress: int
    instances: int
    """In service: started, healthy, not being stopped."""
    oldest_request_seconds: float
    """Age of the oldest queued request; 0 when there is none."""
    processed: int = 0
    """Requests that ended with an output object."""
    failed: int = 0
    """Requests that ended with a failure, expired ones included."""
    expired: int = 0
    model_seconds: float = 0
    """Time spent in POST /invocations, all requests together."""

    @property
    def backlog(self) -> int:
        """ApproximateBacklogSize: waiting or being processed.

        AWS documents it so. Users report that it drops when a request is picked up; a scale-in
        rule should therefore not rely on it alone.
        """
        return self.queued + self.in_progress

    @property
    def backlog_per_instance(self) -> float | None:
        """ApproximateBacklogSizePerInstance; None with no instance, which is why a target
        tracking policy on it alone never wakes an endpoint."""
        return self.backlog / self.instances if self.instances else None

    @property
    def has_backlog_without_capacity(self) -> bool:
        return self.queued > 0 and self.instances == 0


def to_cloudwatch(
    endpoint_name: str, now: EndpointMetrics, before: EndpointMetrics | None
) -> "Iterator[MetricDatumTypeDef]":
    """The data points of one period: states as they are now, counters since `before`."""
    states: dict[str, float | None] = {
        "ApproximateBacklogSize": now.backlog,
        "ApproximateBacklogSizePerInstance": now.backlog_per_instance,
        "ApproximateAgeOfOldestRequest": now.oldest_request_seconds if now.queued else None,
        "HasBacklogWithoutCapacity": float(now.has_backlog_without_capacity),
        "InvocationsProcessed": now.processed - (before.processed if before else 0),
        "InvocationFailures": now.failed - (before.failed if before else 0),
        "ExpiredRequests": now.expired - (before.expired if before else 0),
    }
    for name, value in states.items():
        if value is not None:
            yield {
                "MetricName": name,
                "Value": value,
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint_name}],
            }
