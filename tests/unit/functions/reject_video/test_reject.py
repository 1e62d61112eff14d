import json
from datetime import UTC, datetime

import pytest
from example_messages import EXECUTION, job

from functions.reject_video.reject import refusal_of, reject
from screener.announcing import publish
from screener.errors import InvalidVideo, RefusalCode
from screener.messages import CaughtError, RejectedState, Rejection, ScreeningRequest
from tests.aws_stand_in import MEDIA_BUCKET, stand_in

REFUSAL = InvalidVideo(RefusalCode.EMPTY_FILE, "the file has no bytes")
CAUSE = json.dumps({"errorMessage": str(REFUSAL), "errorType": "InvalidVideo", "stackTrace": []})
NOW = datetime(2026, 11, 2, tzinfo=UTC).isoformat()


def rejection(cause=CAUSE, given_job=None, **request):
    return Rejection(
        request=ScreeningRequest(bucket=MEDIA_BUCKET, key="uploads/a.mp4", **request),
        execution_arn=EXECUTION,
        state=RejectedState(error=CaughtError(Error="InvalidVideo", Cause=cause), job=given_job),
    )


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def test_the_refusal_is_read_from_lambdas_error_report():
    refusal = refusal_of(rejection())
    assert (refusal.code, refusal.detail) == (RefusalCode.EMPTY_FILE, "the file has no bytes")


@pytest.mark.parametrize("cause", ["", "plain words", "[]", "{}", '{"errorMessage": "x"}', "null"])
def test_a_cause_of_another_shape_still_refuses(cause):
    assert refusal_of(rejection(cause)).code is RefusalCode.UNDECODABLE


def test_the_document_of_a_refused_upload_says_invalid_and_why(aws):
    aws.s3.put_object(Bucket=MEDIA_BUCKET, Key="uploads/a.mp4", Body=b"")
    document, edition = reject(rejection(), aws.s3, NOW)
    published = publish(aws.channels, document, edition)
    assert not published.superseded
    stored = aws.document("uploads/a.moderation.json")
    assert published.location.key == "uploads/a.moderation.json"
    assert (stored["status"], stored["partial"]) == ("invalid", False)
    assert stored["verdict"]["decision"] == "reject"
    assert stored["verdict"]["reasons"][0]["code"] == "empty_file"
    assert stored["video"]["size_bytes"] == 0
    assert aws.row("media-bucket/uploads/a.mp4")["status"]["S"] == "invalid"
    assert aws.heard()[0]["detail"]["status"] == "invalid"


def test_a_refusal_after_validation_keeps_what_is_known_of_the_video(aws):
    document, edition = reject(rejection(given_job=job()), aws.s3, NOW)
    assert document.video.codecs == ["h264", "aac"]
    assert document.video.last_modified == "2026-11-01T00:00:00+00:00"
    assert edition.video_id == job().video_id


def test_the_size_of_a_newer_upload_is_not_attributed_to_the_refused_one(aws):
    aws.s3.put_object(Bucket=MEDIA_BUCKET, Key="uploads/a.mp4", Body=b"newer")
    document, _ = reject(rejection(etag="0123"), aws.s3, NOW)
    assert (document.video.etag, document.video.size_bytes) == ("0123", None)


def test_a_refused_upload_never_replaces_the_document_of_a_newer_one(aws):
    newer, newer_edition = reject(rejection(given_job=job()), aws.s3, NOW)
    publish(aws.channels, newer, newer_edition)
    older, older_edition = reject(rejection(etag="0123"), aws.s3, NOW)
    assert publish(aws.channels, older, older_edition).superseded


def test_an_old_version_that_is_run_by_hand_and_refused_leaves_the_newer_document(aws):
    aws.s3.put_bucket_versioning(Bucket=MEDIA_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old, new = (
        aws.s3.put_object(Bucket=MEDIA_BUCKET, Key="uploads/a.mp4", Body=body)["VersionId"]
        for body in (b"", b"newer")
    )
    current = aws.s3.head_object(Bucket=MEDIA_BUCKET, Key="uploads/a.mp4")
    newer, newer_edition = reject(rejection(version_id=new, etag=current["ETag"]), aws.s3, NOW)
    publish(aws.channels, newer, newer_edition)
    older, older_edition = reject(rejection(version_id=old), aws.s3, NOW)
    assert (older.video.version_id, older.video.size_bytes) == (old, None)
    assert publish(aws.channels, older, older_edition).superseded


def test_an_upload_that_is_gone_gets_its_document_all_the_same(aws):
    document, edition = reject(rejection(), aws.s3, NOW)
    assert document.video.size_bytes is None
    assert not publish(aws.channels, document, edition).superseded
