"""The four sections of a document: what was found, with times. See `screener.document`."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from screener.model import Message
from screener.observations import Box, Milliseconds, Ratio
from screener.taxonomy import Source

NOT_EVALUATED = "not_evaluated"


class Certainty(StrEnum):
    """Uncertain: models disagree, a match is ambiguous, or a word was hardly heard. An uncertain
    finding can ask for review; it never rejects."""

    CONFIRMED = "confirmed"
    UNCERTAIN = "uncertain"


class Segment(Message):
    """Neighbouring hits of one category from one source, merged."""

    category: str
    taxonomy: list[str]
    """The category's names from level one down."""
    source: Source
    labels: list[str]
    start_ms: Milliseconds
    end_ms: Milliseconds
    frames: Annotated[int, Field(ge=1)]
    """Sampled frames (or spoken matches) in it."""
    confidence: Ratio
    """The highest of its hits."""
    peak_ms: Milliseconds
    """Where that is."""
    certainty: Certainty


class ModerationLabel(Message):
    """One flagged observation, in the shape that managed services use."""

    label: str
    parent: str
    """Name of the level above."""
    category: str
    confidence: Ratio
    timestamp_ms: Milliseconds
    frame: str
    source: Source
    box: Box | None


class LabelledBox(Message):
    label: str
    confidence: Ratio
    box: Box


class ModerationFrameDetail(Message):
    frame: str
    timestamp_ms: Milliseconds
    nudenet_score: Ratio | None
    """Highest score of an explicit label."""
    opennsfw2_score: Ratio | None
    flagged: bool
    disagreement: bool
    detections: list[LabelledBox]


class ModerationSection(Message):
    flagged: bool
    """A rule of the policy applies to a confirmed finding here."""
    consensus: str
    max_nudenet_score: Ratio | None
    max_opennsfw2_score: Ratio | None
    flagged_frames: list[str]
    disagreement_frames: list[str]
    labels: list[ModerationLabel]
    labels_omitted: int = 0
    """Weaker labels left out of `labels` to bound the document; `segments` know them all."""
    segments: list[Segment]
    per_frame: list[ModerationFrameDetail]
    per_frame_omitted: int = 0
    """Frames left out of `per_frame` to bound the document; none of them has a finding."""


class KnownMatch(Message):
    """A known person in the video."""

    label: str
    max_similarity: Annotated[float, Field(ge=-1, le=1)]
    timestamp_ms: Milliseconds
    """Where the similarity is highest."""
    frames: int
    certainty: Certainty
    urls: list[str]
    notes: str
    segments: list[Segment]


class KnownFacesReport(Message):
    status: Literal["evaluated", "not_configured", "not_evaluated"]
    reason: str | None
    identities: int | None
    """How many people the index knows."""
    index_sha256: str | None


class FaceDetail(Message):
    box: Box
    confidence: Ratio
    """Of the detection."""
    person: int | None
    """Number of the person within this video, from 1; None for a face below the policy's
    detection score."""
    match: str | None
    similarity: float | None
    """To the nearest known person, whether it is a match or not."""


class FacesFrameDetail(Message):
    frame: str
    timestamp_ms: Milliseconds
    faces: list[FaceDetail]


class FacesSection(Message):
    total_faces_detected: int
    unique_identities: int
    known_matches: list[KnownMatch]
    known_faces: KnownFacesReport
    per_frame: list[FacesFrameDetail]
    per_frame_omitted: int = 0


class FlaggedTerm(Message):
    term: str
    """As the policy writes it."""
    category: str
    text: str
    """As it was said."""
    start_ms: Milliseconds
    end_ms: Milliseconds
    confidence: Ratio
    """Lowest probability of its words."""
    certainty: Certainty
    obfuscated: bool


class TranscriptWord(Message):
    start_ms: Milliseconds
    end_ms: Milliseconds
    text: str
    probability: Ratio


class TranscriptSegment(Message):
    start_ms: Milliseconds
    end_ms: Milliseconds
    text: str
    words: list[TranscriptWord]


class TranscriptionSection(Message):
    text: str
    language: str
    language_probability: Ratio
    duration_ms: Milliseconds
    speech_ms: Milliseconds
    flagged_terms: list[FlaggedTerm]
    flagged_segments: list[Segment]
    """Neighbouring flagged terms of one category, merged."""
    segments: list[TranscriptSegment]


class SceneScore(Message):
    """One prompt over the whole video."""

    mean: Ratio
    max: Ratio
    max_timestamp_ms: Milliseconds


class SceneReport(Message):
    status: Literal["evaluated", "not_evaluated"]
    reason: str | None
    dominant_scene: str | None
    """The prompt with the highest mean."""
    scene_scores: dict[str, SceneScore]
    categories: dict[str, Ratio]
    """Highest score of each category that the policy's prompts stand for."""


class ObjectsFrameDetail(Message):
    frame: str
    timestamp_ms: Milliseconds
    objects: list[LabelledBox]
    scene: str | None
    scene_score: Ratio | None


class DetectedClass(Message):
    label: str
    category: str
    frames: int
    confidence: Ratio
    timestamp_ms: Milliseconds
    """Where the confidence is highest."""


class ObjectsSection(Message):
    detected_classes: list[str]
    class_details: list[DetectedClass]
    weapon_detected: bool | Literal["not_evaluated"]
    scene_classifications: SceneReport
    segments: list[Segment]
    per_frame: list[ObjectsFrameDetail]
    per_frame_omitted: int = 0
