"""Puts a judgement and the circumstances of its video together into the document."""

import math
from collections.abc import Mapping

import screener
from screener import pricing
from screener.document import (
    AnalysisReport,
    AnalysisState,
    CostReport,
    Decision,
    Document,
    DocumentStatus,
    DocumentVideo,
    MediaChunk,
    PipelineRun,
    Reason,
    SamplingReport,
    Verdict,
)
from screener.errors import InvalidVideo
from screener.observations import Analyzer, PackReference
from screener.policy.engine import Judgement
from screener.policy.material import AnalysisMaterial, Material

_PULL = {
    Analyzer.MODERATION: "screener packs pull nudenet-320n opennsfw2",
    Analyzer.FACES: "screener packs pull buffalo_l",
    Analyzer.TRANSCRIPTION: "screener packs pull whisper-tiny.en",
    Analyzer.OBJECTS: "screener packs pull yolov8m clip-vit-b-32",
}


def pipeline_run(execution_arn: str, started_at: str | None, processed_at: str) -> PipelineRun:
    return PipelineRun(
        execution_arn=execution_arn,
        started_at=started_at,
        processed_at=processed_at,
        software_version=screener.__version__,
    )


def judged_document(
    material: Material,
    judgement: Judgement,
    run: PipelineRun,
    *,
    last_modified: str | None,
    instance_types: Mapping[Analyzer, str],
) -> Document:
    """The document of a video that was analysed, wholly or in part."""
    analyses = {
        analyzer: _report(analyzer, judgement.analyses[analyzer], instance_types.get(analyzer, ""))
        for analyzer in Analyzer
    }
    return Document(
        video_id=material.video_id,
        status=DocumentStatus.COMPLETE if judgement.complete else DocumentStatus.PARTIAL,
        partial=not judgement.complete,
        verdict=judgement.verdict,
        video=DocumentVideo(**material.video.model_dump(), last_modified=last_modified),
        pipeline=run,
        sampling=SamplingReport(
            sampling_id=material.sampling_id,
            strategy=material.sampling.strategy.value,
            parameters=material.sampling.model_dump(mode="json"),
            frames_analyzed=sum(extracted.frame_count for extracted in material.media),
            chunks=[
                MediaChunk(
                    chunk=extracted.chunk,
                    frame_count=extracted.frame_count,
                    audio_start_ms=extracted.audio_start_ms,
                    audio_duration_ms=extracted.audio_duration_ms,
                    audio_skipped=extracted.audio_skipped,
                )
                for extracted in sorted(material.media, key=lambda item: item.chunk)
            ],
            losses=material.losses,
        ),
        analyses=analyses,
        not_evaluated=judgement.not_evaluated,
        moderation=judgement.moderation,
        faces=judgement.faces,
        transcription=judgement.transcription,
        objects=judgement.objects,
        cost=CostReport(
            total_usd=pricing.total_usd(report.cost_usd for report in analyses.values()),
            price_list=pricing.PRICE_LIST,
        ),
    )


def refused_document(refusal: InvalidVideo, video: DocumentVideo, run: PipelineRun) -> Document:
    """The document of an upload that cannot be screened. It is not fit to be shown."""
    return Document(
        video_id=None,
        status=DocumentStatus.INVALID,
        partial=False,
        verdict=Verdict(
            decision=Decision.REJECT,
            reasons=[
                Reason(
                    code=refusal.code.value,
                    decision=Decision.REJECT,
                    category=None,
                    detail=refusal.detail,
                )
            ],
            policy=None,
        ),
        video=video,
        pipeline=run,
        sampling=None,
        analyses={},
        not_evaluated=[],
        moderation=None,
        faces=None,
        transcription=None,
        objects=None,
        cost=None,
    )


def _report(analyzer: Analyzer, item: AnalysisMaterial, instance_type: str) -> AnalysisReport:
    timings: dict[str, float] = {}
    packs: dict[tuple[str, str], PackReference] = {}
    for observations in item.observations:
        packs |= {(pack.role, pack.sha256): pack for pack in observations.packs}
        for stage, elapsed_ms in observations.timings_ms.items():
            total_ms = timings.get(stage, 0.0) + elapsed_ms
            # What a server says of itself may be no number, and JSON has no other way to say that.
            if math.isfinite(total_ms):
                timings[stage] = round(total_ms, 3)
    # Reused observations were paid for by the run that made them.
    busy_ms = 0.0 if item.reused else timings.get("total", 0.0)
    return AnalysisReport(
        status=item.state,
        reused=item.reused,
        error=item.error,
        reason=item.reason,
        action=_action(analyzer, item),
        packs=[packs[key] for key in sorted(packs)],
        provider=next((each.provider for each in item.observations), None),
        timings_ms=timings,
        cost_usd=pricing.cost_usd(instance_type, busy_ms) if busy_ms else 0.0,
        observation_keys=list(item.observation_keys),
    )


def _action(analyzer: Analyzer, item: AnalysisMaterial) -> str | None:
    match item.state:
        case AnalysisState.NOT_DEPLOYED:
            return f"{_PULL[analyzer]}, then start or deploy the stack again"
        case AnalysisState.FAILED | AnalysisState.TIMED_OUT:
            return "mend the cause, then press Redrive: only what is missing runs again"
        case _:
            return None
