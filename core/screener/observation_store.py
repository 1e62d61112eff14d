"""Reads one video's observations back from the work bucket.

What is missing or malformed becomes a failed analysis that says why, never an exception:
one broken object must not cost the verdict on everything else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import ValidationError

from screener.document import AnalysisState
from screener.errors import InvalidObservations
from screener.messages import (
    AnalysisError,
    AnalysisOutcome,
    AnalysisPlan,
    AnalysisStatus,
    AnalysisSummary,
    CaughtError,
    ExtractedRange,
    PlannedStatus,
)
from screener.observations import (
    RESULT_TYPES,
    Analyzer,
    FacesObservations,
    ModerationObservations,
    ObjectsObservations,
    Observations,
)
from screener.policy.material import AnalysisMaterial

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_OBSERVATION_BYTES = 256 * 1024 * 1024
_READERS = 8
_NOT_THERE = frozenset({"NoSuchKey", "404"})


def read_object(s3: "S3Client", bucket: str, key: str, limit: int) -> bytes | None:
    """An object's bytes; None when there is no such object.

    Raises:
        InvalidObservations: larger than `limit`.
        botocore.exceptions.ClientError: S3 refuses for another reason.
    """
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    with answer["Body"] as body:
        data = body.read(limit + 1)
    if len(data) > limit:
        raise InvalidObservations(f"{key} is larger than {limit} bytes")
    return data


@contextmanager
def read_ahead(
    read: Callable[[str], bytes | None], keys: Iterable[str]
) -> Iterator[Callable[[str], bytes | None]]:
    """Fetch several objects at the same time: S3's first byte takes longer than judging.

    Args:
        read: gives an object; called from several threads.
        keys: what will be asked for.

    Yields:
        The same as `read`. What it raised for a key is raised when that key is asked for.
    """
    readers = ThreadPoolExecutor(_READERS)
    try:
        coming = {key: readers.submit(read, key) for key in keys}

        def arrived(key: str) -> bytes | None:
            # Forgotten once given: the parsed and the raw observations need not both stay.
            future = coming.pop(key, None)
            return read(key) if future is None else future.result()

        yield arrived
    finally:
        readers.shutdown(cancel_futures=True)


def load_analyses(
    s3: "S3Client",
    bucket: str,
    plan: AnalysisPlan,
    outcomes: Sequence[AnalysisOutcome],
    media: Sequence[ExtractedRange],
) -> dict[Analyzer, AnalysisMaterial]:
    """How each analysis of a plan ended, with its observations when all of them are usable.

    Raises:
        botocore.exceptions.ClientError: S3 refuses to read (it is not asked to guess).
    """
    frame_counts = {extracted.chunk: extracted.frame_count for extracted in media}
    with ThreadPoolExecutor(_READERS) as readers:
        return {
            analyzer: _material(
                s3,
                bucket,
                analyzer,
                plan.analyses.get(analyzer),
                [outcome for outcome in outcomes if outcome.analyzer is analyzer],
                frame_counts,
                readers,
            )
            for analyzer in Analyzer
        }


def parse_observations(analyzer: Analyzer, data: bytes, key: str) -> Observations:
    """Observations of one chunk.

    Raises:
        InvalidObservations: not what the analyzer's contract says.
    """
    try:
        return RESULT_TYPES[analyzer].model_validate_json(data)
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the top"
        raise InvalidObservations(
            f"{key}: {cause.error_count()} problems, the first at {place}: {first['msg']}"
        ) from cause


def check_frames(observations: Observations, frame_counts: Mapping[int, int], key: str) -> None:
    """Every extracted frame must have been looked at, once.

    Raises:
        InvalidObservations: frames are missing or doubled.
    """
    if not isinstance(
        observations, ModerationObservations | FacesObservations | ObjectsObservations
    ):
        return
    expected = frame_counts.get(observations.chunk)
    seen = {frame.index for frame in observations.frames}
    if len(seen) != len(observations.frames) or (expected is not None and len(seen) != expected):
        raise InvalidObservations(
            f"{key}: {len(seen)} different frames among {len(observations.frames)} results, "
            f"but {expected} frames were extracted"
        )


def _material(
    s3: "S3Client",
    bucket: str,
    analyzer: Analyzer,
    summary: AnalysisSummary | None,
    outcomes: Sequence[AnalysisOutcome],
    frame_counts: Mapping[int, int],
    readers: ThreadPoolExecutor,
) -> AnalysisMaterial:
    if summary is None:
        return AnalysisMaterial(
            state=AnalysisState.FAILED,
            error=AnalysisError(type="NotPlanned", message="the plan does not name the analysis"),
        )
    if summary.status in {PlannedStatus.NOT_DEPLOYED, PlannedStatus.SKIPPED}:
        return AnalysisMaterial(state=AnalysisState(summary.status.value), reason=summary.reason)
    keys = summary.observation_keys
    loaded = list(readers.map(lambda key: _load(s3, bucket, analyzer, key, frame_counts), keys))
    observations = [item for item in loaded if isinstance(item, Observations)]
    if keys and len(observations) == len(keys):
        return AnalysisMaterial(
            state=AnalysisState.COMPLETE,
            observations=observations,
            reused=summary.reused,
            observation_keys=keys,
        )
    ended_badly = [item for item in outcomes if item.status is not AnalysisStatus.SUCCEEDED]
    timed_out = any(item.status is AnalysisStatus.TIMED_OUT for item in ended_badly)
    unusable = [item for item in loaded if isinstance(item, AnalysisError)]
    error = next((_plain(item.error) for item in ended_badly if item.error is not None), None)
    return AnalysisMaterial(
        state=AnalysisState.TIMED_OUT if timed_out else AnalysisState.FAILED,
        error=error
        or next(iter(unusable), None)
        or AnalysisError(type="NoObservations", message="the analysis left no observations"),
        observation_keys=keys,
        unusable_keys=[
            key
            for key, item in zip(keys, loaded, strict=True)
            if isinstance(item, AnalysisError) and item.type == InvalidObservations.__name__
        ],
    )


def discard_unusable(
    s3: "S3Client", bucket: str, analyses: Mapping[Analyzer, AnalysisMaterial]
) -> None:
    """Remove what was found to be unusable, so that the next plan asks for it again.

    Raises:
        botocore.exceptions.ClientError: S3 refuses.
    """
    for material in analyses.values():
        for key in material.unusable_keys:
            s3.delete_object(Bucket=bucket, Key=key)


def _load(
    s3: "S3Client",
    bucket: str,
    analyzer: Analyzer,
    key: str,
    frame_counts: Mapping[int, int],
) -> Observations | AnalysisError:
    try:
        data = read_object(s3, bucket, key, MAX_OBSERVATION_BYTES)
        if data is None:
            return AnalysisError(type="NoObservations", message=f"{key} does not exist")
        observations = parse_observations(analyzer, data, key)
        check_frames(observations, frame_counts, key)
    except InvalidObservations as cause:
        return AnalysisError(type=type(cause).__name__, message=str(cause))
    return observations


def _plain(error: AnalysisError | CaughtError | None) -> AnalysisError | None:
    if isinstance(error, CaughtError):
        return AnalysisError(type=error.Error, message=error.Cause or error.Error)
    return error
