"""Exact time: from a stream's own units to one timeline that starts at 0.

0 is the container's start, as FFmpeg computes it (edit lists applied): what a player shows
first. Arithmetic is in integers and fractions; milliseconds appear only at the very end.
"""

from fractions import Fraction

FORWARD_JUMP_SECONDS = 10
BACKWARD_JUMP_SECONDS = Fraction(1, 2)
"""Transport streams may restart their clock. Decoding times never run backwards, and a pause
of ten seconds is where FFmpeg's own command sees a jump too."""


def to_ms(seconds: Fraction) -> int:
    """Nearest whole millisecond, never negative."""
    return max(0, round(seconds * 1000))


class Timeline:
    """Timestamps of all chosen streams of one container.

    Each jump opens an epoch with its own shift. A stream enters an epoch when its own packets
    do: at a jump the last packets of one stream come after the first new ones of another.

    Args:
        origin: the container's start in seconds.
        discontinuous: whether the format's clock may jump (transport and program streams).
    """

    def __init__(self, origin: Fraction, *, discontinuous: bool) -> None:
        self._shifts = [-origin]
        self._discontinuous = discontinuous
        self._epoch: dict[int, int] = {}
        self._expected: dict[int, Fraction] = {}

    @property
    def jumps(self) -> int:
        return len(self._shifts) - 1

    def follow(self, stream: int, decoding_time: Fraction | None, duration: Fraction) -> Fraction:
        """Tell the timeline about the next packet, in file order.

        Returns:
            Seconds to add to the packet's own timestamps.
        """
        epoch = self._epoch.get(stream, self.jumps)
        if decoding_time is None or not self._discontinuous:
            return self._shifts[epoch]
        expected = self._expected.get(stream)
        if expected is not None:
            epoch = self._epoch_of(decoding_time, expected, epoch)
        self._epoch[stream] = epoch
        self._expected[stream] = decoding_time + self._shifts[epoch] + duration
        return self._shifts[epoch]

    def _epoch_of(self, decoding_time: Fraction, expected: Fraction, current: int) -> int:
        """The stream's epoch, or a later one that the packet continues, or a new one."""
        for epoch in range(current, len(self._shifts)):
            gap = decoding_time + self._shifts[epoch] - expected
            if -BACKWARD_JUMP_SECONDS <= gap <= FORWARD_JUMP_SECONDS:
                return epoch
        self._shifts.append(expected - decoding_time)
        return self.jumps
