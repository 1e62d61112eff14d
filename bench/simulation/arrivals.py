"""Uploads as a Poisson process whose rate follows the hour of the day."""

import random
from collections.abc import Iterator, Sequence

SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR


def upload_times(
    videos_per_day: float, hourly_weights: Sequence[float], days: int, chance: random.Random
) -> Iterator[float]:
    """Upload times in seconds, in order, over `days` days.

    Thinning (Lewis and Shedler 1979): candidates at the peak rate, each kept with the
    probability that its hour's rate has of the peak.
    """
    mean = sum(hourly_weights) / len(hourly_weights)
    peak = max(hourly_weights)
    peak_per_second = videos_per_day / SECONDS_PER_DAY * peak / mean
    now = chance.expovariate(peak_per_second)
    while now < days * SECONDS_PER_DAY:
        hour = int(now % SECONDS_PER_DAY // SECONDS_PER_HOUR)
        if chance.random() * peak < hourly_weights[hour]:
            yield now
        now += chance.expovariate(peak_per_second)
