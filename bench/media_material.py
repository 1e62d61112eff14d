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


class Encoder(NamedTuple):
    """A way in which uploads are encoded."""

    rate: Fraction
    options: dict[str, str]


ENCODERS = {
    # x264 as editors, converters and most sites leave it: up to 3 B-pictures in a pyramid, 3
    # reference pictures, a key frame at cuts and after 250 pictures at the latest.
    "x264 defaults": Encoder(Fraction(30), {"preset": "medium", "crf": "23"}),
    # OBS and other live encoders: two B-pictures, one reference, a key frame every 2 s.
    "live": Encoder(
        Fraction(30),
        {"preset": "veryfast", "bf": "2", "g": "60", "x264-params": "scenecut=0", "crf": "23"},
    ),
    # Phones' hardware encoders: no B-pictures, a key frame each second, 17 Mbit/s at 1080p. With
    # 29.97 frames a second, the one on display at each second is the last of its group.
    "phone": Encoder(
        Fraction(30_000, 1001),
        {"preset": "superfast", "bf": "0", "g": "30", "x264-params": "scenecut=0", "b": "17M"},
    ),
}


def speed_clip(target: Path, seconds: int, width: int, height: int, encoder: Encoder) -> Path:
    """H.264 as uploads are made, with AAC sound.

    A battle scene, enlarged; grain gives it back the detail of a camera's picture, without
    which an encoder spends half the bits and a decoder half the time.
    """
    with av.open(str(target), "w") as output:
        video = output.add_stream("libx264", rate=encoder.rate, options=encoder.options)
        _shape(video, width, height)
        # Slices, PyAV's choice of threads, would not be what these encoders write.
        video.codec_context.thread_type = "FRAME"
        audio = output.add_stream("aac", rate=44_100)
        audio.codec_context.layout = "stereo"
        sound = _Sound(audio)
        source = frames_of(
            VIDEO / "tears_of_steel_battle_70s.webm", width, height, int(encoder.rate + 1)
        )
        grain = _Grain(width, height)
        for number, frame in zip(range(int(seconds * encoder.rate)), source, strict=False):
            frame = grain.over(frame)
            frame.pts, frame.time_base = number, 1 / encoder.rate
            output.mux(video.encode(frame))
            while sound.seconds < number / encoder.rate:
                output.mux(sound.next())
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return target


class _Grain:
    """Noise on the brightness, different in each frame."""

    def __init__(self, width: int, height: int) -> None:
        self._random = np.random.default_rng(7)
        self._height = height
        self._noise = self._random.normal(0, 2, (2 * height, width)).round().astype(np.int8)

    def over(self, frame: VideoFrame) -> VideoFrame:
        picture = frame.to_ndarray()
        start = int(self._random.integers(self._height))
        brightness = picture[: self._height].astype(np.int16)
        brightness += self._noise[start : start + self._height]
        np.clip(brightness, 0, 255, out=brightness)
        picture[: self._height] = brightness
        return VideoFrame.from_ndarray(picture, format="yuv420p")


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
