"""Feeds a soundtrack on a thread of its own, beside the demuxer."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction

from av.audio.stream import AudioStream
from av.packet import Packet

from screener.media.soundtrack import SoundSummary, Soundtrack

_INTERLEAVE_SECONDS = 30
"""How much later in a file than its picture a sound may lie before it is given up."""
_BATCH = 32
_MAX_WAITING = 8


class SoundLane:
    """Feeds a soundtrack on its own thread, a batch of packets at a time."""

    def __init__(self, thread: ThreadPoolExecutor, soundtrack: Soundtrack | None) -> None:
        self._thread, self._soundtrack = thread, soundtrack
        self._batch: list[tuple[Packet[AudioStream], Fraction]] = []
        self._pending: deque[Future[None]] = deque()
        self._shift = Fraction(0)
        self.given_up = 0
        """Packets of ranges before this one that lie too late in the file for theirs."""

    def feed(self, packet: Packet[AudioStream], shift: Fraction, data_end: Fraction) -> None:
        """Take the next packet of a file that was read up to `data_end` seconds."""
        self._shift = shift
        if self._soundtrack is None:
            return
        if packet.pts is not None and self._soundtrack.start_time > 0:
            time = packet.pts * Fraction(packet.time_base) + shift
            is_late = data_end > time + _INTERLEAVE_SECONDS
            self.given_up += time < self._soundtrack.start_time and is_late
        if self._soundtrack.is_full:
            return
        self._batch.append((packet, shift))
        if len(self._batch) >= _BATCH:
            self._submit()

    def is_done(self, data_end: Fraction) -> bool:
        track = self._soundtrack
        if track is None or track.is_full or track.end_time is None:
            return True
        return data_end > track.end_time + _INTERLEAVE_SECONDS

    def finish(self) -> SoundSummary | None:
        if self._soundtrack is None:
            return None
        self._submit()
        for future in self._pending:
            future.result()
        self._soundtrack.feed(None, self._shift)
        return self._soundtrack.finish()

    def _submit(self) -> None:
        if self._soundtrack is None:
            return
        batch, self._batch = self._batch, []
        self._pending.append(self._thread.submit(_feed_all, self._soundtrack, batch))
        while len(self._pending) > _MAX_WAITING or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()


def _feed_all(track: Soundtrack, batch: list[tuple[Packet[AudioStream], Fraction]]) -> None:
    for packet, shift in batch:
        track.feed(packet, shift)
