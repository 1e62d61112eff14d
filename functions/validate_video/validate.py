"""From an upload to a job: which object version, what it holds, how it will be sampled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.validate_video.ranges import plan_ranges
from screener import identity
from screener.errors import InvalidVideo, RefusalCode, VideoUnavailable
from screener.media import MediaLimits, probe
from screener.media.s3 import S3Source, is_gone
from screener.messages import ScreeningJob, ScreeningRequest, ValidationTask, VideoDescription
from screener.sampling import Sampling

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


@dataclass(frozen=True)
class VideoLimits:
    """What this stack accepts."""

    max_bytes: int
    max_seconds: int
    range_seconds: int
    media: MediaLimits


def validate(
    task: ValidationTask,
    client: "S3Client",
    sampling: Sampling,
    sampling_by_prefix: Mapping[str, Sampling],
    limits: VideoLimits,
    now: str,
) -> ScreeningJob:
    """Look at the object and into its container.

    Args:
        task: the upload and the execution it started.
        client: reads the media bucket.
        sampling: the stack's sampling.
        sampling_by_prefix: key prefix -> sampling that replaces it.
        limits: what the stack accepts.
        now: time of the call, ISO 8601.

    Raises:
        InvalidVideo: it cannot be screened; names what is wrong.
        VideoUnavailable: the object version is gone, was replaced, or may not be read.
    """
    request = task.request
    head = _beginning(client, request)
    # "bytes 0-4194303/104857600"
    size_bytes = int(head["ContentRange"].rpartition("/")[2])
    if size_bytes > limits.max_bytes:
        raise InvalidVideo(
            RefusalCode.TOO_LARGE,
            f"{size_bytes} bytes; this stack accepts {limits.max_bytes} (MAX_VIDEO_BYTES)",
        )
    chosen = request.sampling or _by_prefix(request.key, sampling_by_prefix) or sampling
    etag = head["ETag"].strip('"')
    version_id = request.version_id or head.get("VersionId")
    last_modified = head["LastModified"].isoformat()
    with S3Source(
        client,
        request.bucket,
        request.key,
        size_bytes=size_bytes,
        etag=etag,
        version_id=version_id,
        first_block=head["Body"].read(),
    ) as source:
        facts = probe(source, limits=limits.media, audio_language=chosen.audio_language)
    if facts.duration_ms > limits.max_seconds * 1000:
        raise InvalidVideo(
            RefusalCode.TOO_LONG,
            f"{facts.duration_ms / 1000:.0f} s; this stack accepts {limits.max_seconds} s "
            "(MAX_VIDEO_SECONDS)",
        )
    video = VideoDescription(
        bucket=request.bucket,
        key=request.key,
        version_id=version_id,
        etag=etag,
        size_bytes=size_bytes,
        duration_ms=facts.duration_ms,
        container=facts.container,
        codecs=facts.codecs,
        width=facts.width,
        height=facts.height,
        frame_rate=facts.frame_rate,
        has_audio=facts.audio_codec is not None,
        other_audio_tracks=sum(not track.chosen for track in facts.audio_tracks),
    )
    version = identity.content_version(video.version_id, etag, last_modified)
    return ScreeningJob(
        video_id=identity.video_id(video.bucket, video.key, version),
        video=video,
        last_modified=last_modified,
        sampling=chosen,
        sampling_id=chosen.sampling_id,
        ranges=plan_ranges(facts.duration_ms, limits.range_seconds, seekable=facts.seekable),
        counted_pictures=facts.counted_pictures,
        execution_arn=task.execution_arn,
        started_at=now,
        is_first_run=_is_first_run(request, task.execution_arn),
    )


def _is_first_run(request: ScreeningRequest, execution_arn: str) -> bool:
    """Whether this is the one execution that the upload of a version started by itself.

    Without a version id nothing tells an upload from an earlier one with the same content.
    """
    name = execution_arn.rpartition(":")[2]
    return request.version_id is not None and name == request.execution_name


def _beginning(client: "S3Client", request: ScreeningRequest) -> "GetObjectOutputTypeDef":
    """The first block of the object version, and what S3 says of it, in one request."""
    pin = {"VersionId": request.version_id} if request.version_id else {}
    if request.etag:
        pin["IfMatch"] = f'"{request.etag.strip(chr(34))}"'
    try:
        return client.get_object(
            Bucket=request.bucket,
            Key=request.key,
            Range=f"bytes=0-{S3Source.BLOCK_BYTES - 1}",
            **pin,  # type: ignore[arg-type]
        )
    except ClientError as cause:
        # No range lies inside of nothing.
        if cause.response["Error"]["Code"] == "InvalidRange":
            raise InvalidVideo(RefusalCode.EMPTY_FILE, "the file has no bytes") from cause
        if is_gone(cause):
            raise VideoUnavailable(
                f"s3://{request.bucket}/{request.key} (version {request.version_id}, etag "
                f"{request.etag}) is gone, was replaced or may not be read: {cause}"
            ) from cause
        raise


def _by_prefix(key: str, sampling_by_prefix: Mapping[str, Sampling]) -> Sampling | None:
    matching = [prefix for prefix in sampling_by_prefix if key.startswith(prefix)]
    return sampling_by_prefix[max(matching, key=len)] if matching else None
