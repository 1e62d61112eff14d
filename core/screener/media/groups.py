"""Which packets have to be decoded for the wanted frames.

A group of pictures starts at a key frame and can be decoded on its own, so groups are
decoded side by side, each only up to its last wanted frame. In an open group the pictures
shown before its key frame refer to the group before it: those are planned as the tail of
that group, with the key frame decoded once more.

    decoding order   I0 P4 B2 B1 B3 | I8 B6 B5 B7 P12 ...
    display order    I0 B1 B2 B3 P4 B5 B6 B7 | I8 ...
                                    ^^^^^^^^ leading pictures of I8: planned with I0's group

A group too long to hold is handed on in pieces, to be decoded one after the other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappush, heapreplace
from typing import Generic, NamedTuple, TypeVar

from screener.media.sampler import Picker, Shown

MAX_GROUP_PACKETS = 600
MAX_GROUP_BYTES = 32 * 1024 * 1024
MAX_REORDERED = 32
"""Pictures between decoding and display order at most; H.264 and HEVC allow 16."""

P = TypeVar("P")


class Coded(NamedTuple, Generic[P]):
    """A packet and what planning needs to know of it."""

    packet: P
    pts: int
    size_bytes: int
    is_key: bool
    is_shown: bool
    """False where an edit list cuts the picture away: decoded for others, never shown."""


class Wanted(NamedTuple):
    """A frame to keep."""

    pts: int
    time: Fraction
    position: Fraction


@dataclass(frozen=True)
class Job(Generic[P]):
    """Packets for one decoder, in decoding order."""

    packets: list[Coded[P]]
    wanted: list[Wanted]
    starts: bool
    """The first packet is a key frame and the decoder starts afresh."""
    ends: bool
    """The decoder gives out everything it holds."""

    @property
    def size_bytes(self) -> int:
        return sum(coded.size_bytes for coded in self.packets)


@dataclass
class _Group(Generic[P]):
    packets: list[Coded[P]] = field(default_factory=list)
    size_bytes: int = 0
    continued: bool = False

    @property
    def key_pts(self) -> int:
        return self.packets[0].pts


class DisplayOrder:
    """Notices a clock that runs backwards: a player shows what then comes, but at times that were
    looked at before."""

    def __init__(self) -> None:
        self._latest: list[int] = []
        """The latest times so far, one more than a decoder may hold back, as a heap."""

    def is_broken_by(self, pts: int) -> bool:
        """Take the next picture in decoding order; whether too many before it are shown later."""
        if len(self._latest) <= MAX_REORDERED:
            heappush(self._latest, pts)
            return False
        if pts < self._latest[0]:
            return True
        heapreplace(self._latest, pts)
        return False


class GroupPlanner(Generic[P]):
    """Turns packets in decoding order into jobs.

    Args:
        picker: which frames are wanted.
        to_seconds: a pts as seconds on the timeline.
        last_duration: how long the video's last frame is shown, in seconds.
        from_beginning: whether the first packet is the first of the video.
    """

    def __init__(
        self,
        picker: Picker,
        to_seconds: Callable[[int], Fraction],
        last_duration: Fraction,
        *,
        from_beginning: bool,
    ) -> None:
        self._picker = picker
        self._to_seconds = to_seconds
        self._last_duration = last_duration
        self._is_first = from_beginning
        self._previous: _Group[P] | None = None
        self._current: _Group[P] | None = None
        self.frames_seen = 0

    def feed(self, coded: Coded[P]) -> Iterator[Job[P]]:
        """Take the next packet; yields the jobs that it completes."""
        if coded.is_key:
            yield from self._complete_previous()
            self._previous, self._current = self._current, _Group()
        group = self._current
        if group is None:
            # Nothing before the first key frame can be decoded.
            return
        group.packets.append(coded)
        group.size_bytes += coded.size_bytes
        if len(group.packets) >= MAX_GROUP_PACKETS or group.size_bytes >= MAX_GROUP_BYTES:
            yield from self._cut(group)

    def finish(self) -> Iterator[Job[P]]:
        """The input has ended; yields what is left."""
        yield from self._complete_previous()
        self._previous, self._current = self._current, None
        yield from self._complete_previous()
        self._previous = None

    def _complete_previous(self) -> Iterator[Job[P]]:
        """Plan the group before the current one, which is complete: its tail is known."""
        group, following = self._previous, self._current
        if group is None:
            return
        leading = []
        if following is not None and not following.continued:
            leading = [c for c in following.packets[1:] if c.pts < following.key_pts]
        own = self._own(group)
        end = self._to_seconds(following.key_pts) if following is not None else None
        wanted = list(self._pick([*own, *leading], end))
        packets = group.packets
        needed = {frame.pts for frame in wanted}
        if following is not None and any(c.pts in needed for c in leading):
            packets = packets + _through_last(following.packets, needed)
        elif not group.continued:
            packets = _through_last(packets, needed)
        if packets and (wanted or group.continued):
            yield Job(packets, wanted, starts=not group.continued, ends=True)

    @staticmethod
    def _own(group: _Group[P]) -> list[Coded[P]]:
        """The group's pictures that were not planned with the group before it."""
        if group.continued:
            return group.packets
        return [c for c in group.packets if c.pts >= group.key_pts]

    def _cut(self, group: _Group[P]) -> Iterator[Job[P]]:
        """Hand on the part of the overlong current group whose display order is settled."""
        yield from self._complete_previous()
        self._previous = None
        by_time = sorted(c.pts for c in group.packets)
        settled_before = by_time[-MAX_REORDERED] if len(by_time) > MAX_REORDERED else by_time[0]
        count = 0
        while count < len(group.packets) and group.packets[count].pts < settled_before:
            count += 1
        if count == 0:
            # Times in no sensible order: give up on order rather than on memory.
            count = len(group.packets) // 2
        piece, rest = group.packets[:count], group.packets[count:]
        shown = piece if group.continued else [c for c in piece if c.pts >= group.key_pts]
        end = self._to_seconds(min(c.pts for c in rest))
        yield Job(piece, list(self._pick(shown, end)), starts=not group.continued, ends=False)
        self._current = _Group(rest, sum(c.size_bytes for c in rest), continued=True)

    def _pick(self, coded: Iterable[Coded[P]], end: Fraction | None) -> Iterator[Wanted]:
        shown = sorted({c.pts: c.is_key for c in coded if c.is_shown}.items())
        times = [self._to_seconds(pts) for pts, _ in shown]
        for index, (pts, is_key) in enumerate(shown):
            time = times[index]
            if index + 1 < len(shown):
                next_time = times[index + 1]
            else:
                next_time = end if end is not None and end > time else time + self._last_duration
            self.frames_seen += 1
            position = self._picker.position(Shown(pts, time, next_time, is_key, self._is_first))
            self._is_first = False
            if position is not None:
                yield Wanted(pts, time, position)


def _through_last(packets: list[Coded[P]], needed: set[int]) -> list[Coded[P]]:
    """The packets up to the last one that is needed."""
    for index in range(len(packets) - 1, -1, -1):
        if packets[index].pts in needed:
            return packets[: index + 1]
    return []
