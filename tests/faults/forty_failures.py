"""The largest plan, all of it failing: the real definition and the real functions on moto.

ValidateVideo and ExtractMedia are not run: what they would answer for ten ranges of a video with
the longest key is given. Waits and retries are cut to nothing.

    python -m tests.faults.forty_failures ANSWER_FILE
"""

import contextlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from awslambdaric.bootstrap import build_fault_result

from functions.validate_video.ranges import plan_ranges
from local.async_inference.service import Response
from local.lambda_runtime.service import InvokeResult
from screener import aws, identity, storage
from screener.messages import (
    ExtractedRange,
    ExtractionTask,
    ScreeningJob,
    ValidationTask,
    VideoDescription,
)
from screener.observations import Analyzer
from screener.sampling import Sampling
from tests.aws_stand_in import BUS, MEDIA_BUCKET, TABLE, WORK_BUCKET, make_videos_table
from tests.faults.six_hours import serving
from tests.local_stack import REPOSITORY

HOSTILE = '\x00"\\\N{COLLISION SYMBOL}'
"""Characters that take several bytes each in JSON, and more where JSON lies within JSON."""
LONG = HOSTILE * 2_000
LONGEST_VALUE = "v" * 1_024
"""InvokeEndpointAsync's longest parameters; a refusal repeats them."""
MODES = ("refused", "failed", "raised")
"""By StartAnalysis; by the endpoint; an error in CollectResult."""
CONTEXT = SimpleNamespace(
    function_name="any",
    memory_limit_in_mb=1769,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:any",
    aws_request_id="00000000-0000-0000-0000-000000000000",
    get_remaining_time_in_millis=lambda: 60_000,
)


def validated(event: dict[str, Any], _: object) -> dict[str, Any]:
    task = ValidationTask.model_validate(event)
    sampling = Sampling()
    return ScreeningJob(
        video_id=identity.video_id(task.request.bucket, task.request.key, "v1"),
        video=VideoDescription(
            bucket=task.request.bucket,
            key=task.request.key,
            version_id="v" * 1_024,
            etag="e" * 40,
            size_bytes=10**12,
            duration_ms=21_600_000,
            container="mov,mp4,m4a,3gp,3g2,mj2",
            codecs=["h264", "aac"],
            width=3840,
            height=2160,
            frame_rate="30000/1001",
            has_audio=True,
        ),
        last_modified="2026-11-01T00:00:00+00:00",
        sampling=sampling,
        sampling_id=sampling.sampling_id,
        ranges=plan_ranges(21_600_000, 900, seekable=True),
        execution_arn=task.execution_arn,
        started_at="2026-11-01T00:00:01+00:00",
    ).model_dump(mode="json")


def extracted(event: dict[str, Any], _: object) -> dict[str, Any]:
    task = ExtractionTask.model_validate(event)
    place = task.job.video_id, task.job.sampling_id, task.range.chunk
    return ExtractedRange(
        chunk=task.range.chunk,
        frames_key=storage.frames_key(*place),
        frame_count=2_160,
        audio_key=storage.audio_key(*place),
        audio_skipped=None,
        audio_start_ms=task.range.start_ms,
        audio_duration_ms=2_160_000,
        losses={"corrupt_frames": 10_000, "corrupt_packets": 10_000},
    ).model_dump(mode="json")


class Functions:
    """Runs handlers as Lambda's runtime does, errors included."""

    def __init__(self) -> None:
        # Here, because Powertools reads the environment when a handler is imported.
        from functions.aggregate_results.handler import lambda_handler as aggregate
        from functions.await_redrive.handler import lambda_handler as await_redrive
        from functions.collect_result.handler import lambda_handler as collect
        from functions.plan_analyses.handler import lambda_handler as plan

        self._handlers: dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]] = {
            "ValidateVideo": validated,
            "ExtractMedia": extracted,
            "PlanAnalyses": plan,
            "CollectResult": collect,
            "AggregateResults": aggregate,
            "AwaitRedrive": await_redrive,
        }

    def invoke(self, name: str, payload: bytes) -> InvokeResult:
        try:
            answer = self._handlers[name](json.loads(payload), CONTEXT)
        except Exception:  # noqa: BLE001 - Lambda reports them all
            fault = build_fault_result(sys.exc_info(), None)
            return InvokeResult(json.dumps(fault).encode(), "Unhandled")
        return InvokeResult(json.dumps(answer).encode(), None)


class Endpoints:
    """Takes every request and fails it, or refuses it."""

    refuses = False

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def invoke(self, _: str, headers: Any) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}
        identity = sent["x-amzn-sagemaker-inference-id"]
        if self.refuses:
            told = f"3 validation errors detected: {LONGEST_VALUE} {LONGEST_VALUE} {LONGEST_VALUE}"
            refusal = {"__type": "ValidationException", "message": told}
            return Response(
                400, {"x-amzn-ErrorType": "ValidationException"}, json.dumps(refusal).encode()
            )
        failure = f"async/failure/{identity}-error.out"
        self._s3.put_object(Bucket=WORK_BUCKET, Key=failure, Body=LONG.encode())
        locations = {
            "X-Amzn-SageMaker-OutputLocation": f"s3://{WORK_BUCKET}/async/output/{identity}.out",
            "X-Amzn-SageMaker-FailureLocation": f"s3://{WORK_BUCKET}/{failure}",
        }
        return Response(202, locations, json.dumps({"InferenceId": identity}).encode())

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        raise NotImplementedError


def definition() -> str:
    """The walk of one video; waits and retries cut to nothing."""
    text = (REPOSITORY / "statemachine" / "screening.asl.json").read_text()
    for name in ("ValidateVideo", "RejectVideo", "ExtractMedia", "PlanAnalyses", "CollectResult",
                 "AggregateResults", "AwaitRedrive"):  # fmt: skip
        text = text.replace(
            f"${{{name}FunctionArn}}", f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        )
    return json.dumps(_hurried(json.loads(text)))


def _hurried(node: Any) -> Any:
    if isinstance(node, list):
        return [_hurried(one) for one in node]
    if not isinstance(node, dict):
        return node
    hurried = {key: _hurried(value) for key, value in node.items() if key != "Retry"}
    if hurried.pop("SecondsPath", None):
        hurried["Seconds"] = 0
    return hurried


def run(client: Any, machine: str, mode: str) -> dict[str, Any]:
    """One execution: how it ended, and the largest payload of each kind of event, in bytes."""
    suffix = f"{mode}.mp4"
    key = ("uploads/" + '"' * 1_024)[: 1_024 - len(suffix)] + suffix
    arn = client.start_execution(
        stateMachineArn=machine,
        name=mode.ljust(80, "n"),
        input=json.dumps({"bucket": MEDIA_BUCKET, "key": key}),
    )["executionArn"]
    deadline = time.monotonic() + 60
    while (ended := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    largest: dict[str, int] = defaultdict(int)
    iterations = 0
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    for event in (event for page in pages for event in page["events"]):
        iterations += event["type"] == "MapIterationStarted"
        for details in (value for value in event.values() if isinstance(value, dict)):
            for field in ("input", "output", "parameters"):
                if text := details.get(field):
                    place = f"{details.get('name', event['type'])} {field}"
                    largest[place] = max(largest[place], _json_bytes(text))
    return {"error": ended.get("error"), "largest": largest, "iterations": iterations, "key": key}


def _json_bytes(text: str) -> int:
    # moto writes non-ASCII characters as escapes; the limit counts UTF-8.
    return len(json.dumps(json.loads(text), ensure_ascii=False).encode())


def main(answer: Path) -> None:
    with serving() as (gateway, url):
        digest = "0" * 64
        analyzers = {
            name.value: {"endpoint": f"screener-{name.value}".ljust(63, "x"),
                         "packs": f"s3://{WORK_BUCKET}/packs/{digest}/", "instance_type": "local"}
            for name in Analyzer
        }  # fmt: skip
        os.environ |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "WORK_BUCKET": WORK_BUCKET,
            "TABLE_NAME": TABLE,
            "EVENT_BUS_NAME": BUS,
            "ANALYZERS": json.dumps(analyzers),
            "REQUEST_TTL_SECONDS": "21600",
            "INVOCATION_TIMEOUT_SECONDS": "3600",
            "POWERTOOLS_SERVICE_NAME": "screener",
            "POWERTOOLS_LOG_LEVEL": "CRITICAL",
            "POWERTOOLS_METRICS_NAMESPACE": "Screener",
        }
        s3 = aws.s3()
        for bucket in (MEDIA_BUCKET, WORK_BUCKET):
            s3.create_bucket(Bucket=bucket)
        make_videos_table(aws.dynamodb())
        gateway.functions = Functions()
        gateway.endpoints = endpoints = Endpoints(s3)
        client = boto3.client("stepfunctions", endpoint_url=url)
        machine = client.create_state_machine(
            name="screening", definition=definition(), roleArn="arn:aws:iam::123456789012:role/any"
        )["stateMachineArn"]
        runs = {}
        for mode in MODES:
            endpoints.refuses = mode == "refused"
            if mode == "raised":
                s3.meta.events.register("before-call.s3.GetObject", _raise_for_failures)
            runs[mode] = found = run(client, machine, mode)
            place = {"Bucket": MEDIA_BUCKET, "Key": storage.document_key(found.pop("key"))}
            with contextlib.suppress(s3.exceptions.NoSuchKey):
                found["document"] = json.loads(s3.get_object(**place)["Body"].read())
    answer.write_text(json.dumps(runs))


def _raise_for_failures(params: dict[str, Any], **_: Any) -> None:
    if "/async/" in params["url_path"]:
        raise MemoryError(LONG)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
