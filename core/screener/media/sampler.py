"""Which frames are wanted. Pure arithmetic on presentation times in display order.

Fixed rate keeps the frame that is on display at each sample point k/rate, k = 0, 1, 2, ...
A frame belongs to the time range that holds the first sample point it is shown at, so the
ranges of a video keep each frame exactly once, wherever they are cut.
"""

from fractions import Fraction
from typing import NamedTuple, Protocol


class Shown(NamedTuple):
    """One frame of the video, as far as its packet tells. Times in seconds."""

    pts: int
    time: Fraction
    next_time: Fraction
    """When another frame replaces it."""
    is_key: bool
    is_first: bool
    """Of the whole video: it also stands for the time before it."""


class Picker(Protocol):
    """A sampling strategy's first stage."""

    def position(self, frame: Shown) -> Fraction | None:
        """Where on the timeline the frame is wanted; None when it is not."""
        ...


class EveryInterval:
    """Fixed rate, and the candidates of scene change and adaptive sampling."""

    def __init__(self, frames_per_second: float) -> None:
        # The setting is a decimal; Fraction(0.1) would be a neighbour of 1/10.
        self._rate = Fraction(str(frames_per_second))

    def position(self, frame: Shown) -> Fraction | None:
        first_point = 0 if frame.is_first else max(0, -((-frame.time * self._rate) // 1))
        point = Fraction(first_point) / self._rate
        # A video always has its first frame, even one shorter than any interval.
        return point if frame.is_first or point < frame.next_time else None


class KeyFrames:
    """Frames that the encoder stored whole."""

    def position(self, frame: Shown) -> Fraction | None:
        if frame.is_first:
            return Fraction(0)
        return max(Fraction(0), frame.time) if frame.is_key else None


class RangePicker:
    """Restricts a picker to the frames that belong to [start, end).

    Attributes:
        next_time: presentation time of the first wanted frame beyond the range, once seen.
    """

    def __init__(self, picker: Picker, start: Fraction, end: Fraction | None) -> None:
        self._picker, self._start, self._end = picker, start, end
        self.next_time: Fraction | None = None

    @property
    def has_passed_end(self) -> bool:
        return self.next_time is not None

    def position(self, frame: Shown) -> Fraction | None:
        position = self._picker.position(frame)
        if position is None or position < self._start:
            return None
        if self._end is not None and position >= self._end:
            if self.next_time is None or frame.time < self.next_time:
                self.next_time = frame.time
            return None
        return position
