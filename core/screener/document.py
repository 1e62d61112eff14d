"""The moderation document, schema 1.0: what Screener writes beside every video.

Shared meanings: confidences, scores and similarities are ratios (0 to 1, not percent); times
are whole milliseconds on the video's timeline; boxes are ratios of the frame's size. A section
is null when its analysis gave nothing: absence is never an empty list. Biometrics (embeddings,
landmarks) never appear here.

Published as docs/schema/document.schema.json.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from screener.messages import AnalysisError
from screener.model import Message
from screener.observations import Analyzer, Box, Milliseconds, PackReference, Ratio
from screener.taxonomy import Source

SCHEMA_VERSION: Literal["1.0"] = "1.0"
NOT_EVALUATED = "not_evaluated"


class DocumentStatus(StrEnum):
    COMPLETE = "complete"
    PARTIAL = "partial"
    INVALID = "invalid"


class Decision(StrEnum):
    """In order of gravity."""

    APPROVE = "approve"
    REVIEW = "review"
    REJECT = "reject"

    @property
    def gravity(self) -> int:
        return list(Decision).index(self)


class Certainty(StrEnum):
    """Uncertain: models disagree, a match is ambiguous, or a word was hardly heard. An uncertain
    finding can ask for review; it never rejects."""

    CONFIRMED = "confirmed"
    UNCERTAIN = "uncertain"


class Reason(Message):
    """Why the verdict is what it is; the strongest reason is first."""

    code: str
    """Stable name for programs: "rule", "uncertain", "analysis_missing", "not_evaluated",
    "media_lost", or a refusal code of an invalid video."""
    decision: Decision
    """What this reason alone would decide."""
    category: str | None
    """Taxonomy path; None when the reason is not about content."""
    detail: str
    start_ms: Milliseconds | None = None
    end_ms: Milliseconds | None = None
    confidence: Ratio | None = None


class PolicyReference(Message):
    name: str
    version: str
    sha256: str
    """Digest of the policy's meaning: comments and order of keys do not count."""


class Verdict(Message):
    decision: Decision
    reasons: list[Reason]
    policy: PolicyReference | None
    """None when no policy was asked: the video is invalid."""


class DocumentVideo(Message):
    """The object version. All but bucket and key are None when the video was refused unread."""

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    size_bytes: int | None = None
    duration_ms: Milliseconds | None = None
    container: str | None = None
    codecs: list[str] | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: str | None = None
    has_audio: bool | None = None


class PipelineRun(Message):
    execution_arn: str
    started_at: str | None
    processed_at: str
    software_version: str


class MediaChunk(Message):
    """One extracted time range."""

    chunk: int
    frame_count: int
    audio_start_ms: Milliseconds
    audio_duration_ms: Milliseconds
    audio_skipped: str | None


class SamplingReport(Message):
    sampling_id: str
    strategy: str
    parameters: dict[str, Any]
    frames_analyzed: int
    chunks: list[MediaChunk]
    losses: dict[str, int]
    """What could not be read, e.g. {"corrupt_frames": 37}; empty when nothing was lost."""


class AnalysisState(StrEnum):
    COMPLETE = "complete"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    NOT_DEPLOYED = "not_deployed"


class AnalysisReport(Message):
    """How one analysis went."""

    status: AnalysisState
    reused: bool
    error: AnalysisError | None
    reason: str | None
    """Why it was skipped or is not deployed."""
    action: str | None
    """What an operator can do about it."""
    packs: list[PackReference]
    provider: str | None
    timings_ms: dict[str, float]
    """Wall time per stage, summed over the video's chunks; "total" is all of it."""
    cost_usd: float | None
    """Busy time x hourly price; 0 on a laptop; None when the price is not known."""
    observation_keys: list[str]
    """Where the observations are in the work bucket, for judging again."""


class NotEvaluated(Message):
    """A question that the policy asks and that no model could answer. Never an implied "no"."""

    question: str
    """"explicit_nudity", "known_faces", "terms", "weapons" or "scenes"."""
    analysis: Analyzer
    reason: str
    action: str | None


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


class CostReport(Message):
    total_usd: float | None
    """Sum over the analyses; None when one of their prices is not known."""
    price_list: str
    """Source and date of the prices."""


class DocumentHead(Message):
    """What a document says before its details. Reading only this is several times faster."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    video_id: str | None
    status: DocumentStatus
    partial: bool
    verdict: Verdict
    video: DocumentVideo
    pipeline: PipelineRun
    sampling: SamplingReport | None
    analyses: dict[Analyzer, AnalysisReport]
    not_evaluated: list[NotEvaluated]
    cost: CostReport | None


class Document(DocumentHead):
    """One video's moderation document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    moderation: ModerationSection | None
    faces: FacesSection | None
    transcription: TranscriptionSection | None
    objects: ObjectsSection | None
