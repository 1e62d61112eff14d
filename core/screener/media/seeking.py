"""Goes to where decoding of a time range can begin."""

from __future__ import annotations

from fractions import Fraction

import av

from screener.media.container import OpenVideo
from screener.media.packets import ClockedPackets

_FURTHER_BACK_SECONDS = (0, 10, 60, 600, 10**9)
"""How much earlier than needed a key frame is sought, one after the other; at last from the
beginning."""
_BEFORE_ANYTHING = Fraction(-10)
"""Time 0 is when the first picture is shown. It is decoded, and sought, a little earlier."""


def seek(opened: OpenVideo, needed: Fraction, begins: Fraction) -> ClockedPackets:
    """Go to a packet from which everything from `begins` on can be decoded.

    Args:
        opened: the video, not read from yet.
        needed: seconds; where reading has to begin at the latest.
        begins: seconds; where a key frame has to lie at the latest.

    Returns:
        The packets from there on.
    """
    for further in _FURTHER_BACK_SECONDS:
        time = max(_BEFORE_ANYTHING, needed - further)
        # Formats without an index are sought by time alone, and end up anywhere in a group.
        if not _go_to(opened, time) or time == _BEFORE_ANYTHING:
            break
        if _comes_to_a_key_frame_by(opened, begins):
            _go_to(opened, time)
            break
    return ClockedPackets(opened)


def _go_to(opened: OpenVideo, time: Fraction) -> bool:
    """Whether it could be done; otherwise we are where we were."""
    base = Fraction(opened.video.time_base or Fraction(1, 1000))
    try:
        opened.container.seek(int((time + opened.origin) / base), stream=opened.video)
    except av.FFmpegError:
        # No index and no way to search.
        return False
    return True


def _comes_to_a_key_frame_by(opened: OpenVideo, latest: Fraction) -> bool:
    """Read on until the first key frame, or the first picture after `latest`: which is it?"""
    packets = ClockedPackets(opened)
    base = Fraction(opened.video.time_base or Fraction(1, 1000))
    for packet, _, is_video in packets:
        if is_video and packet.pts is not None:
            if packet.pts * base + packets.first_shift > latest:
                return False
            if packet.is_keyframe:
                return True
    return False
