import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from model_servers.serving.pipeline import in_batches, map_ordered


def test_results_come_in_order_although_calls_end_out_of_order() -> None:
    def slow_when_even(number: int) -> int:
        time.sleep(0.01 if number % 2 == 0 else 0)
        return number * 10

    with ThreadPoolExecutor(4) as pool:
        results = list(map_ordered(pool, slow_when_even, range(20), window=6))
    assert results == [number * 10 for number in range(20)]


def test_no_more_than_the_window_is_pulled_ahead_of_the_consumer() -> None:
    pulled = 0

    def source() -> Iterator[int]:
        nonlocal pulled
        for number in range(100):
            pulled += 1
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = map_ordered(pool, str, source(), window=5)
        for consumed in range(1, 50):
            next(results)
            assert pulled <= consumed + 5


def test_an_error_in_a_call_reaches_the_consumer_and_stops_the_rest() -> None:
    started: list[int] = []

    def fails_on_three(number: int) -> int:
        started.append(number)
        if number == 3:
            raise ValueError("three")
        return number

    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="three"):
        list(map_ordered(pool, fails_on_three, range(1000), window=4))
    assert max(started) < 10


def test_an_error_in_the_source_waits_for_what_is_under_way() -> None:
    done = threading.Event()

    def slow(_: int) -> None:
        time.sleep(0.05)
        done.set()

    def source() -> Iterator[int]:
        yield 1
        raise ValueError("cut off")

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="cut off"):
            list(map_ordered(pool, slow, source(), window=4))
        assert done.is_set()


def test_batches_are_full_but_for_the_last() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_batches([], 3)) == []
