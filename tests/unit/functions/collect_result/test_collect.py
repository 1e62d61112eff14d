from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from functions.collect_result.collect import collect
from screener.messages import AnalysisItem, AnalysisStarted, CollectTask, PollState
from screener.observations import Analyzer, ModerationObservations

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
OBSERVATIONS = ModerationObservations(
    packs=[], provider="CPU", timings_ms={"total": 5.0}, detector_labels=["FACE_FEMALE"], frames=[]
)


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="work")
        yield client


def task(elapsed_seconds: float = 3, polls: int = 0) -> CollectTask:
    return CollectTask(
        item=AnalysisItem(
            analyzer=Analyzer.MODERATION,
            chunk=0,
            endpoint_name="screener-moderation",
            input_location="s3://work/media/frames.tar",
            content_type="application/x-tar",
            custom_attributes="{}",
            inference_id="a" * 64,
            observation_key="observations/v/moderation/a/0000.json",
            request_ttl_seconds=600,
            invocation_timeout_seconds=60,
            poll_growth=0.1,
        ),
        started=AnalysisStarted(
            output_location="s3://work/async/output/1.out",
            failure_location="s3://work/async/failure/1-error.out",
            started_at=(NOW - timedelta(seconds=elapsed_seconds))
            .isoformat()
            .replace("+00:00", "Z"),
        ),
        poll=PollState(polls=polls),
    )


def stored(s3) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="work").get("Contents", [])]


def test_neither_output_nor_failure_means_wait_again(s3):
    result = collect(task(), s3, "work", NOW)
    assert (result.status, result.polls, result.error) == ("running", 1, None)


def test_a_result_that_is_late_is_looked_for_soon_after_its_expected_end(s3):
    asked = task(elapsed_seconds=48)
    asked = asked.model_copy(
        update={"item": asked.item.model_copy(update={"expected_seconds": 45})}
    )
    assert collect(asked, s3, "work", NOW).wait_seconds == 4
    unexpected = task(elapsed_seconds=48)
    assert collect(unexpected, s3, "work", NOW).wait_seconds == 5


def test_a_result_costs_one_request_to_find_and_to_read(s3):
    s3.put_object(
        Bucket="work", Key="async/output/1.out", Body=OBSERVATIONS.model_dump_json().encode()
    )
    seen = []
    s3.meta.events.register("before-call.s3", lambda model, **_: seen.append(model.name))
    collect(task(), s3, "work", NOW)
    assert seen == ["GetObject", "PutObject"]


def test_a_valid_output_is_stored_as_observations(s3):
    s3.put_object(
        Bucket="work", Key="async/output/1.out", Body=OBSERVATIONS.model_dump_json().encode()
    )
    assert collect(task(), s3, "work", NOW).status == "succeeded"
    body = s3.get_object(Bucket="work", Key="observations/v/moderation/a/0000.json")["Body"].read()
    assert ModerationObservations.model_validate_json(body) == OBSERVATIONS


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"<html>502</html>",
        b"{}",
        b"[]",
        b"\xff\xfe\x00",
        OBSERVATIONS.model_copy(update={"chunk": 3}).model_dump_json().encode(),
        OBSERVATIONS.model_dump_json().replace('"moderation"', '"faces"').encode(),
    ],
)
def test_an_output_that_is_no_observation_is_a_failure_and_is_not_stored(s3, output):
    s3.put_object(Bucket="work", Key="async/output/1.out", Body=output)
    result = collect(task(), s3, "work", NOW)
    assert result.status == "failed"
    assert result.error.type == "InvalidObservations"
    assert stored(s3) == ["async/output/1.out"]


def test_a_failure_object_is_a_failure_with_its_text(s3):
    s3.put_object(
        Bucket="work", Key="async/failure/1-error.out", Body="out of memory \U0001f4a5".encode()
    )
    result = collect(task(), s3, "work", NOW)
    assert result.status == "failed"
    assert "out of memory" in result.error.message


def test_a_huge_failure_text_does_not_grow_the_state(s3):
    s3.put_object(Bucket="work", Key="async/failure/1-error.out", Body=b"x" * 500_000)
    assert len(collect(task(), s3, "work", NOW).error.message) <= 2_000


def test_a_late_output_still_counts_after_the_deadline(s3):
    s3.put_object(
        Bucket="work", Key="async/output/1.out", Body=OBSERVATIONS.model_dump_json().encode()
    )
    assert collect(task(elapsed_seconds=10_000), s3, "work", NOW).status == "succeeded"


def test_silence_beyond_queueing_and_invocation_times_out(s3):
    assert collect(task(elapsed_seconds=719), s3, "work", NOW).status == "running"
    assert collect(task(elapsed_seconds=721), s3, "work", NOW).status == "timed_out"


def test_a_refusal_by_s3_is_an_error_and_not_taken_for_patience(s3):
    lost = task().model_copy(
        update={"started": task().started.model_copy(update={"output_location": "s3://gone/1.out"})}
    )
    with pytest.raises(ClientError, match="NoSuchBucket"):
        collect(lost, s3, "work", NOW)


def test_an_answer_that_leaves_frames_out_is_a_failure_and_is_not_stored(s3):
    asked = task()
    asked = asked.model_copy(update={"item": asked.item.model_copy(update={"frame_count": 3})})
    s3.put_object(
        Bucket="work", Key="async/output/1.out", Body=OBSERVATIONS.model_dump_json().encode()
    )
    result = collect(asked, s3, "work", NOW)
    assert result.status == "failed"
    assert result.error.type == "InvalidObservations"
    assert "0 different frames" in result.error.message
    assert "3 frames were extracted" in result.error.message
    assert stored(s3) == ["async/output/1.out"]


@pytest.mark.parametrize("skew_seconds", [-30, -86_400])
def test_a_clock_behind_the_state_machines_only_waits_a_second(s3, skew_seconds):
    result = collect(task(elapsed_seconds=skew_seconds), s3, "work", NOW)
    assert (result.status, result.wait_seconds) == ("running", 1)


def test_a_clock_ahead_by_less_than_the_grace_ends_nothing(s3):
    assert collect(task(elapsed_seconds=600 + 60 + 59), s3, "work", NOW).status == "running"
