"""Clips in which one real clip is interrupted by others, for the sampling benchmark."""

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

RATE = 25
WIDTH, HEIGHT = 480, 272
LONGEST_SECONDS = 60
_SPACING_SECONDS = Fraction(1, 2)


class Footage:
    """A clip's pictures at 25 a second, 480x272, played to and fro.

    Played round and round, a clip of six seconds would have a cut every six seconds.

    Args:
        path: of the clip; its first minute is used.
    """

    def __init__(self, path: Path) -> None:
        self._pictures: list[NDArray[np.uint8]] = []
        with av.open(str(path)) as source:
            for frame in source.decode(video=0):
                time = frame.time or 0.0
                if time > LONGEST_SECONDS:
                    break
                scaled = frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="AREA")
                picture = scaled.to_ndarray().astype(np.uint8)
                while len(self._pictures) <= time * RATE:
                    self._pictures.append(picture)
        chroma = np.stack([picture[HEIGHT:] for picture in self._pictures[:: RATE * 2]])
        self.is_grey = bool(np.abs(chroma.astype(int) - 128).mean() < 2)

    def frame(self, number: int) -> VideoFrame:
        """Picture `number`, of any number."""
        last = len(self._pictures) - 1
        number %= max(1, 2 * last)
        picture = self._pictures[min(number, 2 * last - number)]
        return VideoFrame.from_ndarray(picture, format="yuv420p")


class Insert(NamedTuple):
    """Foreign content in a clip, [start, start + length) seconds."""

    start: Fraction
    length: Fraction
    across: float
    down: float
    """Where it lies: 0 is the left or upper edge, 1 the right or lower."""
    source: int
    """Which of the foreign clips."""
    first: int
    """Its first picture."""


def plan_inserts(
    seconds: int, lengths: list[Fraction], per_length: int, sources: int, seed: int
) -> list[Insert]:
    """Interruptions of every length, in random order, at random frames and places, half a second
    apart or more.

    Raises:
        ValueError: the clip is too short for so many.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    order = lengths * per_length
    rng.shuffle(order)
    slot = Fraction(seconds, len(order))
    if slot < max(lengths) + _SPACING_SECONDS:
        raise ValueError(f"{len(order)} interruptions do not fit into {seconds} s")
    inserts = []
    for number, length in enumerate(order):
        free = float(slot - length - _SPACING_SECONDS)
        start = slot * number + _SPACING_SECONDS + Fraction(rng.random() * free)
        inserts.append(
            Insert(
                start=Fraction(round(start * RATE), RATE),
                length=length,
                across=rng.random(),
                down=rng.random(),
                source=rng.randrange(sources),
                first=rng.randrange(10_000),
            )
        )
    return inserts


def write_interrupted(
    target: Path,
    base: Footage,
    foreign: list[Footage],
    seconds: int,
    inserts: list[Insert],
    share: float,
) -> Path:
    """A clip interrupted by others; in black and white where the clip is, which hides them better.

    Args:
        share: width and height of the foreign picture as a share of the whole.
    """
    width, height = round(WIDTH * share) // 2 * 2, round(HEIGHT * share) // 2 * 2
    with av.open(str(target), "w") as output:
        options = {"preset": "ultrafast", "crf": "23"}
        video = output.add_stream("libx264", rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, insert in _timetable(seconds, inserts):
            frame = base.frame(number)
            if insert is not None:
                shown = number - round(insert.start * RATE)
                other = foreign[insert.source].frame(insert.first + shown)
                if base.is_grey:
                    other = other.reformat(format="gray")
                small = other.reformat(width, height, "rgb24", interpolation="AREA")
                frame = _paste(
                    frame, small.to_ndarray().astype(np.uint8), insert.across, insert.down
                )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return target


def _timetable(seconds: int, inserts: list[Insert]) -> Iterator[tuple[int, Insert | None]]:
    """Every frame's number with the interruption that it belongs to."""
    for number in range(seconds * RATE):
        time = Fraction(number, RATE)
        yield (
            number,
            next((one for one in inserts if one.start <= time < one.start + one.length), None),
        )


def _paste(frame: VideoFrame, other: NDArray[np.uint8], across: float, down: float) -> VideoFrame:
    """`other`, RGB of shape (height, width, 3), over a part of `frame`."""
    image = frame.to_ndarray(format="rgb24")
    height, width, _ = other.shape
    left, top = round((WIDTH - width) * across), round((HEIGHT - height) * down)
    image[top : top + height, left : left + width] = other
    return VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
