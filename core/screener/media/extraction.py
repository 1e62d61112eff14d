"""One pass over one time range: packets in, JPEGs and FLAC out.

The main thread demuxes and writes; decoders work beside it on groups of pictures, and one
thread decodes the sound. Nothing grows with the length of the video but the list of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import av
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from screener import bundles
from screener.bundles import FrameEntry
from screener.errors import InvalidVideo, RefusalCode
from screener.media import picture, probing, timeline
from screener.media.channel import ChildChannel, RemoteFile, RemoteOutput, Sink
from screener.media.container import OpenVideo, open_video
from screener.media.decoding import (
    Decoded,
    ParallelDecoder,
    keys_are_trusted,
    new_decoder,
)
from screener.media.facts import Extraction, ExtractionOrder
from screener.media.groups import Coded, DisplayOrder, GroupPlanner, Job, Wanted
from screener.media.numbering import FrameCounter
from screener.media.packets import ClockedPackets
from screener.media.sampler import EveryInterval, KeyFrames, Picker, RangePicker
from screener.media.seeking import seek
from screener.media.selection import Candidate, Selector, signature_of
from screener.media.sound_lane import SoundLane
from screener.media.soundtrack import SAMPLE_RATE, SoundSummary, Soundtrack
from screener.sampling import SamplingStrategy

AUDIO_OVERLAP_MS = 2_000
"""How far a range's audio reaches into its neighbours, so that no word is cut."""
_WARM_UP_SECONDS = 1
"""Decoders of lossy audio need a few packets before their output is exact."""
_BELIEVED_LATE_SECONDS = 60
"""A sound this much later than the end that probing found has a damaged time."""


def extract(link: ChildChannel, order: ExtractionOrder) -> Extraction:
    """Extract the order's time range.

    Raises:
        InvalidVideo: the container or the picture cannot be read at all.
    """
    language = order.sampling.audio_language
    file = RemoteFile(link, order.size_bytes)
    with open_video(file, order.limits, language) as opened:
        frame = probing.first_frame(opened, order.limits)
        orientation = picture.orientation_of(frame)
        coded_pixels = frame.width * frame.height
    # Opened anew, because raw streams cannot be rewound.
    with open_video(file, order.limits, language) as opened:
        return _Pass(link, order, opened, orientation, coded_pixels).run()


@dataclass(frozen=True)
class _Kept:
    pts: int
    time: Fraction


class _Pass:
    """The state of one extraction."""

    def __init__(
        self,
        link: ChildChannel,
        order: ExtractionOrder,
        opened: OpenVideo,
        orientation: picture.Orientation,
        coded_pixels: int,
    ) -> None:
        self._link, self._order, self._opened = link, order, opened
        self._orientation = orientation
        self._size = picture.stored_size(
            order.width, order.height, order.sampling.frame_max_side_px
        )
        self._threads = _affordable_threads(order, coded_pixels)
        self._base = Fraction(opened.video.time_base or Fraction(1, 1000))
        self._start = Fraction(order.start_ms, 1000)
        self._end = None if order.end_ms is None else Fraction(order.end_ms, 1000)
        self._picker = RangePicker(_picker(order), self._start, self._end)
        self._selector = Selector(order.sampling)
        self._packets = ClockedPackets(opened)
        self._kept: list[_Kept] = []
        self._counted_end = Fraction(0)
        self._lost = self._damaged = self._refused = self._decoded = 0
        self._untimed = self._disordered = 0

    def run(self) -> Extraction:
        with ThreadPoolExecutor(1, "sound") as sound_thread:
            self._sound = SoundLane(sound_thread, self._new_soundtrack())
            if self._opened.numbered or self._order.counted_pictures is not None:
                seen = self._run_numbered()
            else:
                seen = self._run_timed()
            sound = self._sound.finish()
        if not self._kept and self._order.start_ms == 0:
            raise InvalidVideo(RefusalCode.UNDECODABLE, f"none of {seen} pictures could be decoded")
        return self._report(sound, seen)

    # -- frames ------------------------------------------------------------------------------

    def _run_timed(self) -> int:
        self._seek()
        planner: GroupPlanner[Packet[VideoStream]] = GroupPlanner(
            self._picker,
            self._seconds,
            1 / self._opened.frame_rate,
            from_beginning=self._order.start_ms == 0,
        )
        decoder = ParallelDecoder(
            self._opened.video, self._order.limits, self._threads, self._new_render
        )
        for result in decoder.run(self._jobs(planner)):
            self._collect(result)
        return planner.frames_seen

    def _jobs(
        self, planner: GroupPlanner[Packet[VideoStream]]
    ) -> Iterator[Job[Packet[VideoStream]]]:
        trusted = keys_are_trusted(self._opened.video)
        order = DisplayOrder()
        # Files begin with a key frame, whatever their flags say of it. Transmissions need not.
        begins = self._order.start_ms == 0 and not self._opened.discontinuous
        seen_key = False
        for packet in self._video_packets():
            pts = packet.pts
            if pts is None:
                self._untimed += 1
                continue
            # A new header within the stream reaches only the decoder that is given it.
            trusted = trusted and not packet.has_sidedata("new_extradata")
            is_key = (packet.is_keyframe or begins) and (trusted or not seen_key)
            begins = False
            is_earlier = self._order.start_ms > 0 and self._seconds(pts) < self._start
            if is_earlier:
                # They belong to the range before; a search may end up among packets without times.
                self._untimed = 0
            seen_key = seen_key or is_key
            if not seen_key and not is_earlier and self._order.start_ms > 0:
                self._lost += 1
            if not packet.is_discard and order.is_broken_by(pts):
                self._disordered += 1
            yield from planner.feed(
                Coded(packet, pts, packet.size, is_key, is_shown=not packet.is_discard)
            )
            if self._is_past_end():
                return
        yield from planner.finish()

    def _run_numbered(self) -> int:
        """Decode everything in order; see numbering.py."""
        rate = self._opened.frame_rate
        counted = None if self._opened.numbered else self._order.counted_pictures
        if counted is not None:
            # The rate is what the file says of itself; so many in so long is what it has.
            rate = Fraction(counted * 1000, max(1, self._order.duration_ms))
        counter = FrameCounter(rate)
        render = self._new_render()
        decoder = new_decoder(self._opened.video, self._order.limits, max(2, self._threads))
        for packet in chain(self._video_packets(), [None]):
            if packet is not None and packet.dts is not None and counted is None:
                counter.sent(packet.dts * self._base + self._packets.first_shift)
            try:
                frames = decoder.decode(packet)
            except av.error.MemoryError:
                raise
            except av.FFmpegError:
                self._refused += packet is not None
                continue
            for frame in frames:
                shown = counter.shown(is_key=bool(frame.key_frame))
                position = self._picker.position(shown)
                if position is not None:
                    wanted = Wanted(shown.pts, shown.time, position)
                    kept = [(wanted, shown.pts, render(frame))]
                    self._collect(Decoded(kept, decoded=1, damaged=int(frame.is_corrupt)))
        self._base = 1 / rate
        self._counted_end = counter.end
        return counter.count

    def _collect(self, result: Decoded[Candidate]) -> None:
        self._lost += result.lost
        self._damaged += result.damaged
        self._refused += result.refused_packets
        self._decoded += result.decoded
        for wanted, pts, candidate in result.frames:
            time = wanted.time if pts == wanted.pts else self._seconds(pts)
            if self._kept and time <= self._kept[-1].time:
                continue
            if self._selector.keeps(candidate, time):
                self._link.write(Sink.FRAMES, candidate.jpeg)
                self._kept.append(_Kept(pts, time))

    def _new_render(self) -> Callable[[VideoFrame], Candidate]:
        renderer = picture.Renderer(
            *self._size, self._order.sampling.jpeg_quality, self._orientation
        )
        compares = self._selector.compares

        def render(frame: VideoFrame) -> Candidate:
            image = renderer.picture(frame)
            signature = signature_of(image) if compares else None
            return Candidate(renderer.jpeg(image), signature)

        return render

    # -- packets -----------------------------------------------------------------------------

    def _video_packets(self) -> Iterator[Packet[VideoStream]]:
        """The video's packets; audio packets go to the sound thread on the way."""
        for packet, shift, is_video in self._packets:
            if is_video:
                yield packet
            else:
                # Only ranges behind the first have others before them, and this takes time.
                data_end = self._packets.end if self._order.start_ms else Fraction(0)
                self._sound.feed(packet, shift, data_end)
                if self._is_past_end():
                    return

    def _is_past_end(self) -> bool:
        """Whether nothing that follows belongs to this range."""
        return self._picker.has_passed_end and self._sound.is_done(self._packets.end)

    def _seek(self) -> None:
        """Go to a key frame at or before everything that this range needs."""
        if self._order.start_ms > 0:
            needed = self._start - Fraction(AUDIO_OVERLAP_MS, 1000) - _WARM_UP_SECONDS
            self._packets = seek(self._opened, needed, self._start)

    # -- times -------------------------------------------------------------------------------

    def _seconds(self, pts: int) -> Fraction:
        return pts * self._base + self._packets.first_shift

    # -- sound -------------------------------------------------------------------------------

    def _new_soundtrack(self) -> Soundtrack | None:
        if self._opened.audio is None:
            return None
        start_ms = max(0, self._order.start_ms - AUDIO_OVERLAP_MS)
        end_ms = None if self._order.end_ms is None else self._order.end_ms + AUDIO_OVERLAP_MS
        return Soundtrack(
            self._opened.audio,
            RemoteOutput(self._link, Sink.AUDIO),
            start_ms * SAMPLE_RATE // 1000,
            None if end_ms is None else end_ms * SAMPLE_RATE // 1000,
            latest=Fraction(self._order.duration_ms, 1000) + _BELIEVED_LATE_SECONDS,
        )

    @property
    def _data_end(self) -> Fraction:
        return max(self._packets.end, self._counted_end)

    # -- result ------------------------------------------------------------------------------

    def _report(self, sound: SoundSummary | None, seen: int) -> Extraction:
        losses = {
            "corrupt_frames": self._lost + self._damaged,
            "corrupt_video_packets": self._refused,
            "untimed_pictures": self._untimed,
            "disordered_pictures": self._disordered,
            "corrupt_audio_packets": sound.refused_packets if sound else 0,
            "corrupt_audio_times": sound.refused_times if sound else 0,
            "late_audio_packets": self._sound.given_up,
            "overlapping_audio_ms": _lost_to_overlaps_ms(sound),
            "unreadable_parts": self._packets.errors,
        }
        if self._order.start_ms == 0:
            losses["unread_video_tracks"] = self._opened.other_videos
        if self._end is None:
            missing_ms = self._order.duration_ms - timeline.to_ms(self._data_end)
            losses["missing_ms"] = missing_ms if missing_ms > 1000 else 0
        return Extraction(
            time_base=f"{self._base.numerator}/{self._base.denominator}",
            width=self._size[0],
            height=self._size[1],
            frames=self._entries(),
            has_audio=sound is not None and sound.samples > 0,
            audio_silent=sound is not None and sound.samples > 0 and sound.silent,
            audio_start_ms=max(0, self._order.start_ms - AUDIO_OVERLAP_MS),
            audio_duration_ms=sound.samples * 1000 // SAMPLE_RATE if sound else 0,
            losses={name: count for name, count in losses.items() if count},
            frames_decoded=self._decoded,
            frames_seen=seen,
        )

    def _entries(self) -> list[FrameEntry]:
        """Frames with their spans, which leave no gap: each reaches to the next one kept."""
        if not self._kept:
            return []
        ends = [kept.time for kept in self._kept[1:]]
        last_end = self._picker.next_time
        if last_end is None:
            last_end = self._data_end if self._end is None else max(self._data_end, self._end)
        ends.append(last_end)
        starts_video = self._order.start_ms == 0
        return [
            FrameEntry(
                index=index,
                name=bundles.frame_name(index),
                pts=kept.pts,
                timestamp_ms=timeline.to_ms(kept.time),
                span_start_ms=0 if index == 0 and starts_video else timeline.to_ms(kept.time),
                span_end_ms=max(timeline.to_ms(end), timeline.to_ms(kept.time)),
            )
            for index, (kept, end) in enumerate(zip(self._kept, ends, strict=True))
        ]


def _lost_to_overlaps_ms(sound: SoundSummary | None) -> int:
    """0 where it is no more than what clocks that are set right from time to time overlap."""
    if sound is None or sound.overlapping_samples <= SAMPLE_RATE + sound.samples // 100:
        return 0
    return sound.overlapping_samples * 1000 // SAMPLE_RATE


def _picker(order: ExtractionOrder) -> Picker:
    if order.sampling.strategy is SamplingStrategy.KEY_FRAMES:
        return KeyFrames()
    return EveryInterval(order.sampling.frames_per_second)


def _affordable_threads(order: ExtractionOrder, coded_pixels: int) -> int:
    """Decoders that fit into memory: each may hold 16 reference pictures of 4:2:0 in 8 bits,
    and usually holds a quarter of that in twice the depth."""
    per_decoder = max(1, coded_pixels * 3 // 2 * 16)
    return max(1, min(order.threads, order.limits.memory_bytes // 2 // per_decoder))
