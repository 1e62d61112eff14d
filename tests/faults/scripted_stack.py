"""A whole stack whose model servers and AWS services fail on command.

The state machine, the functions, the queues, the emulators and every process are the real ones.
Only the models are not: the thing under test is what happens around them.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.config import Config

from local.runs.records import ExecutionRecord, read_execution
from local.stack.description import StackDescription
from local.stack.environment import stack_environment
from local.stack.instance import StackFolder
from screener.document import Document
from screener.observations import Analyzer
from tests import model_packs
from tests.faults.faulty_stack import AWS_FAULTS, REQUESTS, TEST_CLIENT, AwsFault, Request
from tests.local_stack import REPOSITORY, Command, Stack
from tests.tiny_clips import tiny_clip

_ROLES = (
    (Analyzer.MODERATION, "detector"),
    (Analyzer.MODERATION, "classifier"),
    (Analyzer.FACES, "detector"),
    (Analyzer.FACES, "recogniser"),
    (Analyzer.TRANSCRIPTION, "speech"),
    (Analyzer.OBJECTS, "detector"),
)


class ScriptedStack(Stack):
    """A running stack, and the strings to pull on it."""

    def __init__(self, description: StackDescription, control: Path) -> None:
        super().__init__(description)
        self.control = control
        self.command = Command(control.parent)
        # Not hit by faults that are meant for the stack.
        config = Config(user_agent_extra=TEST_CLIENT, s3={"addressing_style": "path"})
        arguments: dict[str, Any] = {
            "endpoint_url": description.endpoint_url,
            "region_name": description.region,
            "aws_access_key_id": "local",
            "aws_secret_access_key": "local",
            "config": config,
        }
        self.s3 = boto3.client("s3", **arguments)
        self.sqs = boto3.client("sqs", **arguments)
        self.stepfunctions = boto3.client("stepfunctions", **arguments)
        self.services = SimpleNamespace(s3=self.s3, sqs=self.sqs, stepfunctions=self.stepfunctions)  # type: ignore[assignment]

    def behave(self, analyzer: Analyzer, mode: str, **script: Any) -> None:
        """How a model server acts from its next request (or start) on."""
        self._write(self.control / f"{analyzer}.json", {"mode": mode, **script})

    def fail_aws(self, *faults: AwsFault) -> None:
        self._write(self.control / AWS_FAULTS, [fault.model_dump() for fault in faults])

    def heal(self) -> None:
        """Everything works again."""
        self.fail_aws()
        for analyzer in Analyzer:
            self.behave(analyzer, "answer")

    def requests(self) -> Counter[Request]:
        """Requests that the stack has made so far."""
        file = self.control / REQUESTS
        lines = file.read_text().splitlines() if file.exists() else []
        return Counter(Request(*json.loads(line)) for line in lines)

    def invocations(self, video_id: str | None = None) -> Counter[Analyzer]:
        """Requests that reached each model server, of one video or of all."""
        counts: Counter[Analyzer] = Counter()
        for analyzer in Analyzer:
            file = self.control / f"{analyzer}.requests"
            lines = file.read_text().splitlines() if file.exists() else []
            counts[analyzer] = sum(
                video_id is None or json.loads(line)["video_id"] == video_id for line in lines
            )
        return counts

    def answers(self) -> list[tuple[Analyzer, str]]:
        """Analyzer and video of every good answer that a model server sent."""
        found = []
        for analyzer in Analyzer:
            file = self.control / f"{analyzer}.answers"
            lines = file.read_text().splitlines() if file.exists() else []
            found += [(analyzer, str(json.loads(line)["video_id"])) for line in lines]
        return found

    def screen(self, key: str, content: bytes | None = None) -> ExecutionRecord:
        """Upload a clip and wait for the end of its execution."""
        return self.wait(self.upload(key, content if content is not None else tiny_clip()))

    def arn(self, name: str) -> str:
        machine = self.description.state_machine_arn.replace(":stateMachine:", ":execution:")
        return f"{machine}:{name}"

    def redrive(self, record: ExecutionRecord) -> ExecutionRecord:
        """Press Redrive and wait for the end."""
        self.stepfunctions.redrive_execution(executionArn=record.arn)
        return self.wait(record.name)

    def start_again(self, record: ExecutionRecord, name: str) -> ExecutionRecord:
        """A new execution with the same input."""
        arn = self.stepfunctions.start_execution(
            stateMachineArn=self.description.state_machine_arn,
            name=name,
            input=json.dumps(record.input),
        )["executionArn"]
        return self.wait(arn.rpartition(":")[2])

    def record(self, name: str) -> ExecutionRecord:
        return read_execution(self.stepfunctions, self.arn(name))

    def document_of(self, key: str) -> Document:
        """The document that lies beside a video."""
        stem = (self.description.upload_prefix + key).rpartition(".")[0]
        body = self.s3.get_object(
            Bucket=self.description.media_bucket, Key=f"{stem}.moderation.json"
        )["Body"]
        return Document.model_validate_json(body.read())

    def work_keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.description.work_bucket, Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def processes(self, text: str) -> list[int]:
        """Ids of the stack's own processes whose command line holds a text."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (folder / "environ").read_bytes()
            except (OSError, UnicodeDecodeError):
                continue
            if text in command and str(self.description.folder).encode() in environment:
                found.append(int(folder.name))
        return found

    @staticmethod
    def _write(path: Path, value: Any) -> None:
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(value))
        partial.replace(path)


def make_packs(home: Path) -> None:
    """Packs whose weights nobody loads; they make all four analyzers deployed."""
    for analyzer, role in _ROLES:
        model_packs.make_pack(
            home / "packs", f"{analyzer}-{role}", analyzer, role, [Path(__file__)]
        )


@contextmanager
def scripted_stack(
    folder: Path, parameters: dict[str, str] | None = None, *, packs_home: Path | None = None
) -> Iterator[ScriptedStack]:
    """A stack of its own.

    Args:
        folder: for everything of this stack; must be empty.
        parameters: of the template.
        packs_home: a home with real packs; the real model servers then serve them.
    """
    control = folder / "control"
    control.mkdir()
    home = packs_home or folder
    if packs_home is None:
        make_packs(home)
    stacks = StackFolder(folder, REPOSITORY)
    instance = stacks.new_instance()
    servers = {
        str(analyzer): [
            sys.executable, "-m", "tests.faults.scripted_server", str(analyzer), str(control)
        ]
        for analyzer in (Analyzer if packs_home is None else ())
    }  # fmt: skip
    command = [
        *(sys.executable, "-m", "tests.faults.faulty_stack", str(control)),
        *("--root", str(REPOSITORY), "--home", str(home), "--folder", str(instance)),
        *("--parameters", json.dumps(parameters or {})),
        *("--servers", json.dumps(servers), "--end-with-stdin"),
        # So that the command finds it, with this folder as its home.
        *("--state-file", str(stacks.state_file)),
    ]
    with (instance / "logs" / "stderr.log").open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=stack_environment(os.environ, instance),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        line = process.stdout.readline()
        assert line, (instance / "logs" / "stderr.log").read_text()
        yield ScriptedStack(StackDescription.model_validate_json(line), control)
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def eventually(what: str, seconds: float = 20.0) -> Iterator[None]:
    """`for _ in eventually("the queue is empty"): if empty(): break` fails when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")
