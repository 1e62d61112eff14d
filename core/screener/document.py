"""The moderation document, schema 1.0: what Screener writes beside every video.

Shared meanings: confidences, scores and similarities are ratios (0 to 1, not percent); times
are whole milliseconds on the video's timeline; boxes are ratios of the frame's size. A section
is null when its analysis gave nothing: absence is never an empty list. Biometrics (embeddings,
landmarks) never appear here.

Published as docs/schema/document.schema.json.
"""

from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict

from screener.messages import AnalysisError
from screener.model import Message
from screener.observations import Analyzer, Milliseconds, PackReference, Ratio
from screener.sections import (
    FacesSection,
    ModerationSection,
    ObjectsSection,
    TranscriptionSection,
)

SCHEMA_VERSION: Literal["1.0"] = "1.0"


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


UNANSWERED = frozenset({"analysis_missing", "not_evaluated", "media_lost"})
"""Codes of reasons that say what was not looked at, rather than what was found."""


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

    @property
    def brief(self) -> str:
        """The detail, as much of it as a row or an event takes."""
        return self.detail[:500]


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

    @property
    def only_unanswered(self) -> bool:
        """Review is asked for only because something was not looked at: no finding asks for it."""
        asking = [reason for reason in self.reasons if reason.decision is not Decision.APPROVE]
        return bool(asking) and all(reason.code in UNANSWERED for reason in asking)

    @property
    def categories(self) -> list[str]:
        """Categories of the reasons that weigh, strongest first."""
        found = [
            reason.category
            for reason in self.reasons
            if reason.category and reason.decision is not Decision.APPROVE
        ]
        return list(dict.fromkeys(found))


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
    other_audio_tracks: int | None = None
    """Besides the one that was listened to: other languages, comments. Players offer them."""


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
