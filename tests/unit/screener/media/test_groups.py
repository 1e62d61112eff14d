from fractions import Fraction

import pytest

from screener.media.groups import Coded, DisplayOrder, GroupPlanner
from screener.media.sampler import EveryInterval, KeyFrames


def plan(text, picker=None, *, from_beginning=True):
    """Jobs for packets written as "I0 P3 b1 b2": key frames are I, the number is the pts."""
    planner = GroupPlanner(
        picker or EveryInterval(1.0), lambda pts: Fraction(pts, 4), Fraction(1, 4),
        from_beginning=from_beginning,
    )  # fmt: skip
    jobs = []
    for word in text.split():
        coded = Coded(word, int(word[1:]), 100, word[0] == "I", is_shown=word[0] != "x")
        jobs += planner.feed(coded)
    jobs += planner.finish()
    return [
        (" ".join(coded.packet for coded in job.packets), [w.pts for w in job.wanted])
        for job in jobs
    ], jobs


@pytest.mark.parametrize(
    ("times", "broken"),
    [
        ([n + (5, -1, -1, -1)[n % 4] for n in range(400)], 0),
        ([*range(200), *range(100, 200)], 67),
        # A short stretch again and again, between two sample points.
        ([n % 20 for n in range(400)], 268),
        ([7] * 400, 0),
    ],
    ids=["reordered by few", "once back", "a loop", "all at once"],
)
def test_pictures_that_run_backwards_are_noticed_and_reordered_ones_are_not(times, broken):
    order = DisplayOrder()
    assert sum(order.is_broken_by(time) for time in times) == broken


def test_each_group_ends_at_its_last_wanted_frame():
    jobs, _ = plan("I0 P1 P2 P3 P4 P5 I6 P7 P8 P9 P10 P11")
    assert jobs == [("I0 P1 P2 P3 P4", [0, 4]), ("I6 P7 P8", [8])]


def test_a_group_without_wanted_frames_is_not_decoded():
    jobs, _ = plan("I0 P1 I2 P3 I4 P5")
    assert jobs == [("I0", [0]), ("I4", [4])]


def test_wanted_pictures_before_an_open_groups_key_frame_are_decoded_with_the_group_before():
    jobs, _ = plan("I0 P3 b1 b2 I6 b4 b5 P9 b7 b8")
    assert jobs == [("I0 P3 b1 b2 I6 b4", [0, 4]), ("I6 b4 b5 P9 b7 b8", [8])]


def test_leading_pictures_nobody_wants_cost_nothing():
    jobs, _ = plan("I0 P3 b1 b2 I7 b5 b6 P8")
    assert jobs == [("I0 P3", [0, 3]), ("I7 b5 b6 P8", [8])]


def test_pictures_before_the_first_key_frame_are_left_out():
    jobs, _ = plan("P0 P1 I4 P5")
    assert jobs == [("I4", [4])]


def test_pictures_cut_away_by_an_edit_list_are_decoded_but_never_wanted():
    jobs, _ = plan("I0 x1 x2 x3 P4 P5", KeyFrames())
    assert jobs == [("I0", [0])]
    jobs, _ = plan("I0 x4 P5 P6 P7 P8")
    assert jobs == [("I0 x4 P5 P6 P7 P8", [0, 8])]


def test_an_overlong_group_is_handed_on_in_pieces_that_end_only_once(monkeypatch):
    monkeypatch.setattr("screener.media.groups.MAX_GROUP_PACKETS", 40)
    text = "I0 " + " ".join(f"P{n}" for n in range(1, 101)) + " I101 P102 P103 P104"
    listed, jobs = plan(text)
    packets = " ".join(words for words, _ in listed)
    assert packets.split() == text.split()
    assert [pts for _, wanted in listed for pts in wanted] == list(range(0, 105, 4))
    assert [(job.starts, job.ends) for job in jobs] == [
        (True, False),
        *[(False, False)] * (len(jobs) - 3),
        (False, True),
        (True, True),
    ]


def test_times_in_no_order_do_not_make_a_group_grow_for_ever(monkeypatch):
    monkeypatch.setattr("screener.media.groups.MAX_GROUP_PACKETS", 40)
    text = "I1000 " + " ".join(f"P{1000 - n}" for n in range(1, 300))
    _, jobs = plan(text)
    assert max(len(job.packets) for job in jobs) < 80
    assert sum(len(job.packets) for job in jobs) == 300
