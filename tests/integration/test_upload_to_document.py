"""From an object in S3 to the document beside it, through every part of the local stack."""

import json
import re
import time
from pathlib import Path

import pytest

from screener.document import AnalysisState, Decision, DocumentStatus
from screener.observations import Analyzer
from tests.local_stack import REPOSITORY, Stack
from tests.tiny_clips import sound_only, tiny_clip

SAMPLE = REPOSITORY / "assets" / "sample.mp4"


def test_a_video_with_speech_becomes_a_document_with_what_the_models_saw(stack: Stack) -> None:
    record = stack.wait(stack.upload("sample.mp4", SAMPLE.read_bytes()))
    document = stack.document(record)
    assert record.status == "SUCCEEDED"
    assert [step.name for step in record.progress.steps] == [
        "ValidateVideo",
        "ExtractRanges",
        "ExtractMedia",
        "PlanAnalyses",
        "AnalyzeMedia",
        "AggregateResults",
        "IsComplete",
        "Screened",
    ]
    # These two come from wheels, so they are here on every machine.
    for analyzer in (Analyzer.MODERATION, Analyzer.TRANSCRIPTION):
        assert document.analyses[analyzer].status is AnalysisState.COMPLETE
        assert document.analyses[analyzer].packs
    assert document.moderation is not None
    assert document.moderation.per_frame
    assert document.transcription is not None
    assert document.transcription.text.strip()
    assert document.sampling is not None
    assert document.sampling.frames_analyzed == len(document.moderation.per_frame)
    assert document.video.has_audio
    assert document.video.size_bytes == SAMPLE.stat().st_size
    assert document.pipeline.execution_arn == record.arn


def test_what_was_not_analysed_is_never_approved(stack: Stack) -> None:
    record = stack.wait(stack.upload("unseen.mp4", tiny_clip(seed=1)))
    document = stack.document(record)
    absent = [name for name in Analyzer if name not in stack.description.endpoints]
    for analyzer in absent:
        report = document.analyses[analyzer]
        assert report.status is AnalysisState.NOT_DEPLOYED
        assert report.action
    assert document.status is (DocumentStatus.PARTIAL if absent else DocumentStatus.COMPLETE)
    if absent or document.not_evaluated:
        assert document.verdict.decision is not Decision.APPROVE
        assert document.verdict.reasons


def test_the_document_lies_beside_the_video_and_starts_nothing(stack: Stack) -> None:
    name = stack.upload("beside/video.mov", tiny_clip(seed=2))
    record = stack.wait(name)
    assert record.progress.result is not None
    assert record.progress.result.document == (
        f"s3://{stack.description.media_bucket}/uploads/beside/video.moderation.json"
    )
    time.sleep(1)
    assert [one.name for one in stack.executions() if "beside/" in one.video_key] == [name]


def test_a_silent_video_is_complete_without_transcription(stack: Stack) -> None:
    record = stack.wait(stack.upload("silent.mp4", tiny_clip(audio=False, seed=3)))
    report = stack.document(record).analyses[Analyzer.TRANSCRIPTION]
    assert record.status == "SUCCEEDED"
    assert report.status is AnalysisState.SKIPPED
    assert report.reason == "no audio"


def test_a_duplicate_event_starts_no_second_execution(stack: Stack) -> None:
    name = stack.upload("once.mp4", tiny_clip(seed=4))
    record = stack.wait(name)
    detail = {
        "bucket": {"name": record.input["bucket"]},
        "object": {
            "key": record.input["key"],
            "version-id": record.input["version_id"],
            "etag": record.input["etag"],
            "sequencer": record.input["sequencer"],
        },
    }
    body = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    queue = stack.description.intake_queue
    for _ in range(3):
        stack.services.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(body))
    deadline = time.monotonic() + 20
    while stack.queued(queue) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stack.queued(queue) == 0
    assert [one.name for one in stack.executions() if "once.mp4" in one.video_key] == [name]


ODD_KEYS = [
    "a b  c.mp4",
    "plus+and&.MP4",
    "quotes'\".mp4",
    "日本語/é — 🎬.mp4",
    "percent%2Fslash.mp4",
]


def test_keys_of_every_kind_find_their_video_and_their_document(stack: Stack) -> None:
    names = {key: stack.upload(key, tiny_clip(seconds=0.5, seed=9)) for key in ODD_KEYS}
    for key, name in names.items():
        record = stack.wait(name)
        assert record.status == "SUCCEEDED", (key, record.error, record.cause)
        document = stack.document(record)
        assert document.video.key == f"uploads/{key}"
        assert record.progress.result is not None
        expected = re.sub(r"\.[^.]+$", ".moderation.json", f"uploads/{key}")
        assert record.progress.result.document.endswith(expected)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.mp4", b"", "empty_file"),
        ("text.mp4", b"#EXTM3U\nhttp://127.0.0.1/secret\n" * 40, None),
        ("noise.webm", bytes(range(256)) * 64, None),
        ("cut.mp4", tiny_clip(seconds=2, audio=True)[:2500], None),
        ("sound.mp4", sound_only(), "no_video_stream"),
    ],
)
def test_what_is_no_video_is_refused_with_a_document_and_without_retries(
    stack: Stack, name: str, content: bytes, code: str | None
) -> None:
    record = stack.wait(stack.upload(f"refused/{name}", content))
    document = stack.document(record)
    assert record.status == "SUCCEEDED"
    assert document.status is DocumentStatus.INVALID
    assert document.verdict.decision is not Decision.APPROVE
    (reason, *_) = document.verdict.reasons
    assert reason.detail
    if code is not None:
        assert reason.code == code
    assert all(step.retries <= 1 for step in record.progress.steps)
    assert "AnalyzeMedia" not in {step.name for step in record.progress.steps}


@pytest.mark.parametrize("key", ["elsewhere/clip.mp4", "uploads/notes.txt", "uploads/mp4"])
def test_other_objects_start_nothing(stack: Stack, key: str) -> None:
    bucket = stack.description.media_bucket
    stack.services.s3.put_object(Bucket=bucket, Key=key, Body=tiny_clip())
    # An upload after it has been through the whole intake: so has the one before it.
    stack.wait(stack.upload(f"after-{key.replace('/', '-')}.mp4", b""))
    assert key not in {one.video_key for one in stack.executions()}


def test_a_film_with_people_is_understood_by_every_analyzer_that_has_its_packs(
    stack: Stack, test_media: Path, model_mirror: Path
) -> None:
    video = test_media / "video" / "his_girl_friday_6s.mp4"
    document = stack.document(stack.wait(stack.upload("film.mp4", video.read_bytes())))
    assert document.status is DocumentStatus.COMPLETE
    assert document.faces is not None
    assert document.faces.total_faces_detected > 0
    assert document.objects is not None
    assert "person" in document.objects.detected_classes
    assert document.transcription is not None
    assert len(document.transcription.text.split()) > 5
