"""Six hours in the queue: the real definition and the real CollectResult on simulated time.

moto's interpreter runs the AnalyzeMedia map of statemachine/screening.asl.json. Only its waits
are cut to nothing, and the clock of CollectResult moves by what each would have waited.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto.core.config import default_user_config

from functions.collect_result.collect import collect
from local.async_inference.service import Response
from local.lambda_runtime.service import InvokeResult
from local.stack.gateway import HOST, Gateway, serve
from screener.messages import AnalysisItem, CollectTask, PollState
from screener.observations import Analyzer
from screener.polling import first_wait_seconds
from tests.local_stack import REPOSITORY

BUCKET = "six-hours"
QUEUED_SECONDS = 6 * 3_600
START = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedPolls:
    """CollectResult's code on a clock that moves by the waits it asks for; the result of each
    request is there after `ready_seconds`."""

    def __init__(self, s3: Any, ready_seconds: float) -> None:
        self._s3 = s3
        self._ready_seconds = ready_seconds
        self._clocks: dict[str, float] = {}
        self.noticed_after: list[float] = []

    def invoke(self, _: str, payload: bytes) -> InvokeResult:
        task = CollectTask.model_validate_json(payload)
        task = task.model_copy(
            update={"started": task.started.model_copy(update={"started_at": START.isoformat()})}
        )
        identity = task.item.inference_id
        elapsed = self._clocks.get(identity, 0.0) + task.poll.wait_seconds
        self._clocks[identity] = elapsed
        if elapsed >= self._ready_seconds:
            key = task.started.failure_location.removeprefix(f"s3://{BUCKET}/")
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=b"served in the end")
            self.noticed_after.append(elapsed)
        result = collect(task, self._s3, BUCKET, START + timedelta(seconds=elapsed))
        return InvokeResult(result.model_dump_json().encode(), None)


class Queues:
    """Accepts every request, as the async-inference service does."""

    def invoke(self, _: str, headers: Any) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}
        identity = sent["x-amzn-sagemaker-inference-id"]
        locations = {
            "X-Amzn-SageMaker-OutputLocation": f"s3://{BUCKET}/{identity}.out",
            "X-Amzn-SageMaker-FailureLocation": f"s3://{BUCKET}/{identity}-error.out",
        }
        return Response(202, locations, json.dumps({"InferenceId": identity}).encode())

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        raise NotImplementedError


@contextmanager
def serving() -> Iterator[tuple[Gateway, str]]:
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    gateway = Gateway()
    server = serve(gateway, 0)
    os.environ["MOTO_PORT"] = str(server.port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield gateway, f"http://{HOST}:{server.port}"
    server.shutdown()
    server.server_close()


def analyze_media() -> dict[str, Any]:
    """The map alone, its waits cut to nothing."""
    definition = json.loads((REPOSITORY / "statemachine" / "screening.asl.json").read_text())
    state = definition["States"]["AnalyzeMedia"]
    inner = state["ItemProcessor"]["States"]
    inner["WaitForAnalysis"] = {
        **{key: value for key, value in inner["WaitForAnalysis"].items() if key != "SecondsPath"},
        "Seconds": 0,
    }
    inner["CollectResult"]["Resource"] = "arn:aws:lambda:us-east-1:123456789012:function:collect"
    state.pop("Next")
    return {"StartAt": "AnalyzeMedia", "States": {"AnalyzeMedia": {**state, "End": True}}}


def item(number: int, growth: float, expected_seconds: float) -> dict[str, Any]:
    return AnalysisItem(
        analyzer=list(Analyzer)[number % 4],
        chunk=number // 4,
        endpoint_name="screener-any",
        input_location=f"s3://{BUCKET}/frames.tar",
        content_type="application/x-tar",
        custom_attributes="{}",
        inference_id=f"{number:064d}",
        observation_key=f"observations/v/{number}.json",
        request_ttl_seconds=21_600,
        invocation_timeout_seconds=3_600,
        expected_seconds=expected_seconds,
        poll_growth=growth,
        poll=PollState(wait_seconds=first_wait_seconds(expected_seconds)),
    ).model_dump(mode="json")


def run(
    gateway: tuple[Gateway, str], items: int, growth: float, expected_seconds: float
) -> tuple[Counter[str], list[float]]:
    front, url = gateway
    arguments: dict[str, Any] = {
        "endpoint_url": url,
        "region_name": "us-east-1",
        "aws_access_key_id": "local",
        "aws_secret_access_key": "local",
    }
    s3 = boto3.client("s3", **arguments)
    s3.create_bucket(Bucket=BUCKET)
    front.functions = polls = SimulatedPolls(s3, QUEUED_SECONDS)
    front.endpoints = Queues()
    client = boto3.client("stepfunctions", **arguments)
    machine = client.create_state_machine(
        name=f"six-hours-{items}",
        definition=json.dumps(analyze_media()),
        roleArn="arn:aws:iam::123456789012:role/any",
    )["stateMachineArn"]
    arn = client.start_execution(
        stateMachineArn=machine,
        name=f"run-{items}",
        input=json.dumps(
            {"plan": {"items": [item(n, growth, expected_seconds) for n in range(items)]}}
        ),
    )["executionArn"]
    deadline = time.monotonic() + 90
    while client.describe_execution(executionArn=arn)["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    described = client.describe_execution(executionArn=arn)
    assert described["status"] == "SUCCEEDED", described
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    return Counter(event["type"] for page in pages for event in page["events"]), polls.noticed_after


if __name__ == "__main__":
    with serving() as running:
        counted, noticed = run(
            running, items=1, growth=float(sys.argv[1]), expected_seconds=float(sys.argv[2])
        )
    json.dump({"events": counted, "noticed": noticed}, sys.stdout)
