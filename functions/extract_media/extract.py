"""Extracts one time range into the work bucket, once.

The range's manifest is written last: where it is found together with what it names, the work
was done before, by an earlier attempt or execution, and nothing is done again.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from screener import bundles, storage
from screener.bundles import FrameBundleManifest
from screener.media import MediaLimits, extract
from screener.media.facts import Extraction, ExtractionOrder
from screener.media.s3 import S3Sink, S3Source, is_gone
from screener.messages import ExtractedRange, ExtractionTask

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AUDIO_CONTENT_TYPE = "audio/flac"


def extract_range(
    task: ExtractionTask,
    client: "S3Client",
    work_bucket: str,
    limits: MediaLimits,
    *,
    threads: int,
) -> ExtractedRange:
    """Extract the task's range, or find it extracted.

    Args:
        task: the job and one of its ranges.
        client: reads the media bucket and writes the work bucket.
        work_bucket: where frames, audio and manifest go.
        limits: bounds of the decoding child.
        threads: decoders at work at once.

    Raises:
        InvalidVideo: nothing can be decoded, or a limit was reached.
        VideoUnavailable: the object version is gone or was replaced.
    """
    job, chunk = task.job, task.range.chunk
    manifest_key = storage.extraction_key(job.video_id, job.sampling_id, chunk)
    if task.may_be_done and (earlier := _extracted_before(client, work_bucket, manifest_key)):
        return earlier
    frames_key = storage.frames_key(job.video_id, job.sampling_id, chunk)
    audio_key = storage.audio_key(job.video_id, job.sampling_id, chunk)
    frames = S3Sink(client, work_bucket, frames_key, bundles.CONTENT_TYPE)
    audio = S3Sink(client, work_bucket, audio_key, AUDIO_CONTENT_TYPE)
    try:
        with S3Source(
            client,
            job.video.bucket,
            job.video.key,
            size_bytes=job.video.size_bytes,
            etag=job.video.etag,
            version_id=job.video.version_id,
            streaming=True,
        ) as source:
            extraction = extract(source, _order(task, limits, threads), frames, audio)
        if extraction.frames:
            frames.append(bundles.END)
            frames.finish(_manifest_member(task, extraction))
        skipped = _why_no_audio(extraction)
        if skipped is None:
            audio.finish()
    finally:
        frames.abort()
        audio.abort()
    extracted = ExtractedRange(
        chunk=chunk,
        frames_key=frames_key if extraction.frames else None,
        frame_count=len(extraction.frames),
        audio_key=audio_key if skipped is None else None,
        audio_skipped=skipped,
        audio_start_ms=extraction.audio_start_ms,
        audio_duration_ms=extraction.audio_duration_ms,
        losses=extraction.losses,
    )
    client.put_object(
        Bucket=work_bucket,
        Key=manifest_key,
        Body=extracted.model_dump_json().encode(),
        ContentType="application/json",
    )
    return extracted


def _order(task: ExtractionTask, limits: MediaLimits, threads: int) -> ExtractionOrder:
    video = task.job.video
    return ExtractionOrder(
        size_bytes=video.size_bytes,
        limits=limits,
        sampling=task.job.sampling,
        start_ms=task.range.start_ms,
        end_ms=task.range.end_ms,
        duration_ms=video.duration_ms,
        width=video.width,
        height=video.height,
        threads=threads,
        counted_pictures=task.job.counted_pictures,
    )


def _manifest_member(task: ExtractionTask, extraction: Extraction) -> bytes:
    manifest = FrameBundleManifest(
        video_id=task.job.video_id,
        sampling_id=task.job.sampling_id,
        sampling=task.job.sampling,
        chunk=task.range.chunk,
        time_base=extraction.time_base,
        width=extraction.width,
        height=extraction.height,
        frames=extraction.frames,
    )
    return bundles.member(bundles.MANIFEST_NAME, manifest.model_dump_json().encode())


def _why_no_audio(extraction: Extraction) -> str | None:
    if not extraction.has_audio:
        return "no audio"
    return "silent" if extraction.audio_silent else None


def _extracted_before(
    client: "S3Client", work_bucket: str, manifest_key: str
) -> ExtractedRange | None:
    """The range's manifest, when it and everything it names is still there."""
    try:
        body = client.get_object(Bucket=work_bucket, Key=manifest_key)["Body"].read()
        earlier = ExtractedRange.model_validate_json(body)
        for key in (earlier.frames_key, earlier.audio_key):
            if key is not None:
                client.head_object(Bucket=work_bucket, Key=key)
    except ClientError as cause:
        if is_gone(cause):
            return None
        raise
    return earlier.model_copy(update={"reused": True})
