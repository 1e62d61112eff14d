"""Clips for the media benchmarks, made from real ones with PyAV.

From SCREENER_TEST_MEDIA (default ../shared/media).
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

MEDIA = Path(os.environ.get("SCREENER_TEST_MEDIA", Path(__file__).parents[2] / "shared" / "media"))
VIDEO = MEDIA / "video"
RATE = 25


class Insert(NamedTuple):
    """Foreign content in a clip, [start, start + length) seconds."""

    start: Fraction
    length: Fraction


def frames_of(path: Path, width: int, height: int, rate: int) -> Iterator[VideoFrame]:
    """A clip's frames at a steady rate, over and over, scaled to fill; yuv420p."""
    while True:
        number = 0
        with av.open(str(path)) as source:
            for frame in source.decode(video=0):
                time = frame.time or 0.0
                scaled = frame.reformat(width, height, "yuv420p", interpolation="AREA")
                while number <= time * rate:
                    number += 1
                    yield VideoFrame.from_ndarray(scaled.to_ndarray(), format="yuv420p")


def speed_clip(target: Path, seconds: int, width: int, height: int, rate: int = 30) -> Path:
    """H.264 as uploads are made (medium, groups of up to 250), with AAC sound."""
    with av.open(str(target), "w") as output:
        video = output.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
        _shape(video, width, height)
        audio = output.add_stream("aac", rate=44_100)
        audio.codec_context.layout = "stereo"
        sound = _Sound(audio)
        source = frames_of(VIDEO / "tears_of_steel_battle_70s.webm", width, height, rate)
        for number, frame in zip(range(seconds * rate), source, strict=False):
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(video.encode(frame))
            while sound.seconds < number / rate:
                output.mux(sound.next())
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return target


def _shape(stream: VideoStream, width: int, height: int) -> None:
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"


class _Sound:
    """Noise in blocks of one AAC frame, with a clock."""

    def __init__(self, stream: AudioStream) -> None:
        self._stream, self._written = stream, 0
        self._random = np.random.default_rng(3)

    @property
    def seconds(self) -> float:
        return self._written / 44_100

    def next(self) -> "list[av.Packet[AudioStream]]":
        block = self._random.normal(0, 0.05, (2, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44_100, self._written
        frame.time_base = Fraction(1, 44_100)
        self._written += 1024
        return self._stream.encode(frame)


def clip_with_inserts(
    target: Path, base: Path, foreign: Path, seconds: int, inserts: list[Insert], share: float
) -> Path:
    """A clip interrupted by another one.

    Args:
        share: side of the foreign picture as a share of the whole; it lies in the lower right.
    """
    width, height = 480, 272
    small = (round(width * share) // 2 * 2, round(height * share) // 2 * 2)
    with av.open(str(target), "w") as output:
        video = output.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "crf": "23"}
        )
        _shape(video, width, height)
        own = frames_of(base, width, height, RATE)
        other = frames_of(foreign, *small, RATE)
        for number in range(seconds * RATE):
            time = Fraction(number, RATE)
            frame = next(own)
            if any(insert.start <= time < insert.start + insert.length for insert in inserts):
                frame = _paste(frame, next(other))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return target


def _paste(frame: VideoFrame, other: VideoFrame) -> VideoFrame:
    """`other` over the lower right of `frame`; sides are even."""
    image = frame.to_ndarray(format="rgb24")
    image[-other.height :, -other.width :] = other.to_ndarray(format="rgb24")
    return VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
