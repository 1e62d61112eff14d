"""Which frames of a video are looked at."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from screener import identity
from screener.model import Message


class SamplingStrategy(StrEnum):
    FIXED_RATE = "fixed_rate"
    SCENE_CHANGE = "scene_change"
    KEY_FRAMES = "key_frames"
    ADAPTIVE = "adaptive"


class Sampling(Message):
    """How frames are chosen and stored. Every field is part of `sampling_id`."""

    strategy: SamplingStrategy = SamplingStrategy.FIXED_RATE
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Fixed rate: frames kept per second. Scene change and adaptive: candidates per second."""
    change_threshold: Annotated[float, Field(ge=0, le=255)] = 8.0
    """A candidate is kept when it differs by more than this, in grey levels: adaptive compares it
    with the last kept frame, scene change with the candidate before it (the measure is in
    `screener.media.selection`; docs/sampling.md has what each threshold finds and costs)."""
    max_gap_ms: Annotated[int, Field(ge=100)] = 4_000
    """Scene change and adaptive: longest time between two kept frames."""
    frame_max_side_px: Annotated[int, Field(ge=64, le=4096)] = 1280
    """Longest side of a stored frame; smaller videos are not enlarged."""
    jpeg_quality: Annotated[int, Field(ge=1, le=31)] = 2
    """MJPEG quantiser scale: 1 is best, 31 is worst (FFmpeg's `-q:v`)."""
    audio_language: Annotated[str | None, Field(pattern=r"^[a-z]{2,3}$")] = None
    """Preferred language (ISO 639) when a video has several audio tracks."""

    @property
    def sampling_id(self) -> str:
        return identity.sampling_id(self.model_dump(mode="json"))
