"""The service with real model-server processes and real S3, SNS and CloudWatch calls."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from local.async_inference.errors import EndpointNotFound
from local.async_inference.request import INPUT_LOCATION, OUTPUT_LOCATION
from local.async_inference.service import AsyncInferenceService, EndpointSpec
from tests.async_inference.bench import (
    BUCKET,
    REGION,
    Bench,
    client,
    eventually,
    garbage_command,
    server_command,
)


def instances(service: AsyncInferenceService) -> tuple[int, int]:
    variant = service.describe_endpoint("endpoint")["ProductionVariants"][0]
    return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# The way of a request.


def test_a_request_is_accepted_at_once_and_ends_with_one_output(bench: Bench) -> None:
    service = bench.start(server_command("slow", "0.5"))
    assert instances(service) == (0, 0)
    began = time.monotonic()
    response = bench.invoke(
        service,
        X_Amzn_SageMaker_Inference_Id="request-1",
        X_Amzn_SageMaker_Accept="application/json",
    )
    assert time.monotonic() - began < 0.2
    assert json.loads(response.body) == {"InferenceId": "request-1"}
    result = bench.output(response)
    assert result["size"] == len(b"frames")
    assert result["content_type"] == "application/x-tar"  # the object's
    assert result["accept"] == "application/json"
    assert result["inference_id"] == "request-1"
    assert result["transfer_encoding"] is None
    stored = bench.read(response.headers[OUTPUT_LOCATION])
    assert stored
    assert stored["ContentType"] == "application/json"
    assert eventually(lambda: service.metrics()["endpoint"].processed == 1)


def test_the_content_type_of_the_request_wins(bench: Bench) -> None:
    service = bench.start(server_command("ready"))
    response = bench.invoke(service, X_Amzn_SageMaker_Content_Type="audio/flac")
    assert bench.output(response)["content_type"] == "audio/flac"


def test_a_large_input_passes(bench: Bench) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="large.tar", Body=bytes(30_000_000))
    service = bench.start(server_command("ready"))
    assert bench.output(bench.invoke(service, key="large.tar"))["size"] == 30_000_000


def test_a_server_that_refuses_before_it_has_read_everything_is_quoted(bench: Bench) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="large.tar", Body=bytes(30_000_000))
    service = bench.start(server_command("ready"))
    reason = bench.failure(bench.invoke(service, "refuse 413", key="large.tar"))
    assert "Received client error (413)" in reason
    assert "not a tar" in reason


def test_the_input_is_read_when_an_instance_takes_the_request(bench: Bench) -> None:
    service = bench.start(server_command("slow", "1"))
    response = bench.invoke(service, key="late.tar")
    bench.s3.put_object(Bucket=BUCKET, Key="late.tar", Body=b"here now")
    assert bench.output(response)["size"] == 8


def test_the_users_credentials_do_not_reach_a_model_server(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the user")
    service = bench.start(server_command("ready"))
    assert bench.output(bench.invoke(service))["secret"] is None


def test_refusals_have_the_shape_of_the_api(bench: Bench) -> None:
    service = bench.start(server_command("ready"))
    for name, headers, reason in [
        ("endpoint", {}, "InputLocation is missing"),
        ("nobody", {INPUT_LOCATION: "s3://b/k"}, "Endpoint nobody of account"),
    ]:
        response = service.invoke(name, headers)
        assert response.status == 400
        assert response.headers["x-amzn-errortype"] == "ValidationError"
        assert reason in json.loads(response.body)["Message"]
    with pytest.raises(EndpointNotFound, match="nobody"):
        service.describe_endpoint("nobody")
    assert service.metrics()["endpoint"].backlog == 0


# Failures: each ends with one failure object, and the next request is served.


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (
            "refuse 400",
            'Received client error (400) from model with message "{"error":"unreadable"',
        ),
        ("refuse 500", "Received server error (500) from model"),
        ("die 9", "was ended by signal 9 while handling the request"),
        ("cut", "was ended by signal 9 while handling the request"),
    ],
)
def test_a_failed_request_harms_no_other(bench: Bench, order: str, reason: str) -> None:
    service = bench.start(server_command("ready"))
    failing, following = bench.invoke(service, order), bench.invoke(service)
    assert reason in bench.failure(failing)
    assert bench.output(following)["size"] == 6
    assert eventually(lambda: service.metrics()["endpoint"].processed == 1)
    assert service.metrics()["endpoint"].failed == 1


@pytest.mark.parametrize("order", ["sleep 60", "drip"])
def test_an_invocation_that_takes_too_long_fails_and_its_instance_is_replaced(
    bench: Bench, order: str
) -> None:
    service = bench.start(server_command("ready"))
    healthy = bench.output(bench.invoke(service))
    slow = bench.invoke(service, order, X_Amzn_SageMaker_InvocationTimeoutSeconds="1")
    following = bench.invoke(service)
    assert "within 1 seconds (InvocationTimeoutSeconds)" in bench.failure(slow)
    assert bench.output(following)["pid"] != healthy["pid"]
    assert eventually(lambda: not is_running(healthy["pid"]))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("noise", "BadStatusLine"),
        ("endless", "neither a Content-Length nor chunks"),
        ("redirect", "Received server error (302)"),
    ],
)
def test_an_answer_that_is_no_result_is_a_failure(bench: Bench, kind: str, reason: str) -> None:
    service = bench.start(garbage_command(kind))
    assert reason in bench.failure(bench.invoke(service))


def test_a_missing_input_is_a_failure_that_names_it(bench: Bench) -> None:
    service = bench.start(server_command("ready"))
    reason = bench.failure(bench.invoke(service, key="nowhere.tar"))
    assert f"s3://{BUCKET}/nowhere.tar" in reason
    assert "NoSuchKey" in reason


def test_an_output_that_s3_refuses_is_a_failure(bench: Bench, aws_url: str, tmp_path: Path) -> None:
    spec = EndpointSpec(
        name="endpoint",
        command=server_command("ready"),
        environment={},
        output_uri="s3://no-such-bucket/async",
        failure_uri=f"s3://{BUCKET}/async/failure",
    )
    service = AsyncInferenceService([spec], endpoint_url=aws_url, region=REGION, log_dir=tmp_path)
    try:
        reason = bench.failure(bench.invoke(service))
        assert "Cannot write output s3://no-such-bucket/async/" in reason
    finally:
        service.close()


def test_requests_expire_in_the_queue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    service = bench.start(server_command("ready"))
    busy = bench.invoke(service, "sleep 2")
    assert eventually(lambda: service.metrics()["endpoint"].in_progress == 1)
    # The API's shortest is a minute; the queue itself knows no minimum.
    monkeypatch.setattr("local.async_inference.request._number", lambda *_: 0.3)
    began = time.monotonic()
    late = bench.invoke(service)
    assert "expired after 0.3 seconds" in bench.failure(late)
    assert time.monotonic() - began < 1.5
    assert bench.output(busy)["size"] == 6
    assert service.metrics()["endpoint"].expired == 1
    assert service.metrics()["endpoint"].failed == 1


# Instances.


def test_a_server_that_never_starts_fails_the_requests_and_says_why(bench: Bench) -> None:
    service = bench.start(server_command("dead"))
    responses = [bench.invoke(service) for _ in range(2)]
    for response in responses:
        reason = bench.failure(response)
        assert "could be started in 3 attempts" in reason
        assert "exited with status 1 before it was healthy" in reason
        assert "no weights in /opt/ml/model" in reason
    assert instances(service) == (0, 0)


def test_a_server_that_is_never_healthy_fails_the_requests(bench: Bench) -> None:
    service = bench.start(server_command("deaf"), startup_timeout_seconds=0.7)
    assert "did not answer /ping within 0.7 s" in bench.failure(bench.invoke(service))


def test_a_program_that_does_not_exist_fails_the_requests(bench: Bench) -> None:
    service = bench.start(["/nowhere/python"])
    assert "cannot run '/nowhere/python'" in bench.failure(bench.invoke(service))


def test_an_endpoint_that_was_mended_serves_the_next_request(bench: Bench) -> None:
    weights = bench.folder / "weights"
    service = bench.start(server_command("once", str(weights)))
    bench.failure(bench.invoke(service))
    weights.touch()
    assert bench.output(bench.invoke(service))["size"] == 6


def test_an_idle_endpoint_goes_to_zero_and_wakes_again(bench: Bench) -> None:
    service = bench.start(server_command("ready"), scale_in_after_seconds=0.3)
    first = bench.output(bench.invoke(service))
    assert eventually(lambda: instances(service) == (0, 0))
    assert eventually(lambda: not is_running(first["pid"]))
    assert bench.output(bench.invoke(service))["pid"] != first["pid"]


def test_a_request_in_progress_is_never_scaled_in(bench: Bench) -> None:
    service = bench.start(
        server_command("ready"), scale_in_after_seconds=0.1, max_concurrent_invocations=2
    )
    response = bench.invoke(service, "sleep 1.5")
    assert bench.output(response)["size"] == 6


def test_the_backlog_brings_instances_up_to_the_maximum(bench: Bench) -> None:
    service = bench.start(server_command("ready"), max_instances=2)
    responses = [bench.invoke(service, "sleep 0.7") for _ in range(4)]
    metrics = service.metrics()["endpoint"]
    assert metrics.backlog == 4
    assert metrics.has_backlog_without_capacity
    assert metrics.backlog_per_instance is None
    assert eventually(lambda: instances(service) == (2, 2))
    assert len({bench.output(response)["pid"] for response in responses}) == 2


def test_one_instance_takes_as_many_requests_as_allowed(bench: Bench) -> None:
    service = bench.start(server_command("ready"), max_concurrent_invocations=3)
    pid = bench.output(bench.invoke(service))["pid"]
    began = time.monotonic()
    responses = [bench.invoke(service, "sleep 0.8") for _ in range(3)]
    assert {bench.output(response)["pid"] for response in responses} == {pid}
    assert time.monotonic() - began < 1.6


def test_the_minimum_is_kept_running_and_replaced_when_it_dies(bench: Bench) -> None:
    service = bench.start(server_command("ready"), min_instances=1)
    assert eventually(lambda: instances(service) == (1, 1))
    pid = bench.output(bench.invoke(service))["pid"]
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_running(pid))
    assert eventually(lambda: instances(service) == (1, 1))
    assert bench.output(bench.invoke(service))["pid"] != pid


def test_close_fails_what_is_unfinished_and_leaves_no_process_or_thread(bench: Bench) -> None:
    threads = threading.active_count()
    service = bench.start(server_command("ready"))
    pid = bench.output(bench.invoke(service))["pid"]
    running, waiting = bench.invoke(service, "sleep 60"), bench.invoke(service)
    # One alone could still be the request before, whose output is there already.
    assert eventually(lambda: _standing(service) == (1, 1))
    began = time.monotonic()
    service.close()
    assert time.monotonic() - began < 5
    assert "was ended by signal 9" in bench.failure(running)
    assert "was deleted" in bench.failure(waiting)
    assert not is_running(pid)
    assert eventually(lambda: threading.active_count() <= threads)
    assert service.invoke("endpoint", {INPUT_LOCATION: "s3://b/k"}).status == 503


def _standing(service: AsyncInferenceService) -> tuple[int, int]:
    """(in progress, queued)"""
    now = service.metrics()["endpoint"]
    return now.in_progress, now.queued


# What others are told.


def test_results_are_announced_on_the_topics(bench: Bench, aws_url: str) -> None:
    sns, sqs = client("sns", aws_url), client("sqs", aws_url)
    topics, queues = [], []
    for name in ("success", "error"):
        topics.append(sns.create_topic(Name=name)["TopicArn"])
        queues.append(sqs.create_queue(QueueName=name)["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=queues[-1], AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topics[-1], Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    service = bench.start(
        server_command("ready"), success_topic_arn=topics[0], error_topic_arn=topics[1]
    )
    good = bench.invoke(service, X_Amzn_SageMaker_Inference_Id="good")
    bad = bench.invoke(service, "refuse 500", X_Amzn_SageMaker_Inference_Id="bad")
    completed, failed = (_received(sqs, queue) for queue in queues)
    assert completed["invocationStatus"] == "Completed"
    assert completed["inferenceId"] == "good"
    assert completed["eventName"] == "InferenceResult"
    assert completed["responseParameters"]["outputLocation"] == good.headers[OUTPUT_LOCATION]
    assert failed["invocationStatus"] == "Failed"
    assert failed["inferenceId"] == "bad"
    assert "Received server error (500)" in failed["failureReason"]
    assert failed["requestParameters"]["inputLocation"] == f"s3://{BUCKET}/in.tar"
    assert "responseParameters" not in failed
    bench.failure(bad)


def _received(sqs: Any, queue: str) -> dict[str, Any]:
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    assert len(messages) == 1
    return json.loads(json.loads(messages[0]["Body"])["Message"])


def test_metrics_reach_cloudwatch(bench: Bench, aws_url: str) -> None:
    service = bench.start(server_command("ready"), metrics_interval_seconds=0.2)
    bench.failure(bench.invoke(service, "refuse 500"))
    cloudwatch = client("cloudwatch", aws_url)

    def failures() -> float:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="InvocationFailures",
            Dimensions=[{"Name": "EndpointName", "Value": "endpoint"}],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 3600,
            Period=86400,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    assert eventually(lambda: failures() >= 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_instances": 2},
        {"min_instances": -1},
        {"max_instances": 0},
        {"max_concurrent_invocations": 0},
    ],
)
def test_scaling_numbers_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        EndpointSpec("endpoint", ["true"], {}, "s3://b/o", "s3://b/f", **wrong)


def test_an_endpoint_without_a_proper_output_uri_is_refused(tmp_path: Path, aws_url: str) -> None:
    spec = EndpointSpec("endpoint", ["true"], {}, "output", "s3://b/f")
    with pytest.raises(ValueError, match="output"):
        AsyncInferenceService([spec], endpoint_url=aws_url, region=REGION, log_dir=tmp_path)
