"""A local stack and the `screener` command, as a user has them, for integration and fault tests."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from local.runs.progress import ENDED_STATUSES
from local.runs.records import ExecutionRecord, list_executions, read_execution
from local.stack.deploy import Services
from local.stack.description import StackDescription
from screener import identity
from screener.document import Document
from screener.storage import S3Location

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 120


class Command:
    """The installed `screener` command, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(
        self, *arguments: str | Path, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a subcommand; standard output and error are captured."""
        return subprocess.run(
            [Path(sys.executable).parent / "screener", *map(str, arguments)],
            env={**os.environ, "SCREENER_HOME": str(self.home), "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


class Stack:
    """A running stack, used through AWS clients."""

    def __init__(self, description: StackDescription) -> None:
        self.description = description
        self.services = Services(description.endpoint_url)

    def upload(self, key: str, content: bytes) -> str:
        """Put a video below the upload prefix; returns the execution that must follow."""
        bucket, key = self.description.media_bucket, self.description.upload_prefix + key
        put = self.services.s3.put_object(Bucket=bucket, Key=key, Body=content)
        return identity.execution_name(bucket, key, put["VersionId"], put["ETag"], None)

    def executions(self) -> list[ExecutionRecord]:
        return list(
            list_executions(self.services.stepfunctions, self.description.state_machine_arn)
        )

    def wait(self, name: str, patience_seconds: float = PATIENCE_SECONDS) -> ExecutionRecord:
        """The execution, once it has ended."""
        client = self.services.stepfunctions
        machine = self.description.state_machine_arn.replace(":stateMachine:", ":execution:")
        deadline = time.monotonic() + patience_seconds
        record = None
        while time.monotonic() < deadline:
            try:
                record = read_execution(client, f"{machine}:{name}")
            except client.exceptions.ExecutionDoesNotExist:
                record = None
            if record is not None and record.status in ENDED_STATUSES:
                return record
            time.sleep(0.1)
        raise AssertionError(f"{name} did not end: {record}")

    def document(self, record: ExecutionRecord) -> Document:
        """The document that an execution wrote, read from where it says."""
        assert record.progress.result is not None, (record.status, record.error, record.cause)
        location = S3Location.parse(record.progress.result.document)
        body = self.services.s3.get_object(Bucket=location.bucket, Key=location.key)["Body"]
        return Document.model_validate_json(body.read())

    def queued(self, queue_url: str) -> int:
        """Messages in a queue, whether visible or being worked on."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.services.sqs.get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=names
        )["Attributes"]
        return sum(int(attributes[name]) for name in names)


def pull_packs(command: Command) -> None:
    """Every pack that wheels and, where there is one, the mirror hold."""
    pulled = command("packs", "pull", "--available")
    assert pulled.returncode == 0, pulled.stderr


def last_json(text: str) -> Any:
    return json.loads(text.strip().splitlines()[-1])
