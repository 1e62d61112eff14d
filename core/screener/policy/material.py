"""What a verdict is made from: the observations of one video and what is known about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from screener import bundles
from screener.document import AnalysisState
from screener.messages import AnalysisError, ExtractedRange, VideoDescription
from screener.observations import (
    Analyzer,
    FacesObservations,
    FrameTime,
    ModerationObservations,
    ObjectsObservations,
    Observations,
    TextEmbeddings,
    TranscriptionObservations,
)
from screener.sampling import Sampling

_T = TypeVar("_T", bound=Observations)
_F = TypeVar("_F", bound=FrameTime)


@dataclass(frozen=True)
class AnalysisMaterial:
    """One analysis of the video. `observations` holds every chunk, or nothing at all."""

    state: AnalysisState
    observations: Sequence[Observations] = ()
    reused: bool = False
    error: AnalysisError | None = None
    reason: str | None = None
    observation_keys: Sequence[str] = ()
    unusable_keys: Sequence[str] = ()
    """Objects in the store that do not follow their contract."""


@dataclass(frozen=True)
class Material:
    """Input of the policy engine, besides the policy and the known faces."""

    video_id: str
    video: VideoDescription
    sampling: Sampling
    sampling_id: str
    media: Sequence[ExtractedRange]
    analyses: Mapping[Analyzer, AnalysisMaterial]
    scene_texts: Sequence[TextEmbeddings] = field(default=())
    """CLIP embeddings of the policy's prompts, of any number of packs."""

    @property
    def moderation(self) -> list[ModerationObservations]:
        return self._chunks(Analyzer.MODERATION, ModerationObservations)

    @property
    def faces(self) -> list[FacesObservations]:
        return self._chunks(Analyzer.FACES, FacesObservations)

    @property
    def transcription(self) -> list[TranscriptionObservations]:
        return self._chunks(Analyzer.TRANSCRIPTION, TranscriptionObservations)

    @property
    def objects(self) -> list[ObjectsObservations]:
        return self._chunks(Analyzer.OBJECTS, ObjectsObservations)

    @property
    def losses(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for extracted in self.media:
            for kind, count in extracted.losses.items():
                total[kind] = total.get(kind, 0) + count
        return {kind: count for kind, count in sorted(total.items()) if count}

    def state(self, analyzer: Analyzer) -> AnalysisMaterial:
        return self.analyses[analyzer]

    def _chunks(self, analyzer: Analyzer, kind: type[_T]) -> list[_T]:
        found = [item for item in self.analyses[analyzer].observations if isinstance(item, kind)]
        return sorted(found, key=lambda item: item.chunk)


def frame_name(chunk: int, frame: FrameTime) -> str:
    """Name of a frame, unique within the video: its bundle's file name, after the bundle's
    number where there are several (`0002/frame_000017.jpg`)."""
    name = bundles.frame_name(frame.index)
    return f"{chunk:04d}/{name}" if chunk else name


def ordered_frames(chunks: Sequence[tuple[int, Sequence[_F]]]) -> list[tuple[str, _F]]:
    """All frames of all chunks with their names, in order of time."""
    named = [(frame_name(chunk, frame), frame) for chunk, frames in chunks for frame in frames]
    return sorted(named, key=lambda item: (item[1].timestamp_ms, item[0]))
