"""Endpoints with real model-server processes on a real S3 (moto), and a look at their results."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from local.async_inference.request import (
    CUSTOM_ATTRIBUTES,
    FAILURE_LOCATION,
    INPUT_LOCATION,
    OUTPUT_LOCATION,
)
from local.async_inference.service import AsyncInferenceService, EndpointSpec, Response
from screener.storage import S3Location

HERE = Path(__file__).parent
REGION = "us-east-1"
BUCKET = "work"


def client(service: str, aws_url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def server_command(mode: str, *arguments: str) -> list[str]:
    return [sys.executable, str(HERE / "model_server.py"), mode, *arguments]


def garbage_command(kind: str) -> list[str]:
    return [sys.executable, str(HERE / "garbage_server.py"), kind]


class Bench:
    """Endpoints under test, and a look at what they leave in S3."""

    def __init__(self, aws_url: str, s3: Any, folder: Path) -> None:
        self.s3 = s3
        self.folder = folder
        self._aws_url = aws_url
        self._services: list[AsyncInferenceService] = []

    def start(self, command: list[str], **settings: Any) -> AsyncInferenceService:
        interval = settings.pop("metrics_interval_seconds", 60)
        spec = EndpointSpec(
            name="endpoint",
            command=command,
            environment={},
            output_uri=f"s3://{BUCKET}/async/output",
            failure_uri=f"s3://{BUCKET}/async/failure",
            **({"scale_in_after_seconds": 30, "startup_timeout_seconds": 20} | settings),
        )
        service = AsyncInferenceService(
            [spec],
            endpoint_url=self._aws_url,
            region=REGION,
            log_dir=self.folder / "logs",
            metrics_interval_seconds=interval,
        )
        self._services.append(service)
        return service

    def invoke(
        self,
        service: AsyncInferenceService,
        order: str = "echo",
        *,
        key: str = "in.tar",
        **headers: str,
    ) -> Response:
        response = service.invoke(
            "endpoint",
            {
                INPUT_LOCATION: f"s3://{BUCKET}/{key}",
                CUSTOM_ATTRIBUTES: order,
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        assert response.status == 202, response.body
        return response

    def read(self, uri: str) -> Any | None:
        location = S3Location.parse(uri)
        try:
            return self.s3.get_object(Bucket=location.bucket, Key=location.key)
        except (self.s3.exceptions.NoSuchKey, self.s3.exceptions.NoSuchBucket):
            return None

    def output(self, response: Response, seconds: float = 20) -> dict[str, Any]:
        """Wait for the result, which must be an output."""
        text = self._wait(response, OUTPUT_LOCATION, FAILURE_LOCATION, seconds)
        return json.loads(text)

    def failure(self, response: Response, seconds: float = 20) -> str:
        """Wait for the result, which must be a failure."""
        return self._wait(response, FAILURE_LOCATION, OUTPUT_LOCATION, seconds)

    def _wait(self, response: Response, wanted: str, other: str, seconds: float) -> str:
        def arrived() -> bool:
            return any(self.read(response.headers[name]) for name in (wanted, other))

        assert eventually(arrived, seconds), "no result"
        unwanted = self.read(response.headers[other])
        assert unwanted is None, unwanted["Body"].read()
        found = self.read(response.headers[wanted])
        assert found
        return found["Body"].read().decode()

    def close(self) -> None:
        for service in self._services:
            service.close()


def eventually(condition: Callable[[], object], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
