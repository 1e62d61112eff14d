from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.validate_video.ranges import MAX_RANGES, plan_ranges


@given(duration_ms=st.integers(0, 48 * 3_600_000), range_seconds=st.integers(1, 7200))
def test_ranges_cover_everything_once_and_fit_into_one_map(duration_ms, range_seconds):
    ranges = plan_ranges(duration_ms, range_seconds, seekable=True)
    assert 1 <= len(ranges) <= MAX_RANGES
    assert [part.chunk for part in ranges] == list(range(len(ranges)))
    assert ranges[0].start_ms == 0
    assert ranges[-1].end_ms is None
    for one, following in pairwise(ranges):
        assert one.end_ms == following.start_ms
        assert following.start_ms < duration_ms


@pytest.mark.parametrize(
    ("minutes", "count"), [(1, 1), (15, 1), (16, 2), (60, 4), (150, 10), (360, 10)]
)
def test_a_video_is_cut_only_when_it_is_longer_than_a_range(minutes, count):
    assert len(plan_ranges(minutes * 60_000, 900, seekable=True)) == count


def test_ranges_are_of_equal_length_in_whole_seconds():
    ranges = plan_ranges(100_400, 40, seekable=True)
    assert [(part.start_ms, part.end_ms) for part in ranges] == [
        (0, 34_000),
        (34_000, 68_000),
        (68_000, None),
    ]


def test_what_cannot_be_sought_is_read_once():
    assert len(plan_ranges(7_200_000, 900, seekable=False)) == 1
