from fractions import Fraction

from screener.media.timeline import Timeline, to_ms


def follow(timeline, stream, *times, duration="0.04"):
    return [
        time + timeline.follow(stream, time, Fraction(duration)) for time in map(Fraction, times)
    ]


def test_the_containers_start_is_zero():
    timeline = Timeline(Fraction("1.4"), discontinuous=False)
    assert follow(timeline, 0, "1.4", "1.44") == [0, Fraction("0.04")]


def test_a_format_without_jumps_keeps_its_gaps():
    timeline = Timeline(Fraction(0), discontinuous=False)
    assert follow(timeline, 0, "0", "7200") == [0, 7200]
    assert timeline.jumps == 0


def test_a_clock_that_leaps_or_restarts_goes_on_where_it_was():
    timeline = Timeline(Fraction(0), discontinuous=True)
    times = follow(timeline, 0, "0", "0.04", "72000", "72000.04", "5", "5.04")
    assert times == [Fraction(n, 25) for n in range(6)]
    assert timeline.jumps == 2


def test_two_streams_jump_together_although_their_packets_are_mixed():
    timeline = Timeline(Fraction(0), discontinuous=True)
    picture = follow(timeline, 0, "0", "0.04")
    sound = follow(timeline, 1, "0", "0.04")
    picture += follow(timeline, 0, "100", "100.04")
    sound += follow(timeline, 1, "0.08", "100", "100.04")
    assert picture == [Fraction(n, 25) for n in range(4)]
    # The last sound of the old clock comes after the first picture of the new one.
    assert sound == [Fraction(n, 25) for n in (0, 1, 2, 2, 3)]
    assert timeline.jumps == 1


def test_milliseconds_are_the_nearest_and_never_negative():
    assert to_ms(Fraction("1.0006")) == 1001
    assert to_ms(Fraction(-1)) == 0
