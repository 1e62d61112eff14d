"""The payloads of the state machine, state by state, in the order of one video's walk.

Execution input   ScreeningRequest
ValidateVideo     ValidationTask                              -> ScreeningJob         ($.job)
RejectVideo       Rejection                                   -> DocumentWritten      ($.result)
ExtractMedia      ExtractionTask (one time range)             -> ExtractedRange       ($.media[])
PlanAnalyses      PlanRequest                                 -> AnalysisPlan         ($.plan)
  StartAnalysis   AnalysisItem                                -> AnalysisStarted      ($.started)
  CollectResult   CollectTask                                 -> PollResult           ($.poll)
  (end of item)                                               -> AnalysisOutcome      ($.outcomes[])
AggregateResults  AggregationTask                             -> DocumentWritten      ($.result)
AwaitRedrive      RedriveTask                                 -> Redriven

Only S3 pointers travel in the state (262,144 bytes), never data.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from screener import identity
from screener.model import Message
from screener.observations import Analyzer
from screener.sampling import Sampling

Bucket = Annotated[str, Field(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]+$")]
Key = Annotated[str, Field(min_length=1, max_length=1024)]
VersionId = Annotated[str | None, BeforeValidator(lambda found: None if found == "null" else found)]
"""S3 calls every object "null" that was written while its bucket kept no versions, and writes the
next one over it: no version."""


class ScreeningRequest(Message):
    """Input of an execution: the upload. Only bucket and key are needed to start one by hand."""

    bucket: Bucket
    key: Key
    version_id: VersionId = None
    etag: str | None = None
    sequencer: str | None = None
    """S3's order of writes to one key, a hexadecimal string."""
    sampling: Sampling | None = None
    """Replaces the stack's sampling for this video."""

    @property
    def execution_name(self) -> str:
        """Of the execution that the upload itself starts."""
        return identity.execution_name(
            self.bucket, self.key, self.version_id, self.etag, self.sequencer
        )


class ValidationTask(Message):
    """ValidateVideo's input."""

    request: ScreeningRequest
    execution_arn: str


class VideoDescription(Message):
    """One object version and what its container says. The document's `video` section."""

    bucket: Bucket
    key: Key
    version_id: VersionId
    etag: str
    size_bytes: Annotated[int, Field(ge=0)]
    duration_ms: Annotated[int, Field(ge=0)]
    container: str
    codecs: list[str]
    """Video codec first, then the chosen audio track's; FFmpeg's names."""
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    """Displayed size in pixels: rotation and pixel shape applied."""
    frame_rate: Annotated[str, Field(pattern=r"^[0-9]+/[0-9]+$")]
    """Average frames per second as an exact fraction, such as "30000/1001"."""
    has_audio: bool
    other_audio_tracks: Annotated[int, Field(ge=0)] = 0
    """Besides the chosen one, which alone is listened to."""


class TimeRange(Message):
    """[start_ms, end_ms) of the timeline; the last range of a video has no end."""

    chunk: Annotated[int, Field(ge=0)]
    start_ms: Annotated[int, Field(ge=0)]
    end_ms: Annotated[int, Field(gt=0)] | None


class ScreeningJob(Message):
    """What ValidateVideo decided; carried unchanged through the execution as `$.job`."""

    video_id: str
    video: VideoDescription
    last_modified: str
    """S3's LastModified of the object version, ISO 8601: a newer upload's document wins."""
    sampling: Sampling
    sampling_id: str
    ranges: Annotated[list[TimeRange], Field(min_length=1)]
    counted_pictures: Annotated[int | None, Field(gt=0)] = None
    """How many there are, where not every picture has a time of its own."""
    execution_arn: str
    started_at: str
    is_first_run: bool = False
    """No execution can have worked on this object version before, so nothing of it is stored."""


class CaughtError(Message):
    """What a Catch puts into the state."""

    Error: str
    Cause: str = ""


class RejectedState(Message):
    """The state where the refusal was caught. `job` is there when validation had passed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    error: CaughtError
    job: ScreeningJob | None = None


class Rejection(Message):
    """RejectVideo's input."""

    request: ScreeningRequest
    execution_arn: str
    state: RejectedState


class ExecutionContext(Message):
    """`$$.Execution`. RedriveCount exists only after a redrive."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    Id: str
    RedriveCount: int = 0


class JobInExecution(Message):
    """A job, and the execution that works on it."""

    job: ScreeningJob
    execution: ExecutionContext

    @property
    def may_be_done(self) -> bool:
        """Whether an earlier execution, or this one before a redrive, can have stored something."""
        return not self.job.is_first_run or self.execution.RedriveCount > 0


class ExtractionTask(JobInExecution):
    range: TimeRange


class ExtractedRange(Message):
    """What ExtractMedia left in the work bucket for one time range."""

    chunk: Annotated[int, Field(ge=0)]
    frames_key: str | None
    frame_count: Annotated[int, Field(ge=0)]
    audio_key: str | None
    """None when there is nothing to transcribe; `audio_skipped` then says why."""
    audio_skipped: str | None
    """"no audio" or "silent"."""
    audio_start_ms: Annotated[int, Field(ge=0)] = 0
    """Where the audio file's first sample lies on the timeline."""
    audio_duration_ms: Annotated[int, Field(ge=0)] = 0
    losses: dict[str, int] = {}
    """What could not be read, e.g. {"corrupt_frames": 37}; empty when nothing was lost."""
    reused: bool = False


class PlanRequest(JobInExecution):
    media: list[ExtractedRange]


class PlannedStatus(StrEnum):
    RUN = "run"
    REUSED = "reused"
    SKIPPED = "skipped"
    NOT_DEPLOYED = "not_deployed"


class PollState(Message):
    """Where the polling loop of one item stands."""

    status: str = "running"
    polls: Annotated[int, Field(ge=0)] = 0
    wait_seconds: Annotated[int, Field(ge=1)] = 1


class AnalysisItem(Message):
    """One inference request: an item of the AnalyzeMedia map."""

    analyzer: Analyzer
    chunk: Annotated[int, Field(ge=0)]
    endpoint_name: str
    input_location: str
    """s3:// URI of the frame bundle or the audio file."""
    content_type: str
    custom_attributes: Annotated[str, Field(max_length=1024)]
    """`InvocationAttributes` as JSON."""
    inference_id: Annotated[str, Field(max_length=identity.INFERENCE_ID_LIMIT)]
    observation_key: str
    request_ttl_seconds: Annotated[int, Field(ge=60, le=21_600)]
    """How long the request may queue; SageMaker drops it after that."""
    invocation_timeout_seconds: Annotated[int, Field(ge=1, le=3_600)]
    """How long the model server may work on it."""
    frame_count: Annotated[int, Field(ge=0)] | None = None
    """Frames in the bundle, each of which must come back once; None for audio."""
    expected_seconds: Annotated[float, Field(ge=0)] = 0.0
    """What the model server took for as much lately; 0 when nobody knows."""
    poll_growth: Annotated[float, Field(gt=0)]
    """Waits longer than five seconds: the next wait as a share of the time already waited."""
    poll: PollState = PollState()
    """Where polling starts: with a wait until the expected end."""


class AnalysisSummary(Message):
    """What the plan decided for one analyzer."""

    status: PlannedStatus
    reason: str | None = None
    """Why it is skipped or not deployed, and what would change that."""
    observation_keys: list[str]
    """All chunks, in order, whether they are stored already or to be made."""
    reused: bool
    """Every chunk was in the store before this plan."""


class AnalysisPlan(Message):
    items: Annotated[list[AnalysisItem], Field(max_length=40)]
    analyses: dict[Analyzer, AnalysisSummary]
    redrive_count: int
    """RedriveCount when this plan was made; AwaitRedrive passes once it has grown."""


class InvocationAttributes(Message):
    """The `X-Amzn-SageMaker-Custom-Attributes` header: parameters of one inference request."""

    video_id: str
    chunk: Annotated[int, Field(ge=0)]
    start_ms: Annotated[int, Field(ge=0)] = 0
    """Audio: timeline position of the first sample. Frame bundles carry their own times."""
    language: Annotated[str | None, Field(pattern=r"^[a-z]{2,3}$")] = None
    """Audio: spoken language when known; None lets the model detect it."""


class TextEmbeddingRequest(Message):
    """`application/json` body for the objects server; it answers with `TextEmbeddings`."""

    texts: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=1000)]],
        Field(min_length=1, max_length=1000),
    ]


class AnalysisStarted(Message):
    """Where InvokeEndpointAsync will put its answer, and when it was called."""

    output_location: str
    failure_location: str
    started_at: str


class AnalysisStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class AnalysisError(Message):
    type: str
    message: str


class PollResult(PollState):
    """CollectResult's answer: "running" loops, an `AnalysisStatus` ends the item."""

    error: AnalysisError | None = None


class CollectTask(Message):
    item: AnalysisItem
    started: AnalysisStarted
    poll: PollState | PollResult
    """The item's own in the first turn, the last turn's answer after that."""


class AnalysisOutcome(Message):
    """How one item ended. A failure is data here, never an exception."""

    analyzer: Analyzer
    chunk: int
    status: AnalysisStatus
    error: AnalysisError | CaughtError | None = None


class AggregationTask(Message):
    request: ScreeningRequest
    job: ScreeningJob
    media: list[ExtractedRange]
    plan: AnalysisPlan
    outcomes: list[AnalysisOutcome]


class DocumentWritten(Message):
    """Summary of the document; what an operator sees as the execution's output."""

    document: str
    """s3:// URI."""
    status: str
    decision: str
    failed: dict[str, str] = {}
    """Analyses that a redrive can still mend: analyzer -> why it failed."""
    redrivable: bool = False
    superseded: bool = False
    """A document of a newer version of the video was left in place."""


class RedriveTask(Message):
    execution: ExecutionContext
    plan: AnalysisPlan
    result: DocumentWritten


class Redriven(Message):
    redrive_count: int
