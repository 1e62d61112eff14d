"""Very short videos, made with PyAV, for tests that need a video but not its content."""

import io
from fractions import Fraction

import av
import numpy as np


def tiny_clip(*, seconds: float = 1.0, audio: bool = False, seed: int = 0) -> bytes:
    """An MP4 of 160x120 with a moving grey ramp, and a tone where `audio` asks for one.

    Clips of different seeds differ in content.
    """
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono") if audio else None
        ramp = np.add.outer(np.arange(120), np.arange(160))
        for number in range(int(seconds * 10)):
            picture = ((ramp + 8 * number + 31 * seed) % 256).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.stack([picture] * 3, axis=-1), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None:
            times = np.arange(int(seconds * 16_000)) / 16_000
            tone = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
            for start in range(0, len(tone), 1024):
                part = av.AudioFrame.from_ndarray(
                    tone[None, start : start + 1024], format="fltp", layout="mono"
                )
                part.sample_rate, part.pts = 16_000, start
                part.time_base = Fraction(1, 16_000)
                container.mux(sound.encode(part))
            container.mux(sound.encode())
    return target.getvalue()


def sound_only(seconds: float = 1.0) -> bytes:
    """An MP4 with a tone and no video stream."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for start in range(0, int(seconds * 16_000), 1024):
            part = av.AudioFrame.from_ndarray(
                np.full((1, 1024), 0.1, np.float32), format="fltp", layout="mono"
            )
            part.sample_rate, part.pts = 16_000, start
            container.mux(sound.encode(part))
        container.mux(sound.encode())
    return target.getvalue()
