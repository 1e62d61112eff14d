"""Ranges lose nothing and keep nothing twice: together they are the whole."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from screener.media.extraction import AUDIO_OVERLAP_MS
from screener.media.soundtrack import SAMPLE_RATE
from screener.sampling import Sampling, SamplingStrategy
from tests.media_clips import Sound, draw, extract_here, steady, write_clip

CUTS_MS = [0, 4_000, 9_000, 13_000]
GROUPS = {"preset": "veryfast", "bf": "3", "g": "40"}


def noise(seconds, rate):
    """Band-limited noise: every stretch of it is different, so a shift cannot hide."""
    rng = np.random.default_rng(5)
    steps = rng.standard_normal(int(seconds * rate) + 64)
    return (0.2 * np.convolve(steps, np.ones(8) / 3, "same")[: int(seconds * rate)]).astype(
        np.float32
    )


def ranges():
    return pairwise([*CUTS_MS, None])


CLIPS = {
    "mp4": ("clip.mp4", {"sounds": ["aac", 44_100]}),
    "mp4 at 48 kHz": ("clip.mp4", {"sounds": ["aac", 48_000]}),
    "matroska with flac": ("clip.mkv", {"sounds": ["flac", 44_100]}),
    "transport stream": ("clip.ts", {"sounds": ["aac", 48_000], "time_base": Fraction(1, 90_000)}),
    "webm": (
        "clip.webm",
        {
            "sounds": ["libopus", 48_000],
            "codec": "libvpx-vp9",
            "options": {"deadline": "realtime", "cpu-used": "8", "g": "50"},
        },
    ),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranges")
    written = {}
    for name, (file_name, options) in CLIPS.items():
        codec, rate = options["sounds"]
        sound = Sound(noise(17, rate), rate=rate, codec=codec)
        written[name] = write_clip(
            folder / f"{len(written)}-{file_name}",
            steady(17 * 25),
            **{"options": GROUPS, **options, "sounds": [sound]},
        )
    return written


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(frames_per_second=2),
        Sampling(frames_per_second=0.7),
        Sampling(strategy=SamplingStrategy.KEY_FRAMES),
    ],
    ids=["2 fps", "0.7 fps", "key frames"],
)
def test_frames_and_spans_of_all_ranges_are_those_of_the_whole(name, sampling, clips):
    whole = extract_here(clips[name], sampling)
    parts = [extract_here(clips[name], sampling, *span) for span in ranges()]
    assert [n for part in parts for n in part.numbers] == whole.numbers
    spans = [
        (frame.timestamp_ms, frame.span_start_ms, frame.span_end_ms)
        for part in parts
        for frame in part.result.frames
    ]
    assert spans == [
        (frame.timestamp_ms, frame.span_start_ms, frame.span_end_ms)
        for frame in whole.result.frames
    ]


@pytest.mark.parametrize("name", ["clip.ts", "clip.mpg", "clip.mkv", "clip.flv"])
def test_a_range_that_begins_far_behind_a_key_frame_loses_nothing(name, tmp_path):
    # The first format is sought by time alone, the second too, and both end up within a group.
    mpeg2 = name.endswith("mpg")
    clip = write_clip(
        tmp_path / name,
        steady(1_000),
        codec="mpeg2video" if mpeg2 else "libx264",
        sounds=[Sound(noise(40, 48_000), rate=48_000, codec="mp2" if mpeg2 else "aac")],
        options={"g": "250"} if mpeg2 else {**GROUPS, "g": "250", "sc_threshold": "0"},
        time_base=Fraction(1, 25) if mpeg2 else Fraction(1, 1_000),
    )
    whole = extract_here(clip)
    parts = [extract_here(clip, None, *span) for span in pairwise([0, 8_000, 15_000, 29_500, None])]
    assert [number for part in parts for number in part.numbers] == whole.numbers
    assert all(not part.result.losses for part in parts)


def test_sound_that_lies_too_late_in_the_file_for_its_range_is_a_loss(tmp_path):
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as output:
        video = output.add_stream("libx264", rate=5, options={"preset": "ultrafast", "g": "25"})
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        sound = output.add_stream("flac", rate=16_000)
        sound.codec_context.layout, sound.codec_context.format = "mono", "s16"
        packets = []
        for number in range(500):
            frame = VideoFrame.from_ndarray(draw(number), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            packets += video.encode(frame)
        packets += video.encode(None)
        samples = (noise(100, 16_000) * 20_000).astype(np.int16)
        for start in range(0, samples.size, 4_096):
            block = AudioFrame.from_ndarray(
                samples[None, start : start + 4_096], format="s16", layout="mono"
            )
            block.sample_rate, block.pts, block.time_base = 16_000, start, Fraction(1, 16_000)
            packets += sound.encode(block)
        # All pictures, then all sound: nothing is interleaved.
        for packet in [*packets, *sound.encode(None)]:
            output.mux_one(packet)
    spans = [(0, 10_000), (10_000, 20_000), (20_000, None)]
    parts = [extract_here(clip, None, *span).result for span in spans]
    assert [part.has_audio for part in parts] == [False, False, True]
    assert parts[-1].losses["late_audio_packets"] > 0
    # Read from beginning to end, it is all there.
    whole = extract_here(clip).result
    assert (whole.audio_duration_ms, whole.losses) == (100_000, {})


@pytest.mark.parametrize("name", CLIPS)
def test_sound_of_all_ranges_is_that_of_the_whole(name, clips):
    whole = extract_here(clips[name]).samples()
    cores = []
    for start_ms, end_ms in ranges():
        part = extract_here(clips[name], start_ms=start_ms, end_ms=end_ms)
        samples = part.samples()
        first = start_ms - part.result.audio_start_ms
        assert first == (AUDIO_OVERLAP_MS if start_ms else 0)
        last = None if end_ms is None else (end_ms - part.result.audio_start_ms) * 16
        cores.append(samples[first * 16 : last])
    together = np.concatenate(cores)
    if name.startswith(("matroska", "webm")):
        # Containers that store milliseconds place a range up to one of them off.
        assert abs(together.size - whole.size) <= SAMPLE_RATE // 1000
        for core, cut_ms in zip(cores, CUTS_MS, strict=True):
            assert _best_shift(core, whole[cut_ms * 16 :]) <= SAMPLE_RATE // 1000
    else:
        np.testing.assert_array_equal(together, whole)


def _best_shift(part, whole):
    """Samples by which `part` has to move to match the start of `whole` best."""
    reach = 40
    window = part[reach : reach + 8_000].astype(float)
    scores = [
        float(np.dot(window, whole[reach + shift : reach + shift + 8_000]))
        for shift in range(-reach, reach)
    ]
    return abs(int(np.argmax(scores)) - reach)


def test_a_frame_shown_across_a_cut_is_kept_once_and_spans_it(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", steady(5, Fraction(1, 7)))
    parts = [extract_here(clip, start_ms=a, end_ms=b) for a, b in [(0, 10_000), (10_000, None)]]
    assert [part.numbers for part in parts] == [[0, 1], [2, 3, 4]]
    assert parts[0].result.frames[-1].span_end_ms == 14_000
    assert parts[1].result.frames[0].span_start_ms == 14_000


def test_adaptive_ranges_cover_the_whole_without_a_gap(clips):
    sampling = Sampling(strategy=SamplingStrategy.ADAPTIVE, frames_per_second=5)
    frames = [
        frame
        for span in ranges()
        for frame in extract_here(clips["mp4"], sampling, *span).result.frames
    ]
    assert frames[0].span_start_ms == 0
    for one, following in pairwise(frames):
        assert one.span_end_ms == following.span_start_ms
