from fractions import Fraction

from screener.media.numbering import FrameCounter


def test_frames_without_times_follow_at_the_stated_rate():
    counter = FrameCounter(Fraction(30_000, 1001))
    counter.sent(None)
    frames = [counter.shown(is_key=False) for _ in range(3)]
    assert [frame.time for frame in frames] == [Fraction(n * 1001, 30_000) for n in range(3)]
    assert [frame.is_first for frame in frames] == [True, False, False]
    assert counter.end == Fraction(3003, 30_000)


def test_the_nth_frame_shown_has_the_nth_time_of_the_file():
    counter = FrameCounter(Fraction(25))
    # A picture was left out at the encoder, so 0.08 is missing: the one before stays longer.
    for time in ("0", "0.04", "0.12", "0.16"):
        counter.sent(Fraction(time))
    frames = [counter.shown(is_key=False) for _ in range(4)]
    assert [frame.time for frame in frames] == [Fraction(t) for t in ("0", "0.04", "0.12", "0.16")]
    assert frames[1].next_time == Fraction("0.12")
    assert frames[3].next_time == Fraction("0.2")
    assert counter.count == 4
