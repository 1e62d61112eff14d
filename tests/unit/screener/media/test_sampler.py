from fractions import Fraction

import pytest

from screener.media.sampler import EveryInterval, KeyFrames, RangePicker, Shown


def shown(time, next_time, *, is_key=False, is_first=False):
    return Shown(0, Fraction(time), Fraction(next_time), is_key, is_first)


@pytest.mark.parametrize(
    ("frame", "position"),
    [
        (shown("0.96", "1"), None),
        (shown("0.96", "1.04"), 1),
        (shown("1", "1.04"), 1),
        (shown("0.2", "3.5"), 1),
        (shown("1.01", "1.99"), None),
    ],
)
def test_a_frame_is_wanted_when_it_is_on_display_at_a_whole_interval(frame, position):
    assert EveryInterval(1.0).position(frame) == position


def test_the_first_frame_is_wanted_however_short_or_late_it_is():
    assert EveryInterval(0.1).position(shown("0.3", "0.31", is_first=True)) == 0


def test_a_decimal_rate_is_meant_exactly():
    # As a binary fraction, 0.1 is a little more than 1/10 and would miss this point.
    assert EveryInterval(0.1).position(shown("30", "30.04")) == 30


def test_key_frames_are_wanted_at_their_own_time():
    assert KeyFrames().position(shown("4.2", "4.3", is_key=True)) == Fraction("4.2")
    assert KeyFrames().position(shown("4.2", "4.3")) is None


def test_a_range_takes_what_is_first_shown_inside_it():
    picker = RangePicker(EveryInterval(1.0), Fraction(2), Fraction(4))
    assert picker.position(shown("1.9", "1.99")) is None
    assert picker.position(shown("1.96", "2.04")) == 2
    assert picker.position(shown("3.96", "4.04")) is None
    assert picker.next_time == Fraction("3.96")
    assert picker.has_passed_end


def test_a_frame_that_began_in_the_range_before_is_not_taken_again():
    picker = RangePicker(EveryInterval(1.0), Fraction(2), None)
    assert picker.position(shown("0.9", "5")) is None
