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

    @property
    def compares(self) -> bool:
        """Whether candidates are kept by what they show."""
        return self in (SamplingStrategy.SCENE_CHANGE, SamplingStrategy.ADAPTIVE)


MEASURE = 2
"""Number of the measure in `screener.media.selection`; a new one gives other frames."""


class Sampling(Message):
    """How frames are chosen and stored. Every field is part of `sampling_id`, and so is the
    measure where frames are compared."""

    strategy: SamplingStrategy = SamplingStrategy.FIXED_RATE
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Fixed rate: frames kept per second. Scene change and adaptive: candidates per second."""
    change_threshold: Annotated[float, Field(ge=0, le=765)] = 28.0
    """Scene change and adaptive: a candidate is kept when a part of it is newer than this, in
    levels of luma, Cb and Cr added up (the measure is in `screener.media.selection`;
    docs/sampling.md has what each threshold finds and costs). Scene change compares with the
    candidate before; adaptive with that and with the last kept frame, or with the last kept frame
    alone at twice this."""
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
        parameters = self.model_dump(mode="json")
        if self.strategy.compares:
            parameters["measure"] = MEASURE
        return identity.sampling_id(parameters)
