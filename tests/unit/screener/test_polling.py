from itertools import accumulate

import pytest

from screener.polling import (
    GROWTH,
    GROWTH_OF_MANY_ITEMS,
    first_wait_seconds,
    growth,
    next_wait_seconds,
)


def looks(expected_seconds: float, until: float) -> list[int]:
    """Seconds after the request of each look."""
    waits = [first_wait_seconds(expected_seconds)]
    while sum(waits) < until:
        waits.append(next_wait_seconds(sum(waits), expected_seconds, GROWTH))
    return list(accumulate(waits))


def test_an_unknown_analysis_is_looked_for_at_once_and_then_ever_less_often() -> None:
    assert looks(0, 50) == [1, 2, 3, 4, 6, 9, 13, 18, 23, 28, 33, 38, 43, 48, 53]


def test_a_known_analysis_is_looked_for_at_its_end_and_soon_after() -> None:
    assert looks(45, 70) == [47, 51, 55, 60, 66, 72]
    assert looks(15.08, 20) == [16, 17, 18, 19, 20]


@pytest.mark.parametrize("expected_seconds", [10, 45, 90, 1_000])
@pytest.mark.parametrize("ratio", [0.96, 1, 1.04])
def test_a_result_at_its_expected_time_costs_one_look_and_is_noticed_in_time(
    expected_seconds: float, ratio: float
) -> None:
    ready = expected_seconds * ratio
    (look,) = looks(expected_seconds, ready)
    assert look - ready <= max(5, 0.1 * ready + 1)


@pytest.mark.parametrize("expected_seconds", [0, 10, 45])
@pytest.mark.parametrize("ready", [46, 60, 100, 600, 7_200, 21_600])
def test_a_late_result_never_lies_unnoticed_for_long(expected_seconds: float, ready: int) -> None:
    assert looks(expected_seconds, ready)[-1] - ready <= max(5, 0.1 * ready)


@pytest.mark.parametrize("expected_seconds", [0, 45, 3_600])
def test_six_hours_of_waiting_need_fewer_than_a_hundred_looks(expected_seconds: float) -> None:
    assert len(looks(expected_seconds, 6 * 3_600)) < 100


@pytest.mark.parametrize("elapsed_seconds", [-86_400, -1, 0])
def test_a_clock_that_stands_before_the_request_waits_a_second(elapsed_seconds: float) -> None:
    assert next_wait_seconds(elapsed_seconds, 0, GROWTH) == 1


def test_plans_of_many_items_look_more_sparsely() -> None:
    assert growth(16) == GROWTH
    assert growth(17) == growth(40) == GROWTH_OF_MANY_ITEMS > GROWTH
