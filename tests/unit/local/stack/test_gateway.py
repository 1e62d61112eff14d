"""The gateway's own answers, asked by real clients over HTTP."""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.async_inference.errors import EndpointNotFound
from local.async_inference.service import Response
from local.lambda_runtime.errors import FunctionNotFound, TooManyRequests
from local.lambda_runtime.service import InvokeResult
from tests.unit.local.stack.conftest import Running


class Functions:
    """Answers by name, in the place of the Lambda service."""

    def __init__(self) -> None:
        self.busy = 0

    def invoke(self, name: str, payload: bytes) -> InvokeResult:
        match name:
            case "echo":
                return InvokeResult(payload or b"{}", None)
            case "broken":
                return InvokeResult(b'{"errorType": "InvalidVideo"}', "Unhandled")
            case "busy" if self.busy:
                self.busy -= 1
                raise TooManyRequests("Rate Exceeded")
            case "busy":
                return InvokeResult(b'"at last"', None)
        raise FunctionNotFound(f"Function not found: {name}")


class Endpoints:
    """Accepts everything, in the place of the async-inference service."""

    def invoke(self, endpoint_name: str, headers: Mapping[str, str]) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}
        location = {
            "X-Amzn-SageMaker-OutputLocation": "s3://b/" + sent["x-amzn-sagemaker-inference-id"],
            "X-Amzn-SageMaker-FailureLocation": sent["x-amzn-sagemaker-inputlocation"],
        }
        return Response(202, location, json.dumps({"InferenceId": endpoint_name}).encode())

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        if endpoint_name != "known":
            raise EndpointNotFound("Could not find endpoint")
        return {"EndpointName": "known", "EndpointStatus": "InService"}


@pytest.fixture
def functions(running: Running) -> Iterator[Functions]:
    running.gateway.functions = functions = Functions()
    yield functions
    running.gateway.functions = None


@pytest.fixture
def endpoints(running: Running) -> Iterator[None]:
    running.gateway.endpoints = Endpoints()
    yield
    running.gateway.endpoints = None


def client(running: Running, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=running.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.mark.parametrize(
    "name", ["echo", "echo:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:echo"]
)
def test_a_function_answers_by_name_and_by_arn(
    running: Running, functions: Functions, name: str
) -> None:
    answer = client(running, "lambda").invoke(FunctionName=name, Payload=b'{"a": "\xc3\xa9"}')
    assert json.load(answer["Payload"]) == {"a": "é"}
    assert "FunctionError" not in answer


def test_a_failed_function_is_an_answer_with_a_function_error(
    running: Running, functions: Functions
) -> None:
    answer = client(running, "lambda").invoke(FunctionName="broken", Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"])["errorType"] == "InvalidVideo"


def test_an_unknown_function_is_the_service_error_that_aws_gives(
    running: Running, functions: Functions
) -> None:
    lambda_client = client(running, "lambda")
    with pytest.raises(lambda_client.exceptions.ResourceNotFoundException):
        lambda_client.invoke(FunctionName="nobody", Payload=b"{}")


def test_an_invocation_waits_for_a_free_environment_before_it_is_throttled(
    running: Running, functions: Functions
) -> None:
    functions.busy = 3
    answer = client(running, "lambda").invoke(FunctionName="busy", Payload=b"{}")
    assert json.load(answer["Payload"]) == "at last"


def test_an_asynchronous_invocation_is_accepted_at_once(
    running: Running, functions: Functions
) -> None:
    answer = client(running, "lambda").invoke(
        FunctionName="echo", InvocationType="Event", Payload=b"{}"
    )
    assert answer["StatusCode"] == 202


def test_an_endpoint_invocation_carries_headers_both_ways(
    running: Running, endpoints: None
) -> None:
    answer = client(running, "sagemaker-runtime").invoke_endpoint_async(
        EndpointName="faces", InputLocation="s3://in/put", InferenceId="some-id"
    )
    assert answer["InferenceId"] == "faces"
    assert answer["OutputLocation"] == "s3://b/some-id"
    assert answer["FailureLocation"] == "s3://in/put"


def test_an_endpoint_is_described_and_an_unknown_one_refused(
    running: Running, endpoints: None
) -> None:
    sagemaker = client(running, "sagemaker")
    assert sagemaker.describe_endpoint(EndpointName="known")["EndpointStatus"] == "InService"
    with pytest.raises(ClientError, match=r"ValidationException.*Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="unknown")


def test_services_that_are_not_there_yet_say_so(running: Running) -> None:
    for service, call in (
        ("lambda", lambda one: one.invoke(FunctionName="echo", Payload=b"{}")),
        (
            "sagemaker-runtime",
            lambda one: one.invoke_endpoint_async(EndpointName="e", InputLocation="s3://a/b"),
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call(client(running, service))
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def ask(running: Running, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.putrequest("GET", path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "localhost:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "127.0.0.1", "Origin": "https://evil.example"}, 403),
        ({"Host": "127.0.0.1", "Origin": "null"}, 403),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "none"}, 200),
        ({"Host": "127.0.0.1", "Origin": "http://localhost:3000"}, 200),
        ({}, 403),
    ],
)
def test_only_requests_of_this_machine_are_answered(
    running: Running, headers: dict[str, str], status: int
) -> None:
    running.gateway.description = b"{}"
    try:
        assert ask(running, "/_screener/stack", headers) == status
    finally:
        running.gateway.description = None


def test_a_stack_that_is_still_starting_does_not_describe_itself(running: Running) -> None:
    assert ask(running, "/_screener/stack", {"Host": "127.0.0.1"}) == 503
