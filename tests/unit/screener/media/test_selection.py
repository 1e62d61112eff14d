from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame

from screener.media.selection import Candidate, Selector, difference, signature_of
from screener.sampling import Sampling, SamplingStrategy


def flat(value):
    return np.full((32, 32), value, dtype=np.int16)


def kept(strategy, values, *, threshold=8.0, max_gap_ms=4000):
    selector = Selector(
        Sampling(strategy=strategy, change_threshold=threshold, max_gap_ms=max_gap_ms)
    )
    return [
        index
        for index, value in enumerate(values)
        if selector.keeps(Candidate(b"", flat(value)), Fraction(index))
    ]


def test_something_small_in_one_corner_counts_as_much_as_a_change_everywhere():
    corner = flat(100)
    corner[:8, :8] = 120
    assert difference(flat(100), corner) == 20
    assert difference(flat(100), flat(120)) == 20


def test_a_signature_is_the_pictures_grey_values():
    picture = VideoFrame.from_ndarray(np.full((90, 160), 77, np.uint8), format="gray")
    assert np.abs(signature_of(picture) - 77).max() <= 1


def test_adaptive_follows_slow_change_because_it_compares_with_the_last_kept():
    assert kept(SamplingStrategy.ADAPTIVE, [0, 3, 6, 9, 12, 15, 18]) == [0, 3, 6]


def test_scene_change_ignores_slow_change_and_takes_cuts():
    values = [0, 3, 6, 9, 80, 81, 82]
    assert kept(SamplingStrategy.SCENE_CHANGE, values, max_gap_ms=60_000) == [0, 4]


@pytest.mark.parametrize("strategy", [SamplingStrategy.ADAPTIVE, SamplingStrategy.SCENE_CHANGE])
def test_nothing_goes_unseen_for_longer_than_the_gap(strategy):
    assert kept(strategy, [50] * 11, max_gap_ms=4000) == [0, 4, 8]


@pytest.mark.parametrize("strategy", [SamplingStrategy.FIXED_RATE, SamplingStrategy.KEY_FRAMES])
def test_other_strategies_keep_every_candidate(strategy):
    selector = Selector(Sampling(strategy=strategy))
    assert not selector.compares
    assert all(selector.keeps(Candidate(b"", None), Fraction(n)) for n in range(5))
