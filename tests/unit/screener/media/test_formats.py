"""Every row of docs/formats.md, written, probed and extracted."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media_clips import (
    Sound,
    draw,
    extract_here,
    probe_here,
    read_number,
    steady,
    tone,
    write_clip,
)

DOCUMENT = Path(__file__).parents[4] / "docs" / "formats.md"
WIDTH, HEIGHT = 320, 192
OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "2"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:keyint=20"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
PIXELS = {
    "mjpeg": "yuvj420p",
    "prores_ks": "yuv422p10le",
    "gif": "gray",
}
TIME_BASES = {
    "mp4": Fraction(1, 12_800),
    "mov": Fraction(1, 12_800),
    "mkv": Fraction(1, 1000),
    "webm": Fraction(1, 1000),
    "flv": Fraction(1, 1000),
}


def rows():
    lines = DOCUMENT.read_text("utf-8").partition("|---|---|---|---|\n")[2].splitlines()
    for line in lines:
        if not line.startswith("|"):
            return
        yield tuple(cell.strip() for cell in line.strip("|").split("|"))


def enlarged(number):
    return draw(number, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("suffix", "picture", "sound"),
    [pytest.param(*row[1:], id=" ".join(row[1:])) for row in rows()],
)
def test_a_documented_format_is_read_exactly(suffix, picture, sound, tmp_path):
    rate = 48_000 if sound in ("libopus", "pcm_s16le") else 44_100
    sounds = [Sound(tone(1.6, rate), rate=rate, codec=sound)] if sound else []
    # MPEG-2 knows only a few frame rates and takes them from here.
    mpeg = picture == "mpeg2video"
    time_base = Fraction(1, 25) if mpeg else TIME_BASES.get(suffix, Fraction(1, 25))
    clip = write_clip(
        tmp_path / f"clip.{suffix}",
        steady(40),
        codec=picture,
        options=OPTIONS.get(picture, {}),
        pix_fmt=PIXELS.get(picture, "yuv420p"),
        time_base=time_base,
        sounds=sounds,
        picture=enlarged,
    )
    facts = probe_here(clip)
    assert (facts.width, facts.height) == (WIDTH, HEIGHT)
    extracted = extract_here(clip)
    first, second = (read_number(jpeg) for jpeg in extracted.jpegs)
    # Where the sound begins a little before the picture, one second is inside an earlier frame.
    assert first == 0
    assert 23 <= second <= 25
    assert extracted.times_ms[0] <= 120
    # The AVI muxer fills the delay of its sound with an empty picture: one frame of difference.
    allowed_ms = 41 if suffix == "avi" else 1
    assert abs(extracted.times_ms[1] - extracted.times_ms[0] - second * 40) <= allowed_ms
    assert extracted.result.losses == {}
    assert extracted.result.has_audio == bool(sound)
    if sound:
        assert facts.audio_codec
        samples = extracted.samples()
        assert not extracted.result.audio_silent
        assert abs(samples.size / 16_000 - 1.6) < 0.2
        middle = samples[samples.size // 2 :][:4000].astype(float)
        loudest = np.fft.rfftfreq(middle.size, 1 / 16_000)[
            np.abs(np.fft.rfft(middle * np.hanning(middle.size))).argmax()
        ]
        assert abs(loudest - 440) < 8


def test_the_document_lists_formats():
    assert len(list(rows())) >= 30
