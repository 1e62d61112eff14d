"""The document of an upload that cannot be screened."""

import json
from typing import TYPE_CHECKING

from screener import identity
from screener.composing import pipeline_run, refused_document
from screener.document import Document, DocumentVideo
from screener.errors import InvalidVideo, RefusalCode
from screener.messages import Rejection
from screener.publishing import Edition

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def refusal_of(rejection: Rejection) -> InvalidVideo:
    """The refusal that was caught. A Cause of another shape still refuses, in its own words."""
    cause = rejection.state.error.Cause
    try:
        # Lambda reports an error as {"errorMessage": ..., "errorType": ..., "stackTrace": ...}.
        return InvalidVideo.from_message(str(json.loads(cause)["errorMessage"]))
    except (ValueError, KeyError, TypeError):
        return InvalidVideo(RefusalCode.UNDECODABLE, cause[:1_000] or rejection.state.error.Error)


def describe(rejection: Rejection, s3: "S3Client") -> tuple[DocumentVideo, Edition]:
    """What is known about the upload, and where its document stands among others.

    Raises:
        botocore.exceptions.ClientError: S3 refuses to list the bucket.
    """
    job = rejection.state.job
    request = rejection.request
    if job is not None:
        video = DocumentVideo(**job.video.model_dump(), last_modified=job.last_modified)
        video_id, started_at = job.video_id, job.started_at
    else:
        video = _listed(rejection, s3)
        version = identity.content_version(video.version_id, video.etag, video.last_modified)
        video_id = identity.video_id(request.bucket, request.key, version)
        started_at = None
    edition = Edition(
        bucket=request.bucket,
        key=request.key,
        video_id=video_id,
        last_modified=video.last_modified,
        sequencer=request.sequencer,
        started_at=started_at,
    )
    return video, edition


def reject(rejection: Rejection, s3: "S3Client", processed_at: str) -> tuple[Document, Edition]:
    """Compose the document with status `invalid`."""
    video, edition = describe(rejection, s3)
    run = pipeline_run(rejection.execution_arn, edition.started_at, processed_at)
    return refused_document(refusal_of(rejection), video, run), edition


def _listed(rejection: Rejection, s3: "S3Client") -> DocumentVideo:
    """The object as the bucket's listing shows it: the function may not read videos.

    Times and size are left out when another version is there by now; its own run tells them. So
    they are when only a version id is known: the listing does not say which version it shows.
    """
    request = rejection.request
    page = s3.list_objects_v2(Bucket=request.bucket, Prefix=request.key, MaxKeys=1)
    item = next((item for item in page.get("Contents", []) if item["Key"] == request.key), None)
    etag = (request.etag or "").strip('"') or None
    shown = item["ETag"].strip('"') if item is not None else None
    if item is not None and (etag == shown or (etag is None and request.version_id is None)):
        return DocumentVideo(
            bucket=request.bucket,
            key=request.key,
            version_id=request.version_id,
            etag=shown,
            last_modified=item["LastModified"].isoformat(),
            size_bytes=item["Size"],
        )
    return DocumentVideo(
        bucket=request.bucket, key=request.key, version_id=request.version_id, etag=etag
    )
