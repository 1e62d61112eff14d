"""Files made to hurt: each ends as expected, none hangs, none costs more than its limits.

The sixty awkward files come from a generator outside the repository that needs the `ffmpeg`
command; damaged containers are made here, from a seed.
"""

import json
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest

from bench.file_sink import FileSink
from screener.errors import InvalidVideo, RefusalCode
from screener.media import MediaLimits, extract, probe
from screener.media.facts import ExtractionOrder
from screener.media.source import FileSource
from screener.sampling import Sampling, SamplingStrategy
from tests.media_clips import Sound, steady, tone, write_clip

# Generous on the clock, because tests share their cores; processor time is what bounds a hang.
LIMITS = MediaLimits(wall_seconds=300, cpu_seconds=120)
FUZZ_CASES = 32

# The generator says "none" for what must be refused; these are the reasons it must be given.
REASONS = {
    "audio_only.m4a": RefusalCode.NO_VIDEO_STREAM,
    "audio_only.mp4": RefusalCode.NO_VIDEO_STREAM,
    "audio_with_cover.mp3": RefusalCode.NO_VIDEO_STREAM,
    "zero_bytes.mp4": RefusalCode.EMPTY_FILE,
    "one_byte.mp4": RefusalCode.NOT_A_VIDEO,
    "header_only.mp4": RefusalCode.TRUNCATED,
    "truncated_no_moov.mp4": RefusalCode.TRUNCATED,
    "subtitle_only.mkv": RefusalCode.NO_VIDEO_STREAM,
    "data_only.mp4": RefusalCode.NO_VIDEO_STREAM,
    "text_named.mp4": RefusalCode.NOT_A_VIDEO,
    "html_named.mp4": RefusalCode.NOT_A_VIDEO,
    "random_named.mp4": RefusalCode.NOT_A_VIDEO,
    "zip_named.mp4": RefusalCode.NOT_A_VIDEO,
    "playlist_local_file.m3u8": RefusalCode.UNSAFE_REFERENCE,
    "playlist_named.mp4": RefusalCode.UNSAFE_REFERENCE,
    "concat_script.mp4": RefusalCode.UNSAFE_REFERENCE,
    "bomb_png_30000.png": RefusalCode.TOO_MANY_PIXELS,
}
# What is missing is said; where the damage is in the header alone, nothing is missing.
LOSSES = {
    "truncated_faststart.mp4": {"missing_ms"},
    "truncated.mkv": {"missing_ms"},
    "corrupt_frames.mp4": {"corrupt_frames"},
    "corrupt_index.mp4": {"missing_ms"},
    "many_streams.mkv": {"unread_video_tracks"},
}
SIZES = {
    "rotated_90.mp4": (360, 640),
    "rotated_180.mp4": (640, 360),
    "anamorphic.mp4": (640, 360),
    "uhd_2s.mp4": (1280, 720),
    "bomb_16k_black.mp4": (1280, 680),
    "huge_declared_size.mp4": (640, 360),
}


def run(path, out, sampling=None):
    """(facts, extraction) of a file, or its refusal; both through real children."""
    with FileSource(path) as source:
        try:
            facts = probe(source, limits=LIMITS)
            order = ExtractionOrder(
                size_bytes=source.size_bytes,
                limits=LIMITS,
                sampling=sampling or Sampling(),
                start_ms=0,
                end_ms=None,
                duration_ms=facts.duration_ms,
                width=facts.width,
                height=facts.height,
                threads=2,
                counted_pictures=facts.counted_pictures,
            )
            frames, audio = FileSink(out / "frames"), FileSink(out / "audio")
            try:
                return facts, extract(source, order, frames, audio)
            finally:
                frames.abort()
                audio.abort()
        except InvalidVideo as refusal:
            return refusal


@pytest.fixture(scope="module")
def awkward(test_media, tmp_path_factory):
    """Every awkward file's outcome, by name."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("the generator of awkward files needs the ffmpeg command")
    folder = tmp_path_factory.mktemp("awkward")
    source = test_media / "video" / "nasa_webb_narrated_13s.mp4"
    subprocess.run(
        [sys.executable, str(test_media / "make_edge_cases.py"), str(folder), "--source",
         str(source), "--bomb"],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    index = json.loads((folder / "index.json").read_text("utf-8"))
    made = {name: case["expect"] for name, case in index.items() if "skipped" not in case}

    def outcome(name):
        out = tmp_path_factory.mktemp("out")
        # Six hours of one picture are decoded elsewhere; here they are only walked through.
        long = name == "bomb_long_6h.mp4"
        sampling = Sampling(strategy=SamplingStrategy.KEY_FRAMES) if long else Sampling()
        return run(folder / name, out, sampling)

    with ThreadPoolExecutor(2) as pool:
        return made, dict(zip(made, pool.map(outcome, made), strict=True))


def test_every_awkward_file_ends_as_it_should(awkward):
    made, outcomes = awkward
    assert len(made) >= 60
    wrong = {}
    for name, expected in made.items():
        outcome = outcomes[name]
        if expected in ("none", "audio"):
            if not isinstance(outcome, InvalidVideo) or outcome.code != REASONS[name]:
                wrong[name] = outcome
        elif isinstance(outcome, InvalidVideo) or not outcome[1].frames:
            wrong[name] = outcome
    assert wrong == {}


def test_losses_are_stated_where_something_was_lost_and_nowhere_else(awkward):
    made, outcomes = awkward
    wrong = {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, InvalidVideo):
            continue
        losses = set(outcome[1].losses)
        expected = LOSSES.get(name, set())
        if not losses >= expected or (made[name] == "video" and losses != expected):
            wrong[name] = outcome[1].losses
    assert wrong == {}


def test_sizes_are_those_a_player_shows(awkward):
    _, outcomes = awkward
    stored = {name: (outcomes[name][1].width, outcomes[name][1].height) for name in SIZES}
    assert stored == SIZES


def test_spans_leave_no_gap_in_any_file(awkward):
    _, outcomes = awkward
    for name, outcome in outcomes.items():
        if isinstance(outcome, InvalidVideo):
            continue
        frames = outcome[1].frames
        assert frames[0].span_start_ms == 0, name
        ends = [frame.span_end_ms for frame in frames]
        assert [frame.span_start_ms for frame in frames[1:]] == ends[:-1], name


@pytest.fixture(scope="module")
def sound_clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    options = {"preset": "ultrafast", "bf": "2", "g": "10"}
    sounds = [Sound(tone(1.2))]
    kinds = {
        "mp4": {"options": options, "sounds": sounds},
        "mkv": {"options": options, "sounds": sounds},
        "ts": {"options": options, "sounds": sounds, "time_base": Fraction(1, 90_000)},
        "avi": {"codec": "mpeg4", "options": {"bf": "2"}, "time_base": Fraction(1, 25)},
        "h264": {"options": options},
    }
    return [
        write_clip(folder / f"clip.{suffix}", steady(30), **kind).read_bytes()
        for suffix, kind in kinds.items()
    ]


def damage(seed, originals):
    """A clip with bytes changed, cut out, put in, cut off, or set to extremes."""
    rng = random.Random(seed)
    data = bytearray(rng.choice(originals))
    extremes = [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"]
    match rng.randrange(4):
        case 0:
            for _ in range(rng.randrange(1, 40)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 1:
            start = rng.randrange(len(data))
            data[start : start + rng.randrange(200)] = rng.randbytes(rng.randrange(200))
        case 2:
            del data[rng.randrange(len(data)) :]
        case _:
            for _ in range(rng.randrange(1, 30)):
                start = rng.randrange(len(data) - 4)
                data[start : start + 4] = rng.choice(extremes)
    return bytes(data)


def test_no_damage_hangs_or_crashes_the_parent(sound_clips, tmp_path):
    def one(seed):
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(damage(seed, sound_clips))
        out = tmp_path / str(seed)
        out.mkdir()
        started = time.monotonic()
        outcome = run(path, out)
        assert time.monotonic() - started < 300, seed
        return outcome

    with ThreadPoolExecutor(2) as pool:
        # A fault of ours in any child is raised here, with the child's traceback.
        outcomes = list(pool.map(one, range(FUZZ_CASES)))
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidVideo)]
    analysed = [outcome for outcome in outcomes if not isinstance(outcome, InvalidVideo)]
    assert len(refused) >= 3
    assert len(analysed) >= 10
