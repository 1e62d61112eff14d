"""Decoded audio -> 16 kHz mono FLAC in which a sample's number is its time.

Gaps become silence and overlaps are dropped, so the transcript's times are the video's times.
A range starts on a source sample that coincides with a sample of the 16 kHz grid counted from
the track's first sample: neighbouring ranges then produce the same samples where they overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from screener.media.channel import RemoteOutput

SAMPLE_RATE = 16_000
SILENCE_DBFS = -60.0
"""No speech below this: a whisper in a quiet room, recorded at a usual level, is near -50."""
_LEVEL_WINDOW = SAMPLE_RATE // 10
_JITTER_SECONDS = Fraction(1, 20)
"""Timestamps of millisecond containers wander this much around a steady clock."""
_BLOCK = 8192
"""Samples that are resampled, measured and encoded at once."""


@dataclass
class SoundSummary:
    """What a range's audio came to."""

    samples: int = 0
    silent: bool = True
    refused_packets: int = 0
    refused_times: int = 0
    overlapping_samples: int = 0
    """Of the 16 kHz timeline, left out because the track had said something for that time."""


class _Writer:
    """FLAC, 16-bit, mono. The file begins when the first sample comes."""

    def __init__(self, output: RemoteOutput) -> None:
        self._output = output
        self._container: av.container.OutputContainer | None = None
        self.samples = 0
        self.silent = True

    def write(self, samples: NDArray[np.int16]) -> None:
        if not samples.size:
            return
        if self._container is None:
            self._container = av.open(self._output, "w", format="flac")
            self._stream = self._container.add_stream("flac", rate=SAMPLE_RATE)
            self._stream.codec_context.layout = "mono"
            self._stream.codec_context.format = "s16"
        for start in range(0, samples.size, _BLOCK):
            block = np.ascontiguousarray(samples[start : start + _BLOCK]).reshape(1, -1)
            frame = AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = self.samples
            self.samples += block.size
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        # Once a sound was heard, levels do not matter any more.
        self.silent = self.silent and _is_silent(samples)

    def close(self) -> None:
        if self._container is not None:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            self._container.close()


def _is_silent(samples: NDArray[np.int16]) -> bool:
    """Whether no window of 100 ms (or what there is) is louder than `SILENCE_DBFS`."""
    limit = (32_768 * 10 ** (SILENCE_DBFS / 20)) ** 2
    whole = samples.size // _LEVEL_WINDOW * _LEVEL_WINDOW
    power = np.square(samples.astype(np.float32))
    windows = power[:whole].reshape(-1, _LEVEL_WINDOW).mean(axis=1)
    rest = power[whole:]
    return not (windows > limit).any() and (not rest.size or float(rest.mean()) <= limit)


@dataclass
class _Segment:
    """A stretch of audio without gaps: one clock, one mixer, one resampler."""

    rate: int
    layout: str
    sample_format: str
    first_output: int
    """Sample number on the 16 kHz timeline of this segment's first output sample."""
    skip: int
    """Source samples to leave out before it."""
    taken: int
    """Source samples since the one that became the first output sample."""
    given: int = 0

    def __post_init__(self) -> None:
        # Two steps, because only mono samples of a known kind can be cut: PyAV's arrays of a
        # damaged stream's frames may have planes that point nowhere.
        self.mixer = av.AudioResampler("flt", "mono", self.rate)
        self._resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE, _BLOCK)

    def is_continued_by(self, frame: AudioFrame, time: Fraction | None) -> bool:
        expected = Fraction(self.first_output, SAMPLE_RATE) + Fraction(self.taken, self.rate)
        return (
            self.rate == frame.sample_rate
            and self.layout == frame.layout.name
            and self.sample_format == frame.format.name
            and (time is None or abs(time - expected) <= _JITTER_SECONDS)
        )

    def resample(self, mono: AudioFrame | None) -> list[AudioFrame]:
        """Output samples that another mono frame (None: the end) completes."""
        if mono is not None and self.skip:
            skipped = min(self.skip, mono.samples)
            self.skip -= skipped
            if skipped == mono.samples:
                return []
            mono = _without_head(mono, skipped)
        return self._resampler.resample(mono)


class Soundtrack:
    """Takes an audio stream's packets in order and writes one range of the timeline.

    Args:
        stream: the chosen track.
        output: where the FLAC goes.
        start_sample, end_sample: [start, end) of the range on the 16 kHz timeline; `end` may
            be None.
        latest: seconds; a time beyond it is damage, and the sound goes on where it was.
    """

    def __init__(
        self,
        stream: AudioStream,
        output: RemoteOutput,
        start_sample: int,
        end_sample: int | None,
        *,
        latest: Fraction,
    ) -> None:
        self._decoder: AudioCodecContext = stream.codec_context
        self._decoder.thread_count = 1
        self._writer = _Writer(output)
        self._position = start_sample
        self._start = start_sample
        self._end = end_sample
        self._latest = latest
        self._segment: _Segment | None = None
        self.summary = SoundSummary()

    @property
    def is_full(self) -> bool:
        return self._end is not None and self._position >= self._end

    @property
    def start_time(self) -> Fraction:
        """Start of the range in seconds."""
        return Fraction(self._start, SAMPLE_RATE)

    @property
    def end_time(self) -> Fraction | None:
        """End of the range in seconds."""
        return None if self._end is None else Fraction(self._end, SAMPLE_RATE)

    def feed(self, packet: Packet[AudioStream] | None, shift: Fraction) -> None:
        """Take the next packet (None at the end); `shift` seconds put its times on the timeline."""
        if self.is_full:
            return
        try:
            frames = self._decoder.decode(packet)
        except av.error.MemoryError:
            raise
        except av.FFmpegError:
            self.summary.refused_packets += packet is not None
            return
        for frame in frames:
            try:
                self._take(frame, shift)
            except av.error.MemoryError:
                raise
            except av.FFmpegError:
                # A frame that contradicts itself: no layout, or a rate beyond all reason.
                self.summary.refused_packets += 1
                self._segment = None

    def finish(self) -> SoundSummary:
        """Write what is left and complete the file."""
        self._end_segment()
        self._writer.close()
        self.summary.samples = self._writer.samples
        self.summary.silent = self._writer.silent
        return self.summary

    def _take(self, frame: AudioFrame, shift: Fraction) -> None:
        if not frame.samples or not frame.sample_rate:
            return
        time = None
        if frame.pts is not None and frame.time_base:
            time = frame.pts * Fraction(frame.time_base) + shift
            if time > self._latest:
                # Hours of silence would be written to get there.
                self.summary.refused_times += 1
                time = None
        if time is not None and time < self.start_time:
            # A search may end up within a packet; what is damaged here belongs to the range before.
            self.summary.refused_packets = 0
        segment = self._segment
        if segment is None or not segment.is_continued_by(frame, time):
            self._end_segment()
            segment = self._segment = self._new_segment(frame, time)
        segment.taken += frame.samples
        frame.pts = None
        for mono in segment.mixer.resample(frame):
            for out in segment.resample(mono):
                self._put(segment, out)

    def _new_segment(self, frame: AudioFrame, time: Fraction | None) -> _Segment:
        """Begin on a source sample that lies exactly on the 16 kHz grid."""
        rate = frame.sample_rate
        if time is None:
            time = Fraction(self._position, SAMPLE_RATE)
        number = round(time * rate)
        raster = rate // math.gcd(rate, SAMPLE_RATE)
        skip = -number % raster
        return _Segment(
            rate=rate,
            layout=frame.layout.name,
            sample_format=frame.format.name,
            first_output=(number + skip) * SAMPLE_RATE // rate,
            skip=skip,
            taken=-skip,
        )

    def _end_segment(self) -> None:
        if self._segment is None:
            return
        segment, self._segment = self._segment, None
        if segment.taken > 0:
            for out in segment.resample(None):
                self._put(segment, out)

    def _put(self, segment: _Segment, out: AudioFrame) -> None:
        samples = np.asarray(out.to_ndarray(), dtype=np.int16).reshape(-1)
        number = segment.first_output + segment.given
        segment.given += samples.size
        if number < self._position:
            if self._position > self._start:
                self.summary.overlapping_samples += min(samples.size, self._position - number)
            samples = samples[self._position - number :]
            number = self._position
        if self._end is not None:
            samples = samples[: max(0, self._end - number)]
        if not samples.size:
            return
        self._fill(number - self._position)
        self._writer.write(samples)
        self._position += samples.size

    def _fill(self, missing: int) -> None:
        """Silence where the track has none, in pieces that need no memory to speak of."""
        silence = np.zeros(SAMPLE_RATE * 10, dtype=np.int16)
        self._position += missing
        while missing > 0:
            self._writer.write(silence[:missing])
            missing -= min(missing, silence.size)


def _without_head(frame: AudioFrame, skip: int) -> AudioFrame:
    """A mono float frame without its first `skip` samples."""
    samples = np.asarray(frame.to_ndarray(), dtype=np.float32)
    rest = AudioFrame.from_ndarray(samples[:, skip:].copy(), format="flt", layout="mono")
    rest.sample_rate = frame.sample_rate
    return rest
