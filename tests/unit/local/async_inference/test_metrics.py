import dataclasses

from local.async_inference.metrics import EndpointMetrics, to_cloudwatch

IDLE = EndpointMetrics(queued=0, in_progress=0, instances=0, oldest_request_seconds=0)


def values(now: EndpointMetrics, before: EndpointMetrics | None = None) -> dict[str, float]:
    data = list(to_cloudwatch("endpoint", now, before))
    assert all(
        point["Dimensions"] == [{"Name": "EndpointName", "Value": "endpoint"}] for point in data
    )
    return {point["MetricName"]: point["Value"] for point in data}


def test_a_backlog_without_instances_has_no_size_per_instance() -> None:
    waiting = dataclasses.replace(IDLE, queued=3, oldest_request_seconds=7)
    seen = values(waiting)
    assert seen["ApproximateBacklogSize"] == 3
    assert seen["HasBacklogWithoutCapacity"] == 1
    assert seen["ApproximateAgeOfOldestRequest"] == 7
    assert "ApproximateBacklogSizePerInstance" not in seen


def test_the_backlog_counts_what_is_in_progress() -> None:
    seen = values(dataclasses.replace(IDLE, queued=3, in_progress=2, instances=2))
    assert seen["ApproximateBacklogSize"] == 5
    assert seen["ApproximateBacklogSizePerInstance"] == 2.5
    assert seen["HasBacklogWithoutCapacity"] == 0


def test_counters_are_reported_as_what_a_period_added() -> None:
    before = dataclasses.replace(IDLE, processed=5, failed=2, expired=1)
    seen = values(dataclasses.replace(IDLE, processed=9, failed=4, expired=1), before)
    assert seen["InvocationsProcessed"] == 4
    assert seen["InvocationFailures"] == 2
    assert seen["ExpiredRequests"] == 0
