"""Uploads follow the volume and the profile of the day."""

import random

import pytest

from bench.simulation import arrivals, assumptions

WEIGHTS = assumptions.load().hourly_weights


def test_volume_and_hours_are_as_asked_for() -> None:
    days, per_day = 50, 1_000
    times = list(arrivals.upload_times(per_day, WEIGHTS, days, random.Random(1)))
    assert times == sorted(times)
    assert max(times) < days * arrivals.SECONDS_PER_DAY
    # Poisson: the standard deviation of 50,000 is 224.
    assert len(times) == pytest.approx(days * per_day, abs=4 * 224)
    evening = sum(int(time % 86_400 // 3_600) == 20 for time in times)
    expected = days * per_day * WEIGHTS[20] / sum(WEIGHTS)
    assert evening == pytest.approx(expected, abs=4 * expected**0.5)


def test_an_hour_without_weight_has_no_uploads() -> None:
    weights = [0.0] * 12 + [1.0] * 12
    times = arrivals.upload_times(5_000, weights, 2, random.Random(1))
    assert all(time % 86_400 >= 12 * 3_600 for time in times)
