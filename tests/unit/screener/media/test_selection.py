from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame

from bench.sampling_material import Footage, Insert, write_interrupted
from screener.media.selection import Candidate, Selector, novelty, signature_of
from screener.sampling import Sampling, SamplingStrategy
from tests.media_clips import extract_here


def flat(luma, cb=128, cr=128):
    return np.stack([np.full((32, 32), value, dtype=np.int16) for value in (luma, cb, cr)])


def textured(seed, *, rows=32, columns=32):
    """Blotches of a few values' size, in all three planes."""
    coarse = np.random.default_rng(seed).uniform(30, 220, (3, rows // 4 + 1, columns // 4 + 1))
    return np.kron(coarse, np.ones((4, 4)))[:, :rows, :columns].astype(np.int16)


def kept(strategy, signatures, *, threshold=8.0, max_gap_ms=60_000):
    selector = Selector(
        Sampling(strategy=strategy, change_threshold=threshold, max_gap_ms=max_gap_ms)
    )
    return [
        index
        for index, signature in enumerate(signatures)
        if selector.keeps(Candidate(b"", signature), Fraction(index))
    ]


def test_the_measure_is_the_best_match_of_every_window():
    picture, other = textured(1), textured(2)
    padded = np.pad(other, ((0, 0), (2, 2), (2, 2)), mode="edge").astype(float)
    measured = novelty(picture, other)
    assert measured.shape == (26, 26)
    for row, column in [(0, 0), (25, 25), (3, 17), (12, 12)]:
        window = picture[:, row : row + 7, column : column + 7]
        expected = min(
            np.abs(padded[:, row + y : row + y + 7, column + x : column + x + 7] - window)
            .sum(axis=0)
            .mean()
            for y in range(5)
            for x in range(5)
        )
        assert measured[row, column] == pytest.approx(expected)


def test_what_only_moved_is_not_new():
    scene = textured(3, rows=40, columns=40)
    here, moved = scene[:, 4:36, 4:36], scene[:, 6:38, 3:35]
    assert np.abs(here - moved).sum(axis=0).mean() > 20
    assert novelty(moved, here)[2:-2, 2:-2].max() == 0


@pytest.mark.parametrize(("top", "left"), [(0, 0), (24, 24), (3, 17), (13, 6)])
def test_foreign_content_counts_wherever_it_lies(top, left):
    scene = textured(4)
    interrupted = scene.copy()
    interrupted[:, top : top + 8, left : left + 8] = textured(5, rows=8, columns=8)
    assert novelty(interrupted, scene).max() > 40
    assert novelty(scene, scene).max() == 0


def test_colour_alone_counts():
    assert novelty(flat(90, 100, 150), flat(90, 128, 128)).max() == 28 + 22


def test_below_the_given_level_the_search_is_left_out_and_no_window_is_above_it():
    scene = textured(6, rows=40, columns=40)
    here, moved = scene[:, 4:36, 4:36], scene[:, 6:38, 3:35]
    exact = novelty(moved, here)
    level = float(np.abs(moved - here).sum(axis=0).max())
    assert novelty(moved, here, above=level).max() <= level
    assert np.array_equal(novelty(moved, here, above=0.5), exact)


def test_a_signature_is_the_pictures_luma_and_chroma():
    red = np.zeros((90, 160, 3), np.uint8)
    red[..., 0] = 255
    picture = VideoFrame.from_ndarray(red, format="rgb24").reformat(format="yuvj420p")
    # BT.601, full range.
    assert np.abs(signature_of(picture) - flat(76, 85, 255)).max() <= 2


def test_adaptive_follows_slow_change_because_it_compares_with_the_last_kept():
    fade = [flat(value) for value in range(0, 60, 3)]
    assert kept(SamplingStrategy.ADAPTIVE, fade) == [0, 6, 12, 18]


def test_adaptive_takes_what_appears_and_what_is_there_when_it_has_gone():
    scene, interrupted = textured(7), textured(7)
    interrupted[:, 10:18, 10:18] = textured(8, rows=8, columns=8)
    shown = [scene, scene, interrupted, interrupted, scene, scene]
    assert kept(SamplingStrategy.ADAPTIVE, shown, threshold=28) == [0, 2, 4]


def test_adaptive_does_not_take_what_returns_to_where_it_was():
    values = [flat(value) for value in (100, 110, 120, 100)]
    assert kept(SamplingStrategy.ADAPTIVE, values, threshold=16) == [0]
    assert kept(SamplingStrategy.SCENE_CHANGE, values, threshold=16) == [0, 3]


def test_scene_change_ignores_slow_change_and_takes_cuts():
    values = [flat(value) for value in (0, 3, 6, 9, 80, 81, 82)]
    assert kept(SamplingStrategy.SCENE_CHANGE, values) == [0, 4]


@pytest.mark.parametrize("strategy", [SamplingStrategy.ADAPTIVE, SamplingStrategy.SCENE_CHANGE])
def test_nothing_goes_unseen_for_longer_than_the_gap(strategy):
    assert kept(strategy, [flat(50)] * 11, max_gap_ms=4000) == [0, 4, 8]


@pytest.mark.parametrize("strategy", [SamplingStrategy.FIXED_RATE, SamplingStrategy.KEY_FRAMES])
def test_other_strategies_keep_every_candidate(strategy):
    selector = Selector(Sampling(strategy=strategy))
    assert not selector.compares
    assert all(selector.keeps(Candidate(b"", None), Fraction(n)) for n in range(5))


def test_brief_and_small_content_in_a_real_dialogue_is_kept_with_less_than_a_frame_a_second(
    test_media, tmp_path
):
    dialogue = Footage(test_media / "video" / "his_girl_friday_6s.mp4")
    foreign = [Footage(test_media / "video" / "nasa_webb_narrated_13s.mp4")]
    inserts = [
        Insert(Fraction(127, 25), Fraction(1, 2), across=0.1, down=0.2, source=0, first=130),
        Insert(Fraction(238, 25), Fraction(1, 2), across=0.7, down=0.9, source=0, first=150),
    ]
    clip, plain = tmp_path / "clip.mp4", tmp_path / "plain.mp4"
    write_interrupted(clip, dialogue, foreign, 12, inserts, share=0.25)
    write_interrupted(plain, dialogue, [], 12, [], share=1)
    sampling = Sampling(strategy=SamplingStrategy.ADAPTIVE, frames_per_second=5)

    times_ms = extract_here(clip, sampling).times_ms
    for insert in inserts:
        start_ms, end_ms = insert.start * 1000, (insert.start + insert.length) * 1000
        assert any(start_ms <= time_ms < end_ms for time_ms in times_ms)
    assert len(extract_here(plain, sampling).times_ms) < 12
