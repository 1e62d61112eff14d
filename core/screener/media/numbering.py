"""Times of frames in containers that store none: the n-th frame shown has the n-th time.

Raw streams have no times at all, so frames are counted at the stated rate. Transport and program
streams need not give every picture a time: then all are counted, and share the duration. AVI
numbers its packets in decoding order; the presentation times that FFmpeg derives from that begin
late by the decoder's delay, and for H.264 they mix pictures up.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from screener.media.sampler import Shown


class FrameCounter:
    """Gives times to decoded frames, in the order in which they are shown.

    Args:
        frame_rate: frames per second where packets carry no time.
    """

    def __init__(self, frame_rate: Fraction) -> None:
        self._length = 1 / frame_rate
        self._waiting: deque[Fraction] = deque()
        self._count = 0
        self._end = Fraction(0)

    @property
    def count(self) -> int:
        return self._count

    @property
    def end(self) -> Fraction:
        """Seconds at which the last frame so far ends."""
        return self._end

    def sent(self, decoding_time: Fraction | None) -> None:
        """The decoder was given a packet of this time (None: it has none)."""
        if decoding_time is not None:
            self._waiting.append(decoding_time)

    def shown(self, *, is_key: bool) -> Shown:
        """Times of the frame that came out next."""
        time = max(self._waiting.popleft() if self._waiting else self._end, Fraction(0))
        next_time = self._waiting[0] if self._waiting else time + self._length
        self._end = max(next_time, time)
        number = self._count
        self._count += 1
        return Shown(number, time, self._end, is_key, is_first=number == 0)
