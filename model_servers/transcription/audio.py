"""Audio as a stream: decoded piece by piece while it arrives."""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from model_servers.serving.errors import MalformedRequest

SAMPLE_RATE = 16_000
"""What Whisper and the voice activity detector expect."""
Samples = NDArray[np.float32]
"""Mono samples from -1 to 1, shape (n,)."""

_FULL_SCALE = np.float32(1 << 15)
_LENGTH_TOLERANCE_S = 0.5
"""Containers round their length, and lossy codecs pad and trim."""


def decode_audio(source: BinaryIO) -> Iterator[Samples]:
    """Decode the first audio stream of a file to 16 kHz mono, as it arrives.

    Raises:
        MalformedRequest: no audio that FFmpeg can read, a broken packet, or an end before the
            length that the file itself announces. What is missing would pass as silence.
    """
    try:
        # A file object only: FFmpeg then opens no other file or URL, whatever a playlist says.
        with av.open(source, mode="r", metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise MalformedRequest("no audio stream")
            stream = container.streams.audio[0]
            announced_s = float((stream.duration or 0) * (stream.time_base or 0))
            # Not "flt": FFmpeg adds two channels up to 1.4 times their level when it mixes floats.
            resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            decoded = 0
            for frame in itertools.chain(container.decode(stream), [None]):
                if frame is not None:
                    frame.pts = None
                for resampled in resampler.resample(frame):
                    piece = np.asarray(resampled.to_ndarray(), dtype=np.float32).reshape(-1)
                    piece /= _FULL_SCALE
                    decoded += len(piece)
                    yield piece
            if decoded < (announced_s - _LENGTH_TOLERANCE_S) * SAMPLE_RATE:
                raise MalformedRequest(
                    f"cut off: {decoded / SAMPLE_RATE:.1f} s of {announced_s:.1f} s"
                )
    except (av.error.FFmpegError, ValueError) as cause:
        raise MalformedRequest(f"not readable audio: {cause}") from cause
