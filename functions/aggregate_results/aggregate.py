"""Everything known about one video, judged and written down."""

from collections.abc import Iterator, Mapping

from screener import collector, paces
from screener.announcing import Channels, publish
from screener.causes import shortened
from screener.composing import judged_document, pipeline_run
from screener.document import AnalysisState, Document
from screener.messages import AggregationTask, DocumentWritten
from screener.observation_store import discard_unusable, load_analyses, read_object
from screener.observations import Analyzer
from screener.paces import Measurement, units_of
from screener.policy.engine import judge
from screener.policy.material import AnalysisMaterial, Material
from screener.policy.stored import load_known_index, load_policy
from screener.publishing import Edition
from screener.scene_texts import stored_embeddings
from screener.settings import DeployedAnalyzer

MENDABLE = AnalysisState.FAILED, AnalysisState.TIMED_OUT
MAX_TEXTS_BYTES = 64 * 1024 * 1024
_SUMMARY_BYTES = 1_000
"""Of a cause in the answer, which names four at most; the document has what the item said."""


@collector.paused()
def aggregate(
    task: AggregationTask,
    channels: Channels,
    work_bucket: str,
    deployed: Mapping[Analyzer, DeployedAnalyzer],
    processed_at: str,
) -> tuple[Document, DocumentWritten]:
    """Judge one video, publish its document, and note how long its analyses took.

    Raises:
        InvalidPolicy: the stack's policy file is broken; the execution fails visibly.
        botocore.exceptions.ClientError: a service refuses.
    """
    job = task.job
    policy = load_policy(channels.s3, work_bucket)
    known = load_known_index(channels.s3, work_bucket)
    analyses = load_analyses(channels.s3, work_bucket, task.plan, task.outcomes, task.media)
    material = Material(
        video_id=job.video_id,
        video=job.video,
        sampling=job.sampling,
        sampling_id=job.sampling_id,
        media=task.media,
        analyses=analyses,
        scene_texts=stored_embeddings(
            lambda key: read_object(channels.s3, work_bucket, key, MAX_TEXTS_BYTES),
            policy,
            [
                pack
                for observations in analyses[Analyzer.OBJECTS].observations[:1]
                for pack in observations.packs
            ],
        ),
    )
    judgement = judge(material, policy, known)
    document = judged_document(
        material,
        judgement,
        pipeline_run(job.execution_arn, job.started_at, processed_at),
        last_modified=job.last_modified,
        instance_types={name: one.instance_type for name, one in deployed.items()},
    )
    edition = Edition(
        bucket=job.video.bucket,
        key=job.video.key,
        video_id=job.video_id,
        last_modified=job.last_modified,
        sequencer=task.request.sequencer,
        started_at=job.started_at,
    )
    failed = {
        analyzer.value: shortened(
            f"{report.error.type}: {report.error.message}" if report.error else report.status.value,
            _SUMMARY_BYTES,
        )
        for analyzer, report in document.analyses.items()
        if report.status in MENDABLE
    }
    published = publish(channels, document, edition)
    # Once the document has said why: a retry of this step finds nothing any more.
    discard_unusable(channels.s3, work_bucket, judgement.analyses)
    paces.remember(channels.dynamodb, channels.table_name, _measurements(task, analyses), deployed)
    return document, DocumentWritten(
        document=published.location.uri,
        status=document.status.value,
        decision=document.verdict.decision.value,
        failed=failed,
        # A newer version of the video has its own run: nothing is left to mend here.
        redrivable=bool(failed) and not published.superseded,
        superseded=published.superseded,
    )


def _measurements(
    task: AggregationTask, analyses: Mapping[Analyzer, AnalysisMaterial]
) -> Iterator[Measurement]:
    """What the requests of this plan took; observations of an earlier one say nothing new."""
    asked = {(item.analyzer, item.chunk) for item in task.plan.items}
    media = {extracted.chunk: extracted for extracted in task.media}
    for analyzer, material in analyses.items():
        for observations in material.observations:
            chunk = observations.chunk
            if (analyzer, chunk) in asked and chunk in media:
                milliseconds = observations.timings_ms.get("total", 0.0)
                yield Measurement(analyzer, units_of(analyzer, media[chunk]), milliseconds)
