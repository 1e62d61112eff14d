"""Judges again from stored observations: a new policy, no inference.

The document knows everything that is needed: the video, how it was sampled, how each analysis
went, and where its observations are.
"""

from collections.abc import Callable, Mapping

from pydantic import ValidationError

from screener.composing import judged_document, pipeline_run
from screener.document import AnalysisState, Document, DocumentHead, Verdict
from screener.errors import InvalidObservations, ScreenerError
from screener.messages import ExtractedRange, VideoDescription
from screener.observation_store import check_frames, parse_observations, read_ahead
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.known_faces import InvalidKnownFaces, KnownFaces
from screener.policy.material import AnalysisMaterial, Material
from screener.policy.model import Policy
from screener.sampling import Sampling
from screener.scene_texts import stored_embeddings

ReadObservations = Callable[[str], bytes | None]
"""Gives the object of a work bucket key; None when it is gone."""


class CannotRejudge(ScreenerError):
    """A document has nothing left to be judged again; the message says why. It stays as it is."""


def rejudge(
    document: DocumentHead,
    policy: Policy,
    known: KnownFaces | InvalidKnownFaces | None,
    read: ReadObservations,
    processed_at: str,
) -> Document:
    """The document that the policy makes of the same observations.

    Args:
        document: the present one.
        policy: the new policy.
        known: index of known people, as for `judge`.
        read: the observation store.
        processed_at: ISO 8601, for the new document.

    Raises:
        CannotRejudge: the video was refused, or observations have expired or changed.
    """
    material = _material(document, policy, read)
    new = judged_document(
        material,
        judge(material, policy, known),
        pipeline_run(document.pipeline.execution_arn, document.pipeline.started_at, processed_at),
        last_modified=document.video.last_modified,
        instance_types={},
    )
    # Judging costs nothing: what the analyses cost when they ran still holds.
    analyses = {
        analyzer: report.model_copy(update={"cost_usd": document.analyses[analyzer].cost_usd})
        for analyzer, report in new.analyses.items()
    }
    return new.model_copy(update={"analyses": analyses, "cost": document.cost})


def verdict_again(
    document: DocumentHead,
    policy: Policy,
    known: KnownFaces | InvalidKnownFaces | None,
    read: ReadObservations,
) -> Verdict:
    """The verdict of `rejudge` without the rest of the document, in half the time.

    Raises:
        CannotRejudge: as for `rejudge`.
    """
    return judge(_material(document, policy, read), policy, known, details=False).verdict


def _material(document: DocumentHead, policy: Policy, read: ReadObservations) -> Material:
    if document.video_id is None or document.sampling is None:
        raise CannotRejudge("the video was refused: there are no observations")
    try:
        video = VideoDescription.model_validate(
            document.video.model_dump(exclude={"last_modified"})
        )
        sampling = Sampling.model_validate(document.sampling.parameters)
    except ValidationError as cause:
        raise CannotRejudge(f"the document is not complete enough: {cause}") from cause
    media = _media(document)
    frame_counts = {extracted.chunk: extracted.frame_count for extracted in media}
    keys = [
        key
        for report in document.analyses.values()
        if report.status is AnalysisState.COMPLETE
        for key in report.observation_keys
    ]
    with read_ahead(read, keys) as arrived:
        analyses = {
            analyzer: _analysis(document, analyzer, arrived, frame_counts) for analyzer in Analyzer
        }
    return Material(
        video_id=document.video_id,
        video=video,
        sampling=sampling,
        sampling_id=document.sampling.sampling_id,
        media=media,
        analyses=analyses,
        scene_texts=stored_embeddings(
            read,
            policy,
            objects.packs if (objects := document.analyses.get(Analyzer.OBJECTS)) else (),
        ),
    )


def _media(document: DocumentHead) -> list[ExtractedRange]:
    if document.sampling is None:
        return []
    return [
        ExtractedRange(
            chunk=chunk.chunk,
            frames_key=None,
            frame_count=chunk.frame_count,
            audio_key=None,
            audio_skipped=chunk.audio_skipped,
            audio_start_ms=chunk.audio_start_ms,
            audio_duration_ms=chunk.audio_duration_ms,
            # The document knows losses of the whole video only.
            losses=document.sampling.losses if position == 0 else {},
        )
        for position, chunk in enumerate(document.sampling.chunks)
    ]


def _analysis(
    document: DocumentHead,
    analyzer: Analyzer,
    read: ReadObservations,
    frame_counts: Mapping[int, int],
) -> AnalysisMaterial:
    report = document.analyses.get(analyzer)
    if report is None:
        return AnalysisMaterial(state=AnalysisState.NOT_DEPLOYED, reason="the document lacks it")
    if report.status is not AnalysisState.COMPLETE:
        return AnalysisMaterial(
            state=report.status,
            error=report.error,
            reason=report.reason,
            observation_keys=report.observation_keys,
        )
    observations = []
    for key in report.observation_keys:
        data = read(key)
        if data is None:
            raise CannotRejudge(
                f"{key} is not there: it has expired, or observations are kept elsewhere; "
                "without it, screen the video again"
            )
        try:
            item = parse_observations(analyzer, data, key)
            check_frames(item, frame_counts, key)
        except InvalidObservations as cause:
            raise CannotRejudge(str(cause)) from cause
        observations.append(item)
    return AnalysisMaterial(
        state=AnalysisState.COMPLETE,
        observations=observations,
        reused=report.reused,
        observation_keys=report.observation_keys,
    )
