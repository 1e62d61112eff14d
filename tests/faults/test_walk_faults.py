"""Everything around one video fails once, each with its stated outcome."""

import contextlib
import json
import os
import signal
import threading
import time

import pytest
from botocore.exceptions import ClientError

from local.stack.queue_consumer import _POLL_SECONDS
from screener import storage
from screener.document import AnalysisState, Decision, Document, DocumentStatus
from screener.observations import Analyzer
from tests.faults.events import object_created
from tests.faults.faulty_stack import AwsFault
from tests.faults.scripted_stack import ScriptedStack, eventually
from tests.tiny_clips import tiny_clip


def error_of(document: Document, analyzer: Analyzer) -> str:
    report = document.analyses[analyzer]
    assert report.status in (AnalysisState.FAILED, AnalysisState.TIMED_OUT)
    assert report.error is not None
    return f"{report.error.type}: {report.error.message}"


@pytest.mark.parametrize(
    "modes",
    [
        {
            Analyzer.MODERATION: ("die", "EndpointFailure"),
            Analyzer.FACES: ("garbage", "InvalidObservations"),
            Analyzer.TRANSCRIPTION: ("hang", "EndpointFailure"),
            Analyzer.OBJECTS: ("wrong", "InvalidObservations"),
        },
        {
            Analyzer.MODERATION: ("cut", "EndpointFailure"),
            Analyzer.FACES: ("memory", "OutOfMemory"),
            Analyzer.TRANSCRIPTION: ("refuse", "InvalidBundle"),
            Analyzer.OBJECTS: ("short", "0 different frames"),
        },
    ],
    ids=["died-garbage-hung-wrong", "cut-memory-refused-short"],
)
def test_each_failing_server_is_named_none_harms_another_and_a_redrive_mends_all(
    scripted: ScriptedStack, modes: dict[Analyzer, tuple[str, str]]
) -> None:
    for analyzer, (mode, _) in modes.items():
        scripted.behave(analyzer, mode)
    key = f"modes-{len(str(modes))}.mp4"
    failed = scripted.screen(key, tiny_clip(audio=True, seed=len(str(modes))))
    document = scripted.document(failed)
    for analyzer, (_, told) in modes.items():
        assert told in error_of(document, analyzer)
    assert (failed.status, failed.error) == ("FAILED", "IncompleteAnalysis")
    assert document.verdict.decision is not Decision.APPROVE
    scripted.heal()
    mended = scripted.redrive(failed)
    assert mended.status == "SUCCEEDED", (mended.error, mended.cause)
    assert scripted.document(mended).status is DocumentStatus.COMPLETE


def test_observations_that_cannot_be_written_fail_their_analysis_only(
    scripted: ScriptedStack,
) -> None:
    scripted.fail_aws(
        AwsFault(method="PUT", path="/observations/.*/faces/", status=403, code="AccessDenied")
    )
    failed = scripted.screen("refused-write.mp4", tiny_clip(seed=70))
    document = scripted.document(failed)
    assert "AccessDenied" in error_of(document, Analyzer.FACES)
    assert document.analyses[Analyzer.OBJECTS].status is AnalysisState.COMPLETE
    scripted.heal()
    assert scripted.redrive(failed).status == "SUCCEEDED"


def test_a_document_that_cannot_be_written_fails_the_execution_and_a_redrive_writes_it(
    scripted: ScriptedStack,
) -> None:
    scripted.fail_aws(
        AwsFault(method="PUT", path=r"\.moderation\.json$", status=403, code="AccessDenied")
    )
    failed = scripted.screen("no-document.mp4", tiny_clip(seed=71))
    assert (failed.status, failed.error) == ("FAILED", "AccessDenied")
    scripted.heal()
    before = scripted.invocations(failed.name[-32:])
    assert scripted.redrive(failed).status == "SUCCEEDED"
    assert scripted.document_of("no-document.mp4").status is DocumentStatus.COMPLETE
    assert scripted.invocations(failed.name[-32:]) == before


def test_media_that_cannot_be_written_fails_the_execution_and_a_redrive_goes_on(
    scripted: ScriptedStack,
) -> None:
    scripted.fail_aws(AwsFault(method="PUT", path="/media/", status=403, code="AccessDenied"))
    failed = scripted.screen("no-media.mp4", tiny_clip(seed=72))
    assert (failed.status, failed.error) == ("FAILED", "AccessDenied")
    scripted.heal()
    assert scripted.redrive(failed).status == "SUCCEEDED"


def test_throttling_everywhere_and_a_slow_s3_delay_but_fail_nothing(
    scripted: ScriptedStack,
) -> None:
    scripted.fail_aws(
        AwsFault(target="DynamoDB", status=400, code="ThrottlingException", share=0.3, seed=1),
        AwsFault(target="AWSEvents", status=400, code="ThrottlingException", share=0.3, seed=2),
        # Twice each: the interpreter calls a throttled function's error "Exception", which is
        # retried twice, where Lambda's own name is retried six times.
        AwsFault(path="^/2015-03-31/functions/[^/]*validate", status=429,
                 code="TooManyRequestsException", times=2),
        AwsFault(path="^/2015-03-31/functions/[^/]*collect", status=429,
                 code="TooManyRequestsException", times=2),
        AwsFault(path="^/2015-03-31/functions/[^/]*aggregate", status=429,
                 code="TooManyRequestsException", times=2),
        AwsFault(path="/async-invocations$", status=429, code="ThrottlingException",
                 share=0.3, seed=4),
        AwsFault(path="^/[a-z-]+(media|work)", status=503, code="SlowDown", share=0.2, seed=5),
        AwsFault(method="GET", path="^/[a-z-]+(media|work)", delay_seconds=0.2),
    )  # fmt: skip
    record = scripted.screen("throttled.mp4", tiny_clip(audio=True, seed=73))
    assert record.status == "SUCCEEDED", (record.error, record.cause)
    assert scripted.document(record).status is DocumentStatus.COMPLETE


def test_functions_killed_while_they_run_are_tried_again(scripted: ScriptedStack) -> None:
    name = scripted.upload("killed.mp4", tiny_clip(audio=True, seed=74))
    # Before that, the function killed may be the intake's, and the message's timeout is long.
    for _ in eventually("the execution was started"):
        with contextlib.suppress(ClientError):
            scripted.stepfunctions.describe_execution(executionArn=scripted.arn(name))
            break
    killed: set[int] = set()
    for _ in eventually("four function processes were killed"):
        for process in scripted.processes("awslambdaric"):
            if process not in killed and len(killed) < 4:
                os.kill(process, signal.SIGKILL)
                killed.add(process)
        if len(killed) >= 4:
            break
    record = scripted.wait(name)
    assert record.status == "SUCCEEDED", (record.error, record.cause)


def test_a_broken_policy_fails_visibly_and_a_missing_one_is_the_preset(
    scripted: ScriptedStack,
) -> None:
    bucket = scripted.description.work_bucket
    scripted.s3.put_object(Bucket=bucket, Key=storage.POLICY_KEY, Body=b"rules: [")
    try:
        failed = scripted.screen("broken-policy.mp4", tiny_clip(seed=75))
    finally:
        scripted.s3.delete_object(Bucket=bucket, Key=storage.POLICY_KEY)
    assert (failed.status, failed.error) == ("FAILED", "InvalidPolicy")
    assert storage.POLICY_KEY in (failed.cause or "")
    before = scripted.invocations(failed.name[-32:])
    mended = scripted.redrive(failed)
    assert mended.status == "SUCCEEDED"
    assert scripted.document(mended).verdict.policy is not None
    assert scripted.invocations(failed.name[-32:]) == before


def test_a_corrupt_index_of_known_faces_costs_that_answer_and_no_more(
    scripted: ScriptedStack,
) -> None:
    bucket = scripted.description.work_bucket
    scripted.s3.put_object(Bucket=bucket, Key=storage.KNOWN_FACES_KEY, Body=b"PK\x03\x04 cut off")
    try:
        record = scripted.screen("corrupt-index.mp4", tiny_clip(seed=76))
    finally:
        scripted.s3.delete_object(Bucket=bucket, Key=storage.KNOWN_FACES_KEY)
    document = scripted.document(record)
    assert record.status == "SUCCEEDED"
    assert document.faces is not None
    assert document.faces.known_faces.status == "not_evaluated"
    assert document.verdict.decision is not Decision.APPROVE


def test_a_malformed_observation_in_the_store_is_made_anew_by_a_redrive(
    scripted: ScriptedStack,
) -> None:
    first = scripted.screen("malformed.mp4", tiny_clip(seed=77))
    document = scripted.document(first)
    (key,) = document.analyses[Analyzer.FACES].observation_keys
    scripted.s3.put_object(
        Bucket=scripted.description.work_bucket, Key=key, Body=b'{"analyzer": "faces"'
    )
    failed = scripted.start_again(first, "malformed-again")
    assert (failed.status, failed.error) == ("FAILED", "IncompleteAnalysis")
    assert "InvalidObservations" in error_of(scripted.document(failed), Analyzer.FACES)
    mended = scripted.redrive(failed)
    assert mended.status == "SUCCEEDED"
    assert scripted.invocations(first.name[-32:])[Analyzer.FACES] == 2
    assert scripted.invocations(first.name[-32:])[Analyzer.OBJECTS] == 1


def test_media_that_expired_is_told_and_extracted_again_by_a_new_execution(
    scripted: ScriptedStack,
) -> None:
    scripted.behave(Analyzer.FACES, "error")
    failed = scripted.screen("expired.mp4", tiny_clip(seed=78))
    for key in scripted.work_keys(f"media/{failed.name[-32:]}/"):
        scripted.s3.delete_object(Bucket=scripted.description.work_bucket, Key=key)
    scripted.heal()
    again = scripted.redrive(failed)
    assert again.status == "FAILED"
    assert "frames-0000.tar" in error_of(scripted.document(again), Analyzer.FACES)
    mended = scripted.start_again(failed, "expired-again")
    assert mended.status == "SUCCEEDED"
    assert scripted.invocations(failed.name[-32:])[Analyzer.OBJECTS] == 1


def test_an_execution_that_was_stopped_goes_on_when_redriven(scripted: ScriptedStack) -> None:
    scripted.behave(Analyzer.MODERATION, "hang")
    name = scripted.upload("stopped.mp4", tiny_clip(seed=79))
    for _ in eventually("the analysis has begun"):
        if scripted.invocations(name[-32:])[Analyzer.MODERATION]:
            break
    scripted.stepfunctions.stop_execution(executionArn=scripted.arn(name))
    stopped = scripted.wait(name)
    # moto's interpreter stumbles over a stop inside a Map and says FAILED where AWS says ABORTED.
    assert stopped.status in ("ABORTED", "FAILED")
    scripted.heal()
    assert scripted.redrive(stopped).status == "SUCCEEDED"
    assert scripted.document_of("stopped.mp4").status is DocumentStatus.COMPLETE


def test_a_video_deleted_before_its_turn_fails_and_says_so(scripted: ScriptedStack) -> None:
    # Nobody gets to look at it before it is gone.
    scripted.fail_aws(AwsFault(path=r"gone\.mp4$", status=503, code="SlowDown"))
    name = scripted.upload("gone.mp4", tiny_clip(seed=80))
    for _ in eventually("the execution has started"):
        with contextlib.suppress(scripted.stepfunctions.exceptions.ExecutionDoesNotExist):
            scripted.stepfunctions.describe_execution(executionArn=scripted.arn(name))
            break
    bucket = scripted.description.media_bucket
    key = f"{scripted.description.upload_prefix}gone.mp4"
    for version in scripted.s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]:
        scripted.s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    scripted.heal()
    record = scripted.wait(name)
    assert (record.status, record.error) == ("FAILED", "VideoUnavailable")


def test_an_event_that_can_never_be_started_ends_in_the_dead_letter_queue(
    scripted: ScriptedStack,
) -> None:
    description = scripted.description
    before = scripted.sqs.get_queue_attributes(
        QueueUrl=description.intake_queue, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
    )["Attributes"]
    quick = {**json.loads(before["RedrivePolicy"]), "maxReceiveCount": 2}
    scripted.sqs.set_queue_attributes(
        QueueUrl=description.intake_queue,
        Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(quick)},
    )
    key = f"{description.upload_prefix}forged.mp4"
    forged = object_created({"bucket": "somebody-elses-bucket", "key": key, "version_id": "1"})
    try:
        time.sleep(_POLL_SECONDS + 0.5)  # a poll that has begun keeps the timeout it began with
        scripted.sqs.send_message(QueueUrl=description.intake_queue, MessageBody=forged)
        for _ in eventually("the message is in the dead-letter queue"):
            if scripted.queued(description.dead_letter_queue):
                break
    finally:
        scripted.sqs.set_queue_attributes(QueueUrl=description.intake_queue, Attributes=before)
    assert not [one for one in scripted.executions() if one.video_key == key]


def test_requests_of_several_videos_survive_a_server_that_dies_between_them(
    scripted: ScriptedStack,
) -> None:
    names = [scripted.upload(f"between-{seed}.mp4", tiny_clip(seed=seed)) for seed in (81, 82)]
    threading.Event().wait(0.2)
    for process in scripted.processes("-m tests.faults.scripted_server"):
        os.kill(process, signal.SIGKILL)
    records = [scripted.wait(name) for name in names]
    for record in records:
        assert record.status == "SUCCEEDED" or scripted.redrive(record).status == "SUCCEEDED"
