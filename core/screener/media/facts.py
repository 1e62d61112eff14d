"""What goes into the decoding child and what comes out of it."""

import math
from typing import Annotated, Self

from pydantic import Field

from screener.bundles import FrameEntry
from screener.model import Message
from screener.sampling import Sampling

_MAX_LAMBDA_CORES = 6
Milliseconds = Annotated[int, Field(ge=0)]


class MediaLimits(Message):
    """Bounds of one child process. Reaching one refuses the video with the limit's name."""

    memory_bytes: Annotated[int, Field(gt=0)] = 1_700_000_000
    """Private memory of the child: what a 2 GB Lambda has left beside the parent."""
    cpu_seconds: Annotated[int, Field(gt=0)] = 1_800
    wall_seconds: Annotated[float, Field(gt=0)] = 840.0
    """Time without a word from the child plus its own work; waiting for S3 does not count."""
    max_pixels: Annotated[int, Field(gt=0)] = 16_384 * 8_704
    """Width x height of one coded picture: the largest that decodes within 2 GB."""
    max_streams: Annotated[int, Field(gt=0)] = 64

    @classmethod
    def within(cls, memory_mb: int, remaining_ms: int) -> Self:
        """What a child may use inside a Lambda.

        Args:
            memory_mb: the function's memory; the parent keeps 300 MB of it.
            remaining_ms: time until the function's timeout, of which enough stays to report.
        """
        wall_seconds = max(1.0, remaining_ms / 1000 - 15)
        return cls(
            memory_bytes=max(256, memory_mb - 300) * 1_000_000,
            wall_seconds=wall_seconds,
            cpu_seconds=math.ceil(wall_seconds) * _MAX_LAMBDA_CORES,
        )


class AudioTrack(Message):
    """One audio stream, as `screener probe` lists it."""

    index: int
    codec: str
    language: str | None
    channels: int
    sample_rate: int
    chosen: bool


class MediaFacts(Message):
    """What probing found; every value was checked against the data where it can be."""

    container: str
    video_codec: str
    audio_codec: str | None
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    """Displayed size in pixels: rotation and pixel shape applied."""
    frame_rate: Annotated[str, Field(pattern=r"^[0-9]+/[0-9]+$")]
    duration_ms: Milliseconds
    seekable: bool
    """Whether a time range can be reached without reading what lies before it."""
    counted_pictures: Annotated[int | None, Field(gt=0)] = None
    """How many there are, where not every picture has a time of its own; None where they have."""
    audio_tracks: list[AudioTrack]
    rotation_degrees: int
    interlaced: bool

    @property
    def codecs(self) -> list[str]:
        return [self.video_codec] + ([self.audio_codec] if self.audio_codec else [])


class ProbeTask(Message):
    size_bytes: Annotated[int, Field(ge=0)]
    limits: MediaLimits
    audio_language: str | None = None


class ExtractionOrder(Message):
    """One time range to extract."""

    size_bytes: Annotated[int, Field(ge=0)]
    limits: MediaLimits
    sampling: Sampling
    start_ms: Milliseconds
    end_ms: Annotated[int, Field(gt=0)] | None
    """None: to the end, wherever that turns out to be."""
    duration_ms: Milliseconds
    """What probing found: frames' size and losses are stated against it."""
    counted_pictures: Annotated[int | None, Field(gt=0)] = None
    """As probing found: so many pictures share the duration equally."""
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    """Displayed size of the source, so that every range stores frames of one size."""
    threads: Annotated[int, Field(gt=0)]


class Extraction(Message):
    """What one pass over one time range found. Frames and FLAC went out while it ran."""

    time_base: str
    width: int
    height: int
    frames: list[FrameEntry]
    has_audio: bool
    audio_silent: bool
    audio_start_ms: Milliseconds
    audio_duration_ms: Milliseconds
    losses: dict[str, int]
    frames_decoded: int
    frames_seen: int
    processor_ms: Milliseconds = 0
    """Processor time of the child, on all cores."""
    peak_memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Largest resident memory of the child."""
