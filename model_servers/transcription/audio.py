"""Audio as a stream: decoded piece by piece, cut where it is quietest."""

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

_LENGTH_TOLERANCE_S = 0.5
"""Containers round their length, and lossy codecs pad and trim."""
_QUIET_FRAME = SAMPLE_RATE // 50
"""Loudness is measured over 20 ms."""


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
            resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            decoded = 0
            for frame in itertools.chain(container.decode(stream), [None]):
                if frame is not None:
                    frame.pts = None
                for resampled in resampler.resample(frame):
                    piece = np.asarray(resampled.to_ndarray(), dtype=np.float32).reshape(-1)
                    decoded += len(piece)
                    yield piece
            if decoded < (announced_s - _LENGTH_TOLERANCE_S) * SAMPLE_RATE:
                raise MalformedRequest(
                    f"cut off: {decoded / SAMPLE_RATE:.1f} s of {announced_s:.1f} s"
                )
    except (av.error.FFmpegError, ValueError) as cause:
        raise MalformedRequest(f"not readable audio: {cause}") from cause


def in_windows(pieces: Iterator[Samples], longest_s: float, search_s: float) -> Iterator[Samples]:
    """Join pieces into windows of at most `longest_s`, each cut where it is quietest.

    Args:
        pieces: consecutive samples.
        longest_s: length of a window before it is cut.
        search_s: how far before that length the cut may lie.
    """
    longest = int(longest_s * SAMPLE_RATE)
    held: list[Samples] = []
    held_samples = 0
    for piece in pieces:
        held.append(piece)
        held_samples += len(piece)
        while held_samples >= longest:
            joined = np.concatenate(held)
            cut = quietest(joined, longest - int(search_s * SAMPLE_RATE), longest)
            yield joined[:cut]
            held, held_samples = [joined[cut:]], len(joined) - cut
    if held_samples:
        yield np.concatenate(held)


def slices(window: Samples, count: int, search_s: float) -> list[Samples]:
    """Cut a window into about equal parts, at quiet places near the equal cuts.

    Fewer parts when they would be shorter than twice the search range.
    """
    search = int(search_s * SAMPLE_RATE)
    count = max(1, min(count, len(window) // (2 * search)))
    cuts = [
        quietest(window, centre - search // 2, centre + search // 2)
        for centre in (len(window) * part // count for part in range(1, count))
    ]
    return np.split(window, cuts)


def quietest(samples: Samples, start: int, end: int) -> int:
    """The middle of the quietest 200 ms between two positions, as a position in `samples`."""
    frames = samples[start:end]
    frames = frames[: len(frames) // _QUIET_FRAME * _QUIET_FRAME].reshape(-1, _QUIET_FRAME)
    if not len(frames):
        return end
    energy = np.square(frames, dtype=np.float32).mean(axis=1)
    span = min(10, len(energy))
    smooth = np.convolve(energy, np.ones(span, np.float32), mode="valid")
    return start + (int(smooth.argmin()) + span // 2) * _QUIET_FRAME
