"""Packets of the chosen streams on one clock, going on behind damage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.error
from av.packet import Packet

from screener.media.container import OpenVideo

_MAX_ERRORS = 100


class Clocked(NamedTuple):
    """A packet and what to add to its stream's times, in seconds, to be on the timeline."""

    packet: Packet[Any]
    shift: Fraction
    is_video: bool


class ClockedPackets:
    """Reads on from where the container stands. A video packet's pts is moved where the clock
    jumped, so that `pts x time base + first_shift` is its time everywhere.

    Attributes:
        first_shift: seconds to add before any jump.
        has_jumped: whether the clock did, so far.
        errors: how many times the file was damaged between two packets.
    """

    def __init__(self, opened: OpenVideo) -> None:
        self._opened = opened
        self.first_shift = -opened.origin
        self.errors = 0
        self.has_jumped = False
        self._ends: dict[int, int] = {}
        self._end_of_jumping = Fraction(0)

    @property
    def end(self) -> Fraction:
        """Seconds on the timeline at which the last packet so far ends."""
        streams = self._opened.container.streams
        ends = [
            ticks * Fraction(streams[index].time_base or 0) + self.first_shift
            for index, ticks in self._ends.items()
        ]
        return max([self._end_of_jumping, *ends])

    def __iter__(self) -> Iterator[Clocked]:
        return self._on_jumping_clock() if self._opened.discontinuous else self._on_one_clock()

    def _on_one_clock(self) -> Iterator[Clocked]:
        # In ticks: fractions for every packet would take longer than reading the file.
        video = self._opened.video.index
        frame_ticks = round(1 / self._opened.frame_rate / (self._opened.video.time_base or 1))
        ends, shift = self._ends, self.first_shift
        for packet in self._packets():
            index = packet.stream_index
            if packet.pts is not None:
                length = packet.duration or (frame_ticks if index == video else 0)
                ends[index] = max(ends.get(index, 0), packet.pts + length)
            yield Clocked(packet, shift, index == video)

    def _on_jumping_clock(self) -> Iterator[Clocked]:
        clock = self._opened.timeline()
        for packet in self._packets():
            base = Fraction(packet.time_base)
            length = self._opened.length_of(packet)
            decoding_time = None if packet.dts is None else packet.dts * base
            shift = clock.follow(packet.stream_index, decoding_time, length)
            self.has_jumped = clock.jumps > 0
            is_video = packet.stream_index == self._opened.video.index
            if packet.pts is not None:
                self._end_of_jumping = max(self._end_of_jumping, packet.pts * base + shift + length)
                if is_video and shift != self.first_shift:
                    packet.pts += round((shift - self.first_shift) / base)
            yield Clocked(packet, shift, is_video)

    def _packets(self) -> Iterator[Packet[Any]]:
        while self.errors < _MAX_ERRORS:
            try:
                yield from self._opened.packets(self._opened.video, self._opened.audio)
            except av.error.MemoryError:
                raise
            except av.FFmpegError:
                # Many demuxers find their way again behind the damage.
                self.errors += 1
            else:
                return
