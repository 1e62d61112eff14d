"""Clients as they are: what works against SageMaker works against the local stack's gateway."""

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.async_inference.service import AsyncInferenceService
from local.stack.gateway import Gateway, serve
from tests.async_inference.bench import BUCKET, REGION, Bench, client, eventually, server_command
from tests.async_inference.fixtures import bench, s3
from tests.conftest import REPOSITORY

__all__ = ["bench", "s3"]

INPUT = f"s3://{BUCKET}/in.tar"
SDK_PYTHON = REPOSITORY / ".venv-sagemaker" / "bin" / "python"


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture(scope="module")
def aws_url(gateway: Gateway) -> Iterator[str]:
    """The stack's own gateway, in place of the plain moto that other tests use."""
    server = serve(gateway, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def service(bench: Bench, gateway: Gateway) -> AsyncInferenceService:
    gateway.endpoints = service = bench.start(server_command("ready"))
    return service


@pytest.fixture
def runtime(aws_url: str, service: AsyncInferenceService) -> Any:
    return client("sagemaker-runtime", aws_url)


def test_boto3_gets_locations_and_then_the_output(runtime: Any, bench: Bench) -> None:
    answer = runtime.invoke_endpoint_async(
        EndpointName="endpoint",
        InputLocation=INPUT,
        ContentType="application/x-tar",
        Accept="application/json",
        CustomAttributes="echo",
        InferenceId="from-boto3",
        RequestTTLSeconds=60,
        InvocationTimeoutSeconds=30,
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "from-boto3"
    assert eventually(lambda: bench.read(answer["OutputLocation"]))
    assert bench.read(answer["FailureLocation"]) is None
    output = bench.read(answer["OutputLocation"])
    assert output
    result = json.load(output["Body"])
    assert result["content_type"] == "application/x-tar"
    assert result["accept"] == "application/json"
    assert result["inference_id"] == "from-boto3"


def test_boto3_gets_an_inference_id_when_it_gives_none(runtime: Any) -> None:
    answer = runtime.invoke_endpoint_async(EndpointName="endpoint", InputLocation=INPUT)
    assert len(answer["InferenceId"]) == 36


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"EndpointName": "nobody"}, "Endpoint nobody of account"),
        ({"InputLocation": "s3://bucket"}, "not an S3 URI"),
        ({"InferenceId": "i" * 65}, "at most 64"),
        ({"CustomAttributes": "a" * 1025}, "at most 1024"),
    ],
)
def test_boto3_raises_a_validation_error_with_the_reason(
    runtime: Any, parameters: dict[str, str], reason: str
) -> None:
    request = {"EndpointName": "endpoint", "InputLocation": INPUT} | parameters
    with pytest.raises(runtime.exceptions.ValidationError, match=reason) as caught:
        runtime.invoke_endpoint_async(**request)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_boto3_describes_the_endpoint_and_its_instances(runtime: Any, aws_url: str) -> None:
    sagemaker = client("sagemaker", aws_url)
    described = sagemaker.describe_endpoint(EndpointName="endpoint")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointArn"].endswith(":endpoint/endpoint")
    (variant,) = described["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 0
    with pytest.raises(ClientError, match="Could not find endpoint") as caught:
        sagemaker.describe_endpoint(EndpointName="nobody")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_boto3s_waiter_for_an_endpoint_ends(runtime: Any, aws_url: str) -> None:
    waiter = client("sagemaker", aws_url).get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="endpoint", WaiterConfig={"Delay": 1, "MaxAttempts": 2})


def test_the_sagemaker_sdk_needs_no_change(
    service: AsyncInferenceService, bench: Bench, aws_url: str
) -> None:
    if not SDK_PYTHON.exists():
        pytest.skip("the SageMaker SDK is not installed; `make sagemaker-sdk` does that")
    script = REPOSITORY / "tests" / "async_inference" / "call_with_sagemaker_sdk.py"
    run = subprocess.run(
        [str(SDK_PYTHON), str(script), INPUT],
        env={
            "AWS_ENDPOINT_URL": aws_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "HOME": str(bench.folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout.splitlines()[-1])
    assert answer["inference_id"] == "from-the-sdk"
    assert eventually(lambda: bench.read(answer["output_location"]))
    assert bench.read(answer["failure_location"]) is None
