"""Work is a list: which inference requests are still to be made for one video."""

from collections.abc import Collection, Mapping

from screener import bundles, identity, polling, storage
from screener.errors import InvalidVideo, RefusalCode
from screener.messages import (
    AnalysisItem,
    AnalysisPlan,
    AnalysisSummary,
    ExtractedRange,
    InvocationAttributes,
    PlannedStatus,
    PlanRequest,
    PollState,
)
from screener.observations import Analyzer
from screener.paces import Paces, units_of
from screener.settings import DeployedAnalyzer

AUDIO_CONTENT_TYPE = "audio/flac"


class Planner:
    """Plans analyses for the endpoints of one stack.

    Args:
        deployed: what this stack has, for every analyzer.
        work_bucket: where media and observations are.
        request_ttl_seconds: how long a request may queue.
        invocation_timeout_seconds: how long a server may work on one request.
    """

    def __init__(
        self,
        deployed: Mapping[Analyzer, DeployedAnalyzer],
        work_bucket: str,
        request_ttl_seconds: int,
        invocation_timeout_seconds: int,
    ) -> None:
        self._deployed = deployed
        self._work_bucket = work_bucket
        self._request_ttl_seconds = request_ttl_seconds
        self._invocation_timeout_seconds = invocation_timeout_seconds

    def plan(self, request: PlanRequest, stored: Collection[str], paces: Paces) -> AnalysisPlan:
        """The requests whose observations are not among the `stored` keys.

        Args:
            request: the job, and what was extracted of it.
            stored: keys of the observations that are there.
            paces: how fast the endpoints were lately.

        Raises:
            InvalidVideo: not one frame could be read, so that nothing can be judged.
        """
        if not any(extracted.frames_key for extracted in request.media):
            raise InvalidVideo(
                RefusalCode.UNDECODABLE, "no frame of the video stream could be decoded"
            )
        analyses: dict[Analyzer, AnalysisSummary] = {}
        missing: list[tuple[Analyzer, ExtractedRange, str]] = []
        for analyzer in Analyzer:
            summary = self._summarise(analyzer, request, stored)
            analyses[analyzer] = summary
            chunks = _chunks_with_input(analyzer, request.media)
            missing += [
                (analyzer, chunk, key)
                for chunk, key in zip(chunks, summary.observation_keys, strict=False)
                if key not in stored
            ]
        growth = polling.growth(len(missing))
        return AnalysisPlan(
            items=[self._item(request, *work, paces=paces, poll_growth=growth) for work in missing],
            analyses=analyses,
            redrive_count=request.execution.RedriveCount,
        )

    def _summarise(
        self, analyzer: Analyzer, request: PlanRequest, stored: Collection[str]
    ) -> AnalysisSummary:
        deployed = self._deployed[analyzer]
        chunks = _chunks_with_input(analyzer, request.media)
        if not deployed.deployed:
            return AnalysisSummary(
                status=PlannedStatus.NOT_DEPLOYED,
                reason="this stack has no model pack for it",
                observation_keys=[],
                reused=False,
            )
        if not chunks:
            reasons = sorted({chunk.audio_skipped or "no audio" for chunk in request.media})
            return AnalysisSummary(
                status=PlannedStatus.SKIPPED,
                reason=", ".join(reasons),
                observation_keys=[],
                reused=False,
            )
        analysis = identity.analysis_id(
            deployed.packs_digest,
            {
                "sampling_id": request.job.sampling_id,
                "ranges": [item.model_dump() for item in request.job.ranges],
            },
        )
        keys = [
            storage.observation_key(request.job.video_id, analyzer, analysis, chunk.chunk)
            for chunk in chunks
        ]
        reused = all(key in stored for key in keys)
        return AnalysisSummary(
            status=PlannedStatus.REUSED if reused else PlannedStatus.RUN,
            observation_keys=keys,
            reused=reused,
        )

    def _item(
        self,
        request: PlanRequest,
        analyzer: Analyzer,
        chunk: ExtractedRange,
        observation_key: str,
        *,
        paces: Paces,
        poll_growth: float,
    ) -> AnalysisItem:
        deployed = self._deployed[analyzer]
        expected_seconds = min(
            paces.expected_seconds(analyzer, deployed, units_of(analyzer, chunk)),
            self._invocation_timeout_seconds,
        )
        is_audio = analyzer is Analyzer.TRANSCRIPTION
        input_key = chunk.audio_key if is_audio else chunk.frames_key
        attributes = InvocationAttributes(
            video_id=request.job.video_id,
            chunk=chunk.chunk,
            start_ms=chunk.audio_start_ms if is_audio else 0,
            language=request.job.sampling.audio_language if is_audio else None,
        )
        return AnalysisItem(
            analyzer=analyzer,
            chunk=chunk.chunk,
            endpoint_name=deployed.endpoint,
            input_location=f"s3://{self._work_bucket}/{input_key}",
            content_type=AUDIO_CONTENT_TYPE if is_audio else bundles.CONTENT_TYPE,
            custom_attributes=attributes.model_dump_json(exclude_none=True),
            inference_id=identity.inference_id(observation_key, request.execution.RedriveCount),
            observation_key=observation_key,
            request_ttl_seconds=self._request_ttl_seconds,
            invocation_timeout_seconds=self._invocation_timeout_seconds,
            frame_count=None if is_audio else chunk.frame_count,
            expected_seconds=expected_seconds,
            poll_growth=poll_growth,
            poll=PollState(wait_seconds=polling.first_wait_seconds(expected_seconds)),
        )


def _chunks_with_input(analyzer: Analyzer, media: list[ExtractedRange]) -> list[ExtractedRange]:
    ordered = sorted(media, key=lambda extracted: extracted.chunk)
    if analyzer is Analyzer.TRANSCRIPTION:
        return [chunk for chunk in ordered if chunk.audio_key]
    return [chunk for chunk in ordered if chunk.frames_key]
