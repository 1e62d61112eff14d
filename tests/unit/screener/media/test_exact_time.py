"""Times are those of the source, whatever the container and the encoder do to them."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from screener.sampling import Sampling, SamplingStrategy
from tests.media_clips import (
    X264,
    Sound,
    blocks,
    draw,
    extract_here,
    read_number,
    steady,
    tone,
    without_times,
    write_clip,
)

B_FRAMES = {"preset": "veryfast", "crf": "28", "bf": "3", "g": "24"}
OPEN_GROUPS = {"preset": "veryfast", "bf": "3", "g": "12", "x264-params": "open-gop=1"}


def on_display(times, rate):
    """Oracle: numbers of the frames shown at 0, 1/rate, 2/rate, ... until the last one ends."""
    origin = times[0]
    last = len(times) - 1
    length = times[-1] - times[-2] if last else Fraction(1, 25)
    shown, point = [0], Fraction(0)
    while point < times[-1] - origin + length:
        number = max(n for n, time in enumerate(times) if time - origin <= point)
        if number != shown[-1]:
            shown.append(number)
        point += 1 / Fraction(str(rate))
    return shown


CLIPS = {
    "constant 25": ("mp4", steady(80), {}),
    "23.976": ("mp4", steady(80, Fraction(24000, 1001)), {"time_base": Fraction(1, 24000)}),
    "29.97 in matroska": ("mkv", steady(80, Fraction(30000, 1001)), {}),
    "b frames": ("mp4", steady(80), {"options": B_FRAMES}),
    "open groups": ("mp4", steady(80), {"options": OPEN_GROUPS}),
    "open groups in transport stream": (
        "ts",
        steady(80),
        {"options": OPEN_GROUPS, "time_base": Fraction(1, 90_000)},
    ),
    "hevc open groups": (
        "mp4",
        steady(60),
        {
            "codec": "libx265",
            "options": {
                "preset": "ultrafast",
                "x265-params": "open-gop=1:keyint=20:bframes=3:log-level=none:pools=1",
            },
        },
    ),
    "mpeg-2": (
        "ts",
        steady(80),
        {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}, "time_base": Fraction(1, 25)},
    ),
    "mpeg-4 with b frames in avi": (
        "avi",
        steady(80),
        {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}, "time_base": Fraction(1, 25)},
    ),
    "vp9": (
        "webm",
        steady(50),
        {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8", "g": "20"}},
    ),
    "starts at 7 s": ("mkv", steady(80, start=Fraction(7)), {}),
    "variable": (
        "mp4",
        [Fraction(n * n, 400) for n in range(40)],
        {"time_base": Fraction(1, 90_000)},
    ),
    "slower than the sampling": ("mp4", steady(6, Fraction(1, 3)), {}),
}


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("rate", [1, 4])
def test_frames_are_those_on_display_and_carry_their_own_times(name, rate, tmp_path):
    suffix, times, options = CLIPS[name]
    clip = write_clip(tmp_path / f"clip.{suffix}", times, **options)
    extracted = extract_here(clip, Sampling(frames_per_second=rate))
    if suffix in ("mkv", "webm"):
        # These containers store milliseconds.
        times = [Fraction(round(time * 1000), 1000) for time in times]
    assert extracted.numbers == on_display(times, rate)
    for number, time_ms in zip(extracted.numbers, extracted.times_ms, strict=True):
        assert abs(time_ms - (times[number] - times[0]) * 1000) <= 0.5


@given(
    gaps=st.lists(st.integers(1, 40), min_size=3, max_size=40),
    rate=st.sampled_from([0.5, 1, 2, 5]),
    b_frames=st.integers(0, 3),
    group=st.integers(1, 30),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_variable_rate_keeps_exact_times_and_seamless_spans(
    tmp_path, gaps, rate, b_frames, group
):
    times = [Fraction(sum(gaps[:n]), 20) for n in range(len(gaps) + 1)]
    options = {**X264, "bf": str(b_frames), "g": str(group)}
    clip = write_clip(tmp_path / "clip.mp4", times, options=options, time_base=Fraction(1, 10_000))
    extracted = extract_here(clip, Sampling(frames_per_second=rate))
    frames = extracted.result.frames
    # How long the last frame is shown is the container's guess, so the oracle's last one is too.
    expected = on_display(times, rate)
    assert extracted.numbers[: len(expected) - 1] == expected[:-1]
    for number, time_ms in zip(extracted.numbers, extracted.times_ms, strict=True):
        assert abs(time_ms - times[number] * 1000) <= 0.5
    assert frames[0].span_start_ms == 0
    for one, following in pairwise(frames):
        assert one.span_end_ms == following.span_start_ms == following.timestamp_ms


def test_an_overlong_group_is_cut_into_pieces_without_losing_a_frame(tmp_path, monkeypatch):
    monkeypatch.setattr("screener.media.groups.MAX_GROUP_PACKETS", 50)
    times = steady(200)
    options = {"preset": "veryfast", "bf": "3", "g": "1000", "sc_threshold": "0"}
    clip = write_clip(tmp_path / "clip.mp4", times, options=options)
    assert extract_here(clip, Sampling(frames_per_second=5)).numbers == on_display(times, 5)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_video_is_stored_upright(degrees, tmp_path):
    def sideways(number):
        # What a camera held at this angle records; the matrix asks the player to turn it back.
        return np.ascontiguousarray(np.rot90(draw(number), -degrees // 90))

    clip = write_clip(tmp_path / "clip.mp4", steady(30), picture=sideways, rotation=degrees)
    extracted = extract_here(clip)
    assert extracted.numbers == [0, 25]
    assert (extracted.result.width, extracted.result.height) == (160, 96)


def test_wide_pixels_are_stored_as_they_are_shown(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", steady(30), pixel_shape=Fraction(2))
    extracted = extract_here(clip)
    assert (extracted.result.width, extracted.result.height) == (320, 96)
    assert extracted.numbers == [0, 25]


def test_key_frames_alone_are_kept_with_their_times(tmp_path):
    times = steady(100)
    options = {**X264, "g": "20", "sc_threshold": "0", "keyint_min": "20"}
    clip = write_clip(tmp_path / "clip.mp4", times, options=options)
    extracted = extract_here(clip, Sampling(strategy=SamplingStrategy.KEY_FRAMES))
    assert extracted.numbers == [0, 20, 40, 60, 80]
    assert extracted.times_ms == [0, 800, 1600, 2400, 3200]
    assert extracted.result.frames_decoded == 5


def test_sound_that_starts_late_keeps_its_place(tmp_path):
    sound = Sound(tone(1.0), start_seconds=Fraction(2))
    clip = write_clip(tmp_path / "clip.mp4", steady(75), sounds=[sound])
    samples = extract_here(clip).samples()
    loud = abs(samples.astype(int)) > 3000
    first, last = loud.argmax(), len(loud) - loud[::-1].argmax()
    assert abs(first - 2 * 16_000) < 16_000 / 25
    assert abs(last - 3 * 16_000) < 16_000 / 25


def test_a_raw_stream_without_times_is_counted_at_its_rate(tmp_path):
    clip = write_clip(tmp_path / "clip.h264", steady(60), options=B_FRAMES)
    extracted = extract_here(clip)
    assert extracted.numbers == [0, 25, 50]
    assert extracted.times_ms == [0, 1000, 2000]


def test_a_transport_stream_that_restarts_its_clock_is_seen_whole(tmp_path):
    parts = []
    for part in range(3):
        path = tmp_path / f"{part}.ts"
        options = {"time_base": Fraction(1, 90_000)}
        write_clip(path, steady(50, start=Fraction([0, 0, 70_000][part])), **options)
        parts.append(path.read_bytes())
    clip = tmp_path / "clip.ts"
    clip.write_bytes(b"".join(parts))
    extracted = extract_here(clip)
    assert extracted.numbers == [0, 25, 0, 25, 0, 25]
    assert extracted.times_ms == [0, 1000, 2000, 3000, 4000, 5000]


def test_a_program_stream_in_which_few_pictures_have_a_time_is_seen_whole(tmp_path):
    # Small pictures: several share a packet, and its one time.
    extracted = extract_here(write_clip(tmp_path / "clip.mpg", steady(250)))
    assert extracted.numbers == [0, 25, 50, 75, 100, 125, 150, 175, 200, 225]
    assert extracted.times_ms == [number * 1000 for number in range(10)]
    assert extracted.result.losses == {}


@pytest.mark.parametrize("options", [X264, B_FRAMES], ids=["in order", "reordered"])
def test_pictures_without_times_are_seen_or_a_loss_and_never_just_left_out(options, tmp_path):
    timed = write_clip(
        tmp_path / "timed.ts", steady(250), options=options, sounds=[Sound(tone(10))]
    )
    clip = tmp_path / "clip.ts"
    clip.write_bytes(without_times(timed.read_bytes()))
    extracted = extract_here(clip)
    assert extracted.result.frames_seen == 250
    assert extracted.result.losses == {}
    assert len(extracted.numbers) >= 10
    assert all(abs(number - 25 * place) < 5 for place, number in enumerate(extracted.numbers))
    # Of a container whose every packet probing does not read nobody knows before.
    surprised = extract_here(clip, counted_pictures=None)
    assert surprised.result.losses["untimed_pictures"] == 249


@pytest.mark.parametrize("marked", ["none", "the last"])
def test_a_file_whose_flags_name_no_key_frame_is_decoded_from_its_first_picture(marked, tmp_path):
    options = {"preset": "ultrafast", "x265-params": "keyint=25:log-level=none"}
    clip = write_clip(tmp_path / "clip.mkv", steady(100), codec="libx265", options=options)
    data = bytearray(clip.read_bytes())
    flags = [place + 3 for place in blocks(bytes(data))]
    keys = [place for place in flags if data[place] & 0x80]
    assert len(keys) == 4
    for place in keys if marked == "none" else keys[:-1]:
        data[place] &= 0x7F
    clip.write_bytes(data)
    extracted = extract_here(clip)
    assert extracted.numbers == [0, 25, 50, 75]
    assert extracted.result.losses == {}


def test_pictures_at_times_that_were_over_are_a_loss(tmp_path):
    clip = write_clip(tmp_path / "clip.mkv", steady(200), time_base=Fraction(1, 1000))
    data = bytearray(clip.read_bytes())
    # From the second half on, the clock is four seconds behind.
    for place in blocks(bytes(data))[100:]:
        time_ms = int.from_bytes(data[place + 1 : place + 3], signed=True)
        data[place + 1 : place + 3] = (time_ms - 4_000).to_bytes(2, signed=True)
    clip.write_bytes(data)
    losses = extract_here(clip, duration_ms=4_000).result.losses
    assert losses["disordered_pictures"] > 50


def test_a_second_track_of_pictures_is_a_loss_because_a_player_may_show_it(tmp_path):
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as output:
        tracks = [output.add_stream("libx264", rate=25, options=dict(X264)) for _ in range(2)]
        for track in tracks:
            track.width, track.height, track.pix_fmt = 160, 96, "yuv420p"
        for number in range(50):
            for track in tracks:
                frame = VideoFrame.from_ndarray(draw(number), format="gray")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                output.mux(track.encode(frame.reformat(format="yuv420p")))
        for track in tracks:
            output.mux(track.encode(None))
    parts = [extract_here(clip, None, *span) for span in ((0, 1_000), (1_000, None))]
    assert [part.numbers for part in parts] == [[0], [25]]
    # Of the video, not of each of its ranges.
    assert [part.result.losses for part in parts] == [{"unread_video_tracks": 1}, {}]


def test_sound_at_times_that_were_over_is_a_loss(tmp_path):
    sound = Sound(tone(8))
    clip = write_clip(tmp_path / "a.mkv", steady(200), time_base=Fraction(1, 1000), sounds=[sound])
    data = bytearray(clip.read_bytes())
    said = [place for place in blocks(bytes(data)) if data[place] == 0x82]  # track 2
    for place in said[len(said) // 2 :]:
        time_ms = int.from_bytes(data[place + 1 : place + 3], signed=True)
        data[place + 1 : place + 3] = (time_ms - 4_000).to_bytes(2, signed=True)
    clip.write_bytes(data)
    assert 3_000 < extract_here(clip).result.losses["overlapping_audio_ms"] < 5_000


def test_a_stamp_of_one_frame_never_reaches_into_another(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", steady(40))
    for jpeg in extract_here(clip, Sampling(frames_per_second=25)).jpegs:
        read_number(jpeg)
