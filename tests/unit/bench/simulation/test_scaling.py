"""Scaling decisions, one data point at a time, against sequences worked out by hand."""

import pytest

from bench.simulation import assumptions
from bench.simulation.scaling import Autoscaler, Datapoint

NUMBERS = assumptions.load()


def autoscaler(max_instances: int = 20, **changes: object) -> Autoscaler:
    scaling = NUMBERS.scaling.model_copy(update=changes)
    return Autoscaler(scaling, NUMBERS.target_tracking, max_instances)


def decisions(scaler: Autoscaler, points: list[Datapoint], *, busy: bool = False) -> list[int]:
    return [scaler.decide(60.0 * minute, point, busy=busy) for minute, point in enumerate(points)]


def point(backlog: int, instances: int, peak: int | None = None) -> Datapoint:
    return Datapoint(backlog, backlog if peak is None else peak, instances)


def test_one_minute_of_backlog_without_capacity_wakes_one_instance() -> None:
    assert decisions(autoscaler(), [point(0, 0), point(1, 0)]) == [0, 1]


def test_waking_after_two_minutes_needs_two_minutes_in_a_row() -> None:
    points = [point(1, 0), point(0, 0), point(1, 0), point(1, 0)]
    assert decisions(autoscaler(wake_periods=2), points) == [0, 0, 0, 1]


def test_growth_waits_for_three_minutes_and_is_proportional() -> None:
    # 31 requests on 2 instances at a target of 3: 11 instances.
    assert decisions(autoscaler(), [point(31, 2)] * 3) == [2, 2, 11]


def test_growth_ends_at_the_maximum() -> None:
    assert decisions(autoscaler(max_instances=5), [point(90, 2)] * 3)[-1] == 5


def test_nothing_happens_while_an_instance_is_starting_but_alarms_go_on() -> None:
    scaler = autoscaler()
    assert decisions(scaler, [point(31, 2)] * 5, busy=True) == [2] * 5
    assert scaler.decide(600, point(31, 2), busy=False) == 11


def test_growth_waits_for_its_cooldown() -> None:
    scaler = autoscaler(scale_out_cooldown_seconds=120)
    assert decisions(scaler, [point(31, 2)] * 3)[-1] == 11  # at second 120
    assert scaler.decide(180, point(60, 11), busy=False) == 11
    assert scaler.decide(240, point(60, 11), busy=False) == 20


def test_ten_quiet_minutes_remove_a_quarter_of_the_instances() -> None:
    # 3 of 8 instances had work: 0.375 per instance is below 0.5.
    assert decisions(autoscaler(), [point(3, 8)] * 10) == [8] * 9 + [6]


def test_one_busy_moment_within_a_minute_restarts_the_count() -> None:
    points = [point(0, 1)] * 9 + [point(0, 1, peak=1)] + [point(0, 1)] * 9
    assert decisions(autoscaler(), points) == [1] * 19


def test_the_last_instance_goes_and_the_minimum_stays() -> None:
    assert decisions(autoscaler(), [point(0, 1)] * 10)[-1] == 0
    assert decisions(autoscaler(min_instances=1), [point(0, 1)] * 10)[-1] == 1


def test_shrinking_waits_for_its_cooldown() -> None:
    scaler = autoscaler(scale_in_cooldown_seconds=300)
    assert decisions(scaler, [point(0, 8)] * 10)[-1] == 6  # at second 540
    assert scaler.decide(780, point(0, 6), busy=False) == 6
    assert scaler.decide(840, point(0, 6), busy=False) == 5  # a quarter of 6 is 1.5


@pytest.mark.parametrize(("backlog", "expected"), [(1, 1), (0, 0)])
def test_scaling_in_by_target_tracking_drops_a_fresh_instance_once_its_request_is_done(
    backlog: int, expected: int
) -> None:
    """Why the recommended policy turns it off: its alarm has been on since the endpoint slept."""
    changes = NUMBERS.alternatives["aws_example"]
    scaler = autoscaler(**changes)
    decisions(scaler, [point(0, 0)] * 20)
    assert scaler.decide(1_260, point(backlog, 1), busy=False) == expected
